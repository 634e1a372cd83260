"""Listeners: functions that an `Agent` calls with its events.

Each is served by a task of its own from a bounded queue, so that neither a slow nor a raising one reaches the run. The
tasks are detached: cancelling the run does not cancel them, so that they hear of its end.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

from tinyagent_actors.actors import EventBus, Runtime, Subscription, conflate
from tinyagent_actors.events import Event, Gap

DRAIN: Final = 1.0
"""Seconds that listeners get to read what is left when a run is over."""
QUEUE: Final = 1024

_logger = logging.getLogger("tinyagent_actors")


@attrs.define(eq=False)
class Listener:
    """A plain or async function that wants events."""

    function: Callable[[Event | Gap], object]
    is_subscribed: bool = True
    """It hears nothing any more once this is False, also of what lies unread."""

    async def serve(self, subscription: Subscription) -> None:
        """Call the function with each event until the subscription ends. What it raises is logged; it stays subscribed."""
        async for event in subscription:
            if not self.is_subscribed:
                return
            try:
                returned = self.function(event)
                if inspect.isawaitable(returned):
                    await returned
            except Exception:
                _logger.exception("a listener raised on %s", event.type)


@attrs.define(eq=False)
class _Serving:
    listener: Listener
    subscription: Subscription
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    over: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self) -> None:
        try:
            with self.scope:
                await self.listener.serve(self.subscription)
        finally:
            self.over.set()


@attrs.define(eq=False)
class ServedListeners:
    """The listeners of a run that goes on."""

    _bus: EventBus
    _runtime: Runtime
    _servings: list[_Serving] = attrs.field(factory=list, init=False, repr=False)
    _is_over: bool = attrs.field(default=False, init=False)

    def add(self, listener: Listener) -> None:
        """Serve another one, from now on; once the run is over, no more."""
        if self._is_over:
            return
        serving = _Serving(listener, self._bus.open_subscription("/", policy=conflate(QUEUE)))
        self._servings.append(serving)
        self._runtime.start_detached(serving.serve, name="agent listener")

    async def drain(self) -> None:
        """Wait until they have read what is left, `DRAIN` seconds at most; then they are ended. A cancel does not reach it."""
        self._is_over = True
        for serving in self._servings:
            self._bus.close_subscription(serving.subscription)
        with trio.move_on_after(DRAIN, shield=True) as late:
            for serving in self._servings:
                await serving.over.wait()
        if late.cancelled_caught:
            _logger.warning("listeners were still busy %g s after the run; what they had not read is dropped", DRAIN)
            for serving in self._servings:
                serving.scope.cancel(reason="the run is over")


@asynccontextmanager
async def serve_listeners(
    listeners: Sequence[Listener], bus: EventBus, runtime: Runtime
) -> AsyncIterator[ServedListeners]:
    """Serve listeners while the block runs, and until they have read what is left, or `DRAIN` seconds more."""
    served = ServedListeners(bus, runtime)
    for listener in listeners:
        served.add(listener)
    try:
        yield served
    finally:
        await served.drain()
