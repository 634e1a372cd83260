"""How one model of one provider wants to be asked in `openai-completions` and what is built on it. The data is in `models.toml`."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, Literal, TypeAlias

import attrs

from tinyagent_actors.messages import ThinkingLevel

ThinkingStyle: TypeAlias = Literal["none", "effort", "openrouter", "deepseek", "template"]
Replay: TypeAlias = Literal["no", "calls", "all"]

EFFORTS: Final = {
    "none": 0, "minimal": 1, "low": 2, "medium": 3, "default": 3, "high": 4, "xhigh": 5, "max": 6,
}  # fmt: skip
"""What providers call efforts, and how much each is."""

_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_ID: Final = 40
_SHORT_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
_LONGEST_NAME: Final = 64


@attrs.frozen
class ProviderRules:
    """How one model of one provider wants to be asked. Field names are those of the data file."""

    max_tokens_field: str = "max_tokens"
    system_role: str = "system"
    refuses_temperature: bool = False
    thinking_style: ThinkingStyle = "none"
    """Which members of a request say how much the model is to think."""
    efforts: tuple[str, ...] = ()
    """Words it takes for an effort."""
    effort_with_tools: str | None = None
    """The only effort it takes together with tools, which then has to be said."""
    replays_reasoning: Replay = "no"
    """Which of its messages carry `reasoning_content` when they go back; others' messages then carry an empty one."""
    names_results: bool = False
    """Whether a tool result carries the tool's name."""
    bridges_results: bool = False
    """Whether a message of the user may not follow a tool result directly."""
    short_ids: bool = False
    """Whether ids of calls are exactly nine letters and digits."""
    think_tags: bool | None = None
    """Whether `<think>` in the text is thinking. None: nothing is known."""
    rest_is_reasoning: bool = False
    """Whether tokens that only its total tells of are reasoning."""

    def call_id(self, wanted: str) -> str:
        """Give an id that the provider accepts, the same for the same id."""
        if self.short_ids:
            return wanted if _SHORT_ID.fullmatch(wanted) else _digest(wanted, 9)
        cleaned = _ID.sub("_", wanted) or "call"
        return cleaned if len(cleaned) <= _LONGEST_ID else _digest(wanted, _LONGEST_ID)

    def numbered_id(self, wanted: str, number: int) -> str:
        """Give another id for a call whose id was sent before."""
        return self.call_id(_digest(f"{wanted}#{number}", 9) if self.short_ids else f"{wanted[:34]}_{number}")

    def thinking(self, asked: ThinkingLevel | None, *, has_tools: bool, budget: int | None = None) -> dict[str, Any]:
        """Give the members that say how much the model is to think.

        Args:
            asked: None says nothing, so that the provider does as it usually does.
            has_tools: Whether the request holds tools.
            budget: How much in tokens, where that was said, for a provider that takes it so.
        """
        if has_tools and self.effort_with_tools is not None:
            return {"reasoning_effort": self.effort_with_tools}
        if asked is None:
            return {}
        word = self._effort(asked)
        effort = {} if word is None else {"reasoning_effort": word}
        match self.thinking_style:
            case "effort":
                return effort
            case "openrouter":
                if budget is not None and asked != "off":
                    return {"reasoning": {"max_tokens": budget}}
                return {} if word is None else {"reasoning": {"effort": word}}
            case "deepseek" if asked == "off":
                return {"thinking": {"type": "disabled"}}
            case "deepseek":
                return {"thinking": {"type": "enabled"}, **effort}
            case "template":
                return {"chat_template_kwargs": {"enable_thinking": asked != "off"}, **effort}
        return {}

    def replayed(self, thinking: str, *, has_calls: bool) -> dict[str, Any]:
        """Give the member that carries thinking back: the message's own, or "" for one that has none of this maker."""
        if self.replays_reasoning == "all" or (self.replays_reasoning == "calls" and has_calls):
            return {"reasoning_content": thinking}
        return {}

    def _effort(self, asked: ThinkingLevel) -> str | None:
        """Give the word that comes nearest: not above what is asked, if there is one that thinks at all."""
        if asked == "off":
            return "none" if "none" in self.efforts else None
        words = sorted((word for word in self.efforts if word != "none"), key=EFFORTS.__getitem__)
        return max(
            (word for word in words if EFFORTS[word] <= EFFORTS[asked]), key=EFFORTS.__getitem__, default=None
        ) or (words[0] if words else None)


def function_name(wanted: str) -> str:
    """Give a name for a function that every provider accepts, the same for the same name."""
    return _ID.sub("_", wanted)[:_LONGEST_NAME]


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
