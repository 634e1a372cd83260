"""How one model wants to be asked in the dialect `anthropic-messages`. The data is in `models.toml`."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, Literal, TypeAlias

import attrs

from tinyagent_actors.messages import ThinkingLevel

ThinkingControl: TypeAlias = Literal["none", "budget", "adaptive"]

_BUDGETS: Final[dict[ThinkingLevel, int]] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}  # fmt: skip
_EFFORTS: Final[dict[ThinkingLevel, str]] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
_LEAST_BUDGET: Final = 1024
_ROOM_FOR_ANSWER: Final = 1024
"""Tokens of `max_tokens` that a budget leaves, where there are as many."""
_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID: Final = 64
_LONGEST_NAME: Final = 128


@attrs.frozen
class AnthropicRules:
    """How one model wants to be asked. Field names are those of the data file; the values here are for whom nothing is known of."""

    thinking_control: ThinkingControl = "budget"
    """How it is told to think: not at all, by a number of tokens, or by an effort, when it decides by itself how long."""
    highest_effort: str = "xhigh"
    """What it calls the effort of the level `xhigh`."""
    takes_prefill: bool = False
    """Whether the last message may be the assistant's, for the model to go on with."""
    interleaves_by_beta: bool = False
    """Whether thinking between tool calls has to be asked for by a header."""
    refuses_sampling: bool = False
    """Whether `temperature` may not be sent at all."""
    summarizes_thinking: bool = False
    """Whether a summary of its thinking has to be asked for: else only signatures would come, and nobody could follow it."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the model decides by itself how long it thinks, and is told an effort instead of a budget."""
        return self.thinking_control == "adaptive"

    def thinking(self, level: ThinkingLevel | None, max_tokens: int, budget: int | None = None) -> dict[str, Any]:
        """Give the members that say how much the model is to think; None: nobody said anything.

        Args:
            level: How much, in a word.
            max_tokens: Of the whole answer; thinking counts.
            budget: How much in tokens, where that was said, for a model that takes it so.
        """
        if level is None or self.thinking_control == "none":
            return {}
        if level == "off":
            return {"thinking": {"type": "disabled"}}
        if self.is_adaptive:
            display = {"display": "summarized"} if self.summarizes_thinking else {}
            effort = _EFFORTS.get(level, self.highest_effort)
            return {"thinking": {"type": "adaptive"} | display, "output_config": {"effort": effort}}
        budget = max(_LEAST_BUDGET, min(budget or _BUDGETS[level], max_tokens - _ROOM_FOR_ANSWER))
        return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget < max_tokens else {}

    def call_id(self, wanted: str) -> str:
        """Give an id that the provider accepts, the same for the same id."""
        cleaned = _ID.sub("_", wanted) or "call"
        return cleaned if len(cleaned) <= _LONGEST_ID else _digest(wanted)

    def numbered_id(self, wanted: str, number: int) -> str:
        """Give another id for a call whose id was sent before."""
        return self.call_id(f"{wanted[:48]}_{number}")

    def tool_name(self, name: str) -> str:
        """Give the name of a tool that was called, as a request may hold it."""
        return _ID.sub("_", name)[:_LONGEST_NAME]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_LONGEST_ID]
