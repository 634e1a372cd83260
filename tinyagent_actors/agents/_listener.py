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

    async def serve(self, subscription: Subscription) -> None:
        """Call the function with each event until the subscription ends. What it raises is logged; it stays subscribed."""
        async for event in subscription:
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


@asynccontextmanager
async def serve_listeners(listeners: Sequence[Listener], bus: EventBus, runtime: Runtime) -> AsyncIterator[None]:
    """Serve listeners while the block runs, and until they have read what is left, or `DRAIN` seconds more."""
    servings = [_Serving(listener, bus.open_subscription("/", policy=conflate(QUEUE))) for listener in listeners]
    for serving in servings:
        runtime.start_detached(serving.serve, name="agent listener")
    try:
        yield
    finally:
        for serving in servings:
            bus.close_subscription(serving.subscription)
        with trio.move_on_after(DRAIN, shield=True) as late:
            for serving in servings:
                await serving.over.wait()
        if late.cancelled_caught:
            _logger.warning("listeners were still busy %g s after the run; what they had not read is dropped", DRAIN)
            for serving in servings:
                serving.scope.cancel(reason="the run is over")
