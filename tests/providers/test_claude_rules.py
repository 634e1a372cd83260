"""How a Claude wants to be asked: rules of the data file, by the version in its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, load_models
from tinyagent_actors.providers._anthropic_request import build_request, rules_of
from tinyagent_actors.providers._anthropic_rules import AnthropicRules
from tinyagent_actors.providers._endpoint import Endpoint

ENDPOINT = Endpoint("http://127.0.0.1/v1/messages", ())
CLAUDES = {
    "claude-2.1": {"thinking_control": "none", "takes_prefill": True},
    "claude-3-5-sonnet-20241022": {"thinking_control": "none", "takes_prefill": True},
    "claude-3-7-sonnet-latest": {"takes_prefill": True},
    "claude-sonnet-4-20250514": {"takes_prefill": True, "interleaves_by_beta": True},
    "claude-haiku-4-5": {"takes_prefill": True, "interleaves_by_beta": True},
    "anthropic/claude-sonnet-4.6": {"thinking_control": "adaptive", "highest_effort": "high"},
    "eu.anthropic.claude-opus-4-6-v1:0": {"thinking_control": "adaptive", "highest_effort": "max"},
    "claude-opus-4-7": {"thinking_control": "adaptive", "refuses_sampling": True, "summarizes_thinking": True},
    "claude-opus-4-10": {"thinking_control": "adaptive", "refuses_sampling": True, "summarizes_thinking": True},
    "claude-sonnet-5": {"thinking_control": "adaptive", "refuses_sampling": True, "summarizes_thinking": True},
    "claude-next": {},
    "minimax-m2": {},
}


@pytest.mark.parametrize("model_id", CLAUDES)
def test_the_rules_of_a_claude_hang_on_its_version(model_id: str) -> None:
    """M02: wherever it is served and whatever stands around its name; of one without a version nothing is known."""
    rules = rules_of(Model(model_id, "anybody", "anthropic-messages"), StreamOptions(), ENDPOINT)

    assert rules == AnthropicRules(**CLAUDES[model_id])  # type: ignore[arg-type]  # settings by name


def test_your_file_says_how_a_new_claude_is_asked(tmp_path: Path) -> None:
    """M03: the rules of the dialect of Anthropic are data, too."""
    file = tmp_path / "mine.toml"
    rule = "[[rules]]\nmodels = 'claude-next'\nthinking_control = 'adaptive'\nhighest_effort = 'max'\n"
    file.write_text(rule)
    options = StreamOptions(models=load_models(file), thinking="xhigh", temperature=0.5)
    model = Model("claude-next", "anthropic", "anthropic-messages")

    body = json.loads(build_request(model, Context("", (UserMessage("hello"),)), options, ENDPOINT))
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "max"})
