"""The body of a request in the dialect `zai-completions` (GLM): OpenAI's, with thinking as text of its own.

Thinking goes back whole beside the calls that it led to, always: GLM thinks on between calls. All of it goes back where
earlier thinking is kept (`clear_thinking: false`): at the endpoint for coding by default, elsewhere if `extra_body` asks so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from tinyagent_actors.messages import Content, Context, Model, ThinkingContent
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._model_table import load_models
from tinyagent_actors.providers._openai_request import build_body
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._request_json import to_json
from tinyagent_actors.providers._vendor_models import EFFORTS, GlmFacts

_MOST_TEMPERATURE: Final = 1.0
_CODING_PATH: Final = "/coding/"


def build_zai_request(
    model: Model, context: Context, options: StreamOptions, endpoint: Endpoint, *, with_stream_options: bool = True
) -> bytes:
    """Give the JSON body of a request; see `build_request` of `openai-completions`."""
    table = options.models or load_models()
    facts = table.read(GlmFacts, model, endpoint.url)
    keeps = facts.keeps_thinking and _keeps_thinking(options.extra_body or {}, endpoint)
    replay = partial(_thinking_whole, keeps=keeps)
    body = build_body(
        model,
        context,
        options,
        endpoint,
        table.rules(model, endpoint.url),
        with_stream_options=with_stream_options,
        replay=replay,
    )
    if "temperature" in body:
        body["temperature"] = min(body["temperature"], _MOST_TEMPERATURE)
    if context.tools and facts.streams_calls:
        body["tool_stream"] = True
    body.update(_thinking(model, options, facts, keeps=keeps))
    return to_json(body | dict(options.extra_body or {}))


def _keeps_thinking(extra: Mapping[str, Any], endpoint: Endpoint) -> bool:
    """Whether the server keeps the thinking of earlier turns, and so must be given it."""
    thinking = extra.get("thinking")
    asked = thinking.get("clear_thinking") if isinstance(thinking, Mapping) else None
    return _CODING_PATH in urlsplit(endpoint.url).path if asked is None else not asked


def _thinking(model: Model, options: StreamOptions, facts: GlmFacts, *, keeps: bool) -> dict[str, Any]:
    """Give how much the model is to think, if somebody said so."""
    level = options.thinking or model.thinking_level
    if not facts.thinks or (level == "off" and options.thinking is None):
        return {}
    if level == "off" and not facts.has_efforts:
        return {"thinking": {"type": "disabled"}}
    thinking: dict[str, Any] = {"type": "enabled"}
    if facts.keeps_thinking:
        thinking["clear_thinking"] = not keeps
    return {"thinking": thinking} | ({"reasoning_effort": EFFORTS[level]} if facts.has_efforts else {})


def _thinking_whole(content: Sequence[Content], *, has_calls: bool, keeps: bool) -> dict[str, Any]:
    text = "".join(block.thinking for block in content if isinstance(block, ThinkingContent))
    return {"reasoning_content": text} if text and (has_calls or keeps) else {}
