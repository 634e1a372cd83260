"""Events of governors: who waits for leave to ask a provider, and why. A governor is named by its host, never by its key."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.events._header import Event


@attrs.frozen(kw_only=True)
class ModelCallQueuedEvent(Event):
    """A model call waits for its turn: as many are under way as may be, or the provider has asked for a pause."""

    type: ClassVar[Literal["model_call_queued"]] = "model_call_queued"

    governor: str
    model: str
    waiting: int
    """How many wait there, with this one."""
    seconds: float
    """What is left of the pause; 0 without one."""


@attrs.frozen(kw_only=True)
class ModelCallGrantedEvent(Event):
    """A model call that had waited is sent now."""

    type: ClassVar[Literal["model_call_granted"]] = "model_call_granted"

    governor: str
    model: str
    in_flight: int
    """How many calls are under way, with this one."""
    seconds: float
    """How long it waited."""


@attrs.frozen(kw_only=True)
class ModelCallRetriedEvent(Event):
    """A model call failed before its first content, and will be made again."""

    type: ClassVar[Literal["model_call_retried"]] = "model_call_retried"

    governor: str
    model: str
    attempt: int
    """The number of the attempt to come: 2 for the first retry."""
    seconds: float
    """How long it waits first, at least; it may have to queue besides."""
    error: ProviderError
    """How the attempt before went."""


@attrs.frozen(kw_only=True)
class ModelCallFellBackEvent(Event):
    """A model did not answer, and the next one of the chain is asked in its place."""

    type: ClassVar[Literal["model_call_fell_back"]] = "model_call_fell_back"

    model: str
    """The one that is asked now, as ``provider:id``."""
    failed: str
    """The one that did not answer."""
    error: ProviderError


@attrs.frozen(kw_only=True)
class ProviderPausedEvent(Event):
    """A provider refused a call; nobody sends one there before the pause is over."""

    type: ClassVar[Literal["provider_paused"]] = "provider_paused"

    governor: str
    seconds: float
    waiting: int
    error: ProviderError


@attrs.frozen(kw_only=True)
class ProviderResumedEvent(Event):
    """A pause is over: one call goes ahead, and the others follow as calls get through."""

    type: ClassVar[Literal["provider_resumed"]] = "provider_resumed"

    governor: str
    waiting: int


@attrs.frozen(kw_only=True)
class ProviderLimitChangedEvent(Event):
    """A governor has changed how many calls may be under way at once."""

    type: ClassVar[Literal["provider_limit_changed"]] = "provider_limit_changed"

    governor: str
    limit: int
    was: int | None
    """None: there was none."""
    in_flight: int
