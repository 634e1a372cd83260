"""Iterators over a run's events. Classes, not async generators: one that is left early has nothing to clean up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs

from tinyagent_actors.actors import Subscription
from tinyagent_actors.events import AgentEndEvent, Event, Gap, MessageUpdateEvent, TextDelta


@attrs.define(eq=False)
class UntilEnd:
    """The events of a subscription up to the end of the run."""

    _subscription: Subscription
    _is_over: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> UntilEnd:
        return self

    async def __anext__(self) -> Event | Gap:
        """Wait for the next event. A cancel loses nothing."""
        if self._is_over:
            raise StopAsyncIteration
        event = await self._subscription.__anext__()
        self._is_over = isinstance(event, AgentEndEvent)
        return event


@attrs.define(eq=False)
class Texts:
    """The pieces of text among events."""

    _events: AsyncIterator[Event | Gap]

    def __aiter__(self) -> Texts:
        return self

    async def __anext__(self) -> str:
        """Wait for the next piece. A cancel loses nothing."""
        while True:
            event = await anext(self._events)
            if isinstance(event, MessageUpdateEvent) and isinstance(event.assistant_message_event, TextDelta):
                return event.assistant_message_event.text
