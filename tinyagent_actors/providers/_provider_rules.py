"""What providers of the dialect `openai-completions` do differently: every rule that hangs on a provider, a host or a model."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from tinyagent_actors.messages import Model, ThinkingLevel
from tinyagent_actors.providers._provider_table import AZURE_HOSTS

ThinkingStyle: TypeAlias = Literal["none", "effort", "openrouter", "deepseek"]

_OPENAI_HOST: Final = "api.openai.com"
_REASONING_MODELS: Final = re.compile(r"^(o\d|gpt-5)")
_NO_EFFORT_WITH_TOOLS: Final = re.compile(r"^gpt-5\.([4-9]|\d\d)")
"""Models that refuse tools together with any reasoning effort but ``none``."""
_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_ID: Final = 40
_MISTRAL_ID: Final = re.compile(r"[A-Za-z0-9]{9}")


@attrs.frozen
class ProviderRules:
    """How one model of one provider wants to be asked."""

    model_id: str
    is_reasoning: bool = False
    """Whether it refuses `temperature` and knows the role `developer`."""
    max_tokens_field: str = "max_tokens"
    thinking_style: ThinkingStyle = "none"
    names_results: bool = False
    """Whether a tool result carries the tool's name."""
    short_ids: bool = False
    """Whether ids of calls are exactly nine letters and digits."""
    replays_reasoning: bool = False
    """Whether thinking of messages with calls goes back."""

    @property
    def system_role(self) -> str:
        """The role of the system prompt."""
        return "developer" if self.is_reasoning else "system"

    def call_id(self, wanted: str) -> str:
        """Give an id that the provider accepts, the same for the same id."""
        if self.short_ids:
            return wanted if _MISTRAL_ID.fullmatch(wanted) else _digest(wanted, 9)
        cleaned = _ID.sub("_", wanted) or "call"
        return cleaned if len(cleaned) <= _LONGEST_ID else _digest(wanted, _LONGEST_ID)

    def numbered_id(self, wanted: str, number: int) -> str:
        """Give another id for a call whose id was sent before."""
        return self.call_id(_digest(f"{wanted}#{number}", 9) if self.short_ids else f"{wanted[:34]}_{number}")

    def thinking(self, level: ThinkingLevel, *, has_tools: bool) -> dict[str, Any]:
        """Give the members that say how much the model is to think."""
        if self.thinking_style == "effort":
            if has_tools and _NO_EFFORT_WITH_TOOLS.match(self.model_id):
                return {"reasoning_effort": "none"}
            return {} if level == "off" else {"reasoning_effort": level}
        if self.thinking_style == "openrouter" and level != "off":
            return {"reasoning": {"effort": level}}
        if self.thinking_style == "deepseek" and level != "off":
            return {"thinking": {"type": "enabled"}, "reasoning_effort": level}
        return {}


def rules_for(model: Model, url: str) -> ProviderRules:
    """Give the rules of a model at a URL: the host decides before the provider's name."""
    host = (urlsplit(url).hostname or "").lower()
    bare_id = model.id.rpartition("/")[2]
    if host == _OPENAI_HOST or host.endswith(AZURE_HOSTS):
        is_reasoning = bool(_REASONING_MODELS.match(bare_id))
        style: ThinkingStyle = "effort" if is_reasoning else "none"
        return ProviderRules(bare_id, is_reasoning, "max_completion_tokens", style)
    match model.provider:
        case "mistral":
            return ProviderRules(bare_id, names_results=True, short_ids=True)
        case "openrouter":
            return ProviderRules(bare_id, thinking_style="openrouter")
        case "deepseek":
            return ProviderRules(bare_id, thinking_style="deepseek", replays_reasoning=True)
        case "ollama" | "groq" | "cerebras" | "xai" | "gemini":
            return ProviderRules(bare_id, thinking_style="effort")
    return ProviderRules(bare_id)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]
