"""What models of the dialect `anthropic-messages` take and refuse: every rule that hangs on a model's name."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import attrs

from tinyagent_actors.messages import Model, ThinkingLevel

_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_BUDGETS: Final[dict[ThinkingLevel, int]] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}  # fmt: skip
_EFFORTS: Final[dict[ThinkingLevel, str]] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}  # fmt: skip
_LEAST_BUDGET: Final = 1024
_ROOM_FOR_ANSWER: Final = 1024
"""Tokens of `max_tokens` that a budget leaves, where there are as many."""
_FIRST_THINKING: Final = (3, 7)
_FIRST_INTERLEAVED: Final = (4, 0)
_FIRST_ADAPTIVE: Final = (4, 6)
_FIRST_WITHOUT_SAMPLING: Final = (4, 7)
_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID: Final = 64
_LONGEST_NAME: Final = 128


@attrs.frozen
class AnthropicRules:
    """How one model wants to be asked."""

    version: tuple[int, int] | None
    """Of a Claude; None for any other model."""
    is_opus: bool = False

    @property
    def takes_temperature(self) -> bool:
        """Whether `temperature` may be sent at all."""
        return self.version is None or self.version < _FIRST_WITHOUT_SAMPLING

    @property
    def takes_prefill(self) -> bool:
        """Whether the last message may be the assistant's, for the model to go on with."""
        return self.version is not None and self.version < _FIRST_ADAPTIVE

    @property
    def is_adaptive(self) -> bool:
        """Whether the model decides by itself how long it thinks, and is told an effort instead of a budget."""
        return self.version is not None and self.version >= _FIRST_ADAPTIVE

    @property
    def interleaves_by_beta(self) -> bool:
        """Whether thinking between tool calls has to be asked for by a header."""
        return self.version is not None and _FIRST_INTERLEAVED <= self.version < _FIRST_ADAPTIVE

    def thinking(self, level: ThinkingLevel | None, max_tokens: int, budget: int | None = None) -> dict[str, Any]:
        """Give the members that say how much the model is to think; None: nobody said anything.

        Args:
            level: How much, in a word.
            max_tokens: Of the whole answer; thinking counts.
            budget: How much in tokens, where that was said, for a model that takes it so.
        """
        if level is None or (self.version is not None and self.version < _FIRST_THINKING):
            return {}
        if level == "off":
            return {"thinking": {"type": "disabled"}}
        if self.is_adaptive:
            return {"thinking": self._adaptive(), "output_config": {"effort": self._effort(level)}}
        budget = max(_LEAST_BUDGET, min(budget or _BUDGETS[level], max_tokens - _ROOM_FOR_ANSWER))
        return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget < max_tokens else {}

    def _adaptive(self) -> dict[str, str]:
        # From this version on only signatures would come, and nobody could follow the thinking.
        is_silent = self.version is not None and self.version >= _FIRST_WITHOUT_SAMPLING
        return {"type": "adaptive"} | ({"display": "summarized"} if is_silent else {})

    def _effort(self, level: ThinkingLevel) -> str:
        if level == "xhigh" and self.version == _FIRST_ADAPTIVE:
            return "max" if self.is_opus else "high"
        return _EFFORTS[level]

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


def rules_of(model: Model) -> AnthropicRules:
    """Give the rules of a model, by its id."""
    name = model.id.lower()
    found = _VERSION.search(name)
    version = (int(found[1]), int(found[2] or 0)) if found else None
    return AnthropicRules(version, is_opus="opus" in name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_LONGEST_ID]
