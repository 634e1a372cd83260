"""Attempts: the requests that one question comes to. The one place in the system where a request is made again.

A question is asked of a model and, where that fails before its first content, again: the same model as often as `StreamOptions.retries`
says, then the next model of the chain, which has as many attempts. After the first content nothing is ever asked again, since
the reader has seen it. Engines, supervisors and tools make no second request; an engine's second one without `stream_options`
(`SecondAttempt`) is the same attempt in another form.

What is tried again: errors that are `retryable`. What the next model is asked for: those, and whatever is the trouble of that provider and not of
the request or its sender (`FALLS_BACK`). Not a missing or wrong key, which somebody has to hear of; not a filter or a refusal,
since asking around until somebody agrees is not what a chain is for; not a context that is too long, which is for compaction.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Final, Protocol, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import ErrorKind, ProviderError
from tinyagent_actors.events import (
    ModelCallFellBackEvent,
    ModelCallGrantedEvent,
    ModelCallQueuedEvent,
    ModelCallRetriedEvent,
)
from tinyagent_actors.messages import Model
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._back_off import wait_after, with_jitter
from tinyagent_actors.providers._governor import Governor
from tinyagent_actors.providers._governor_gate import Place
from tinyagent_actors.providers._governor_queue import Waiter
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._second_attempt import SecondAttempt
from tinyagent_actors.providers._source import Source

REFUSALS: Final[frozenset[ErrorKind]] = frozenset({"rate_limited", "overloaded"})
"""Kinds that say: not so many, or not now."""
FALLS_BACK: Final[frozenset[ErrorKind]] = frozenset(
    {
        "rate_limited",
        "overloaded",
        "timeout",
        "connection_error",
        "truncated",
        "empty_response",
        "protocol_error",
        "malformed_event",
    }
)
"""Kinds after which the next model is asked, tried again or not; any other error only if it is `retryable`."""

Publish: TypeAlias = Callable[..., Any]
"""Takes the class of an event and its fields."""


@attrs.frozen
class Attempt:
    """A request that was sent, and what reads the answer to it."""

    source: Source
    assembler: Assembler
    second: SecondAttempt | None


class Target(Protocol):
    """A model with all that is needed to ask it."""

    @property
    def governor(self) -> Governor:
        """Who gives leave to."""

    def send(self) -> Attempt:
        """Ask. Nothing waits in here."""


@attrs.define(eq=False)
class Attempts:
    """One question: whom it goes to now, its place at the governor, and what has become of it so far."""

    model: Model
    """Who is asked now."""
    _target: Target | ProviderError | None
    """None: not known yet. An error: there can be none."""
    _resolve: Callable[[Model], Awaitable[Target]]
    _options: StreamOptions
    _publish: Publish
    _waiter: Waiter
    _fallbacks: deque[Model] = attrs.field(init=False)
    _place: Place | None = attrs.field(default=None, init=False)
    _made: int = attrs.field(default=0, init=False)
    """Attempts at this model."""
    _back_off: float = attrs.field(default=0.0, init=False)
    """Seconds that this call alone waits before the next attempt."""

    def __attrs_post_init__(self) -> None:
        self._fallbacks = deque(self.model.fallbacks)

    async def begin(self) -> Attempt:
        """Wait for a place, and make the next attempt. A checkpoint only if it has to wait.

        Cancelling it gives the place back; nothing was sent then, and it may be called again.

        Raises:
            ProviderError: No request can be made, and there is no other model left.
            SpecError: The next model of the chain cannot be asked this.
        """
        while True:
            try:
                return await self._begin()
            except ProviderError as error:
                if not self._fall_back(error):
                    raise

    def accepted(self) -> None:
        """Note that the answer has begun."""
        if self._place is not None:
            self._governor.accept(self._place)

    def is_followed(self, error: ProviderError) -> bool:
        """Say whether another attempt follows upon one that failed before its first content, and tell so. See `begin`."""
        self.over(error)
        return self._retry(error) or self._fall_back(error)

    def over(self, error: ProviderError | None = None) -> None:
        """Give the place back: the answer is over, with an error or without, or nobody reads it any more. Again changes nothing."""
        place, self._place = self._place, None
        if place is None:
            return
        if error is not None and error.kind in REFUSALS and (error.retryable or error.retry_after):
            self._governor.refuse(place, error)
        else:
            self._governor.give_back(place)

    @property
    def _governor(self) -> Governor:
        assert self._target is not None
        assert not isinstance(self._target, ProviderError)  # a place was had
        return self._target.governor

    async def _begin(self) -> Attempt:
        if self._target is None:
            self._target = await self._resolve(self.model)
        if isinstance(self._target, ProviderError):
            raise self._target
        if self._back_off:
            await trio.sleep(self._back_off)
            self._back_off = 0.0
        governor = self._target.governor
        if self._options.max_in_flight is not None:
            governor.fix_limit(self._options.max_in_flight)
        self._place = governor.try_enter()
        if self._place is None:
            await self._wait(governor)
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._made += 1
            return self._target.send()
        except BaseException:
            self.over()
            raise

    async def _wait(self, governor: Governor) -> None:
        """Wait for the place."""
        governor.line_up(self._waiter, again=self._made > 0)
        began = trio.current_time()
        names = {"governor": governor.name, "model": _name(self.model)}
        self._publish(ModelCallQueuedEvent, **names, waiting=governor.waiting, seconds=governor.seconds_left())
        self._place = await governor.wait_for_place(self._waiter)
        seconds = trio.current_time() - began
        self._publish(ModelCallGrantedEvent, **names, in_flight=governor.in_flight, seconds=seconds)

    def _retry(self, error: ProviderError) -> bool:
        if not error.retryable or self._made == 0 or self._made > self._options.retries:
            return False
        governor = self._governor
        if error.kind in REFUSALS:
            if governor.is_too_long(self._waiter):
                return False
            seconds = governor.seconds_left()
        else:
            wait = wait_after(self._made, error.retry_after)
            if wait > self._waiter.max_wait:
                return False
            seconds = self._back_off = with_jitter(wait, random.random)
        self._publish(
            ModelCallRetriedEvent,
            governor=governor.name,
            model=_name(self.model),
            attempt=self._made + 1,
            seconds=seconds,
            error=error,
        )
        return True

    def _fall_back(self, error: ProviderError) -> bool:
        if not self._fallbacks or not (error.retryable or error.kind in FALLS_BACK):
            return False
        failed, self.model = self.model, self._fallbacks.popleft()
        self._target = None
        self._made = 0
        self._back_off = 0.0
        self._waiter = attrs.evolve(self._waiter, ticket=0)
        self._publish(ModelCallFellBackEvent, model=_name(self.model), failed=_name(failed), error=error)
        return True


def max_wait(options: StreamOptions) -> float:
    """Give the longest pause that a call waits for, in seconds."""
    return inf if options.max_retry_wait is None else options.max_retry_wait


def _name(model: Model) -> str:
    return f"{model.provider}:{model.id}"
