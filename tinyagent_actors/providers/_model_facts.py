"""ModelFacts: what is known of a model."""

from __future__ import annotations

import datetime
from typing import Literal, TypeAlias

import attrs

from tinyagent_actors.providers._price import Price

Kind: TypeAlias = Literal["text", "image"]


@attrs.frozen
class ModelFacts:
    """What is known of one model of one provider. None is unknown everywhere."""

    provider: str
    id: str
    api: str | None = None
    """The dialect, where it is not the provider's usual one."""
    base_url: str | None = None
    """Where it is served, if not where the provider usually is."""
    context_window: int | None = None
    """Tokens, of prompt and answer together."""
    max_tokens: int | None = None
    """Tokens of an answer, at most."""
    reasoning: bool | None = None
    """Whether it thinks."""
    kinds: tuple[Kind, ...] | None = None
    """What it can be shown."""
    price: Price | None = None
    source: str | None = None
    """Where the figures come from."""
    date: datetime.date | None = None
    """When they were looked up."""
    note: str | None = None
    aliases: tuple[str, ...] = ()
    """Other ids of the same model."""

    @property
    def takes_images(self) -> bool:
        """Whether an image may be sent; where nothing is known, yes."""
        return self.kinds is None or "image" in self.kinds
