"""Model: which model, spoken to how and where. Pure syntax; keys, URLs and prices are resolved by the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from tinyagent_actors._errors import SpecError, ValueShapeError
from tinyagent_actors._redact import redact_text

ThinkingLevel: TypeAlias = Literal["off", "minimal", "low", "medium", "high", "xhigh"]
THINKING_LEVELS: Final[tuple[ThinkingLevel, ...]] = ("off", "minimal", "low", "medium", "high", "xhigh")

_ALIASES: Final = {
    "openrouter": "openai-completions",
    "openai": "openai-completions",
    "minimax": "minimax-completions",
    "anthropic": "anthropic-messages",
    "zai": "zai-completions",
}
_BY_PROVIDER: Final = {
    "minimax": "minimax-completions",
    "minimax-cn": "minimax-completions",
    "anthropic": "anthropic-messages",
    "kimi": "anthropic-messages",
    "zai": "zai-completions",
}


def _api(value: str | None, model: attrs.AttrsInstance) -> str:
    named = (value or "").strip()
    if not named:
        return _BY_PROVIDER.get(cast("Model", model).provider, "openai-completions")
    return _ALIASES.get(named, named)


@attrs.frozen
class Model:
    """A model of a provider. Everything but `id` has a default."""

    id: str
    provider: str = "openrouter"
    """Whose keys, base URL and peculiarities apply."""
    api: str = attrs.field(default="", converter=attrs.Converter(_api, takes_self=True))  # type: ignore[misc]  # attrs allows it, the plugin does not yet
    """The dialect. Blank: by the provider. The aliases `openrouter`, `openai`, `minimax`, `anthropic`, `zai` are known."""
    base_url: str | None = attrs.field(default=None, repr=lambda url: repr(url and redact_text(url)))
    """None: the environment's `<PROVIDER>_BASE_URL`, else the provider's own."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    thinking_level: ThinkingLevel = "off"
    reasoning: bool = False
    """Whether the model thinks at all."""
    context_window: int | None = None
    """Tokens."""
    max_tokens: int | None = None
    """Tokens of an answer, at most."""
    fallbacks: tuple[Model, ...] = ()
    """Who is asked, in this order, where this one does not answer. They have none of their own."""

    @classmethod
    def parse(cls, text: str) -> Model:
        """Give the model that `text` names.

        ``provider:id`` splits at the first colon (``ollama:qwen3:8b``); ``http(s)://host/path#model-id`` names an
        OpenAI-compatible endpoint by its URL; ``a|b`` is the model ``a`` with ``b`` to fall back to.

        Raises:
            ValueShapeError: The text is none of these.

        Example:
            >>> Model.parse("openrouter:anthropic/claude-sonnet-4.6").id
            'anthropic/claude-sonnet-4.6'
        """
        named = text.strip()
        if "|" in named:
            return to_model([cls.parse(part) for part in named.split("|")])
        if named.startswith(("http://", "https://")):
            return cls._from_url(named)
        provider, colon, name = named.partition(":")
        if not colon or not provider.strip() or not name.strip():
            raise ValueShapeError(
                "model", f"must be 'provider:id' or 'http(s)://host/path#id', is {redact_text(text)!r}"
            )
        return cls(id=name.strip(), provider=provider.strip().lower())

    @classmethod
    def _from_url(cls, text: str) -> Model:
        parts = urlsplit(text)
        if not parts.hostname or not parts.fragment:
            raise ValueShapeError("model", "a model given by URL must end in '#' and the model's id")
        return cls(id=parts.fragment, provider="custom", base_url=parts._replace(fragment="").geturl())


def to_model(value: object) -> Model:
    """Give the model that stands for one, or for several in the order in which they are asked.

    Raises:
        SpecError: It is neither a model nor a list or tuple of them.

    Example:
        >>> to_model([Model("big"), Model("small")]).fallbacks[0].id
        'small'
    """
    if isinstance(value, Model):
        return value if not any(model.fallbacks for model in value.fallbacks) else to_model([value])
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("model", f"must be a Model, or a list of at least one, is {type(value).__name__}")
    chain: list[Model] = []
    for model in value:
        if not isinstance(model, Model):
            raise SpecError("model", f"must be made of Models, holds a {type(model).__name__}")
        chain += _chain_of(model)
    return attrs.evolve(chain[0], fallbacks=tuple(chain[1:]))


def _chain_of(model: Model) -> list[Model]:
    """Give a model and all it falls back to, each without fallbacks."""
    chain = [attrs.evolve(model, fallbacks=())]
    for fallback in model.fallbacks:
        chain += _chain_of(fallback)
    return chain
