"""ProviderStream: what `open_stream` gives, the same for every engine."""

from __future__ import annotations

from collections import deque
from typing import Final, final

import attrs
import trio

from tinyagent_actors.events import StreamEnd, StreamEvent
from tinyagent_actors.messages import AssistantMessage
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._clock import StreamClock
from tinyagent_actors.providers._items import ACTIVITY, ERROR, FINISH, HEAD, Item
from tinyagent_actors.providers._second_attempt import SecondAttempt
from tinyagent_actors.providers._source import Source

FAIR_SHARE: Final = 64
"""Events that a reader may take in a row before other tasks get their turn."""


@final
@attrs.define(eq=False, repr=False)
class ProviderStream:
    """The answer of a model while it comes: an async iterator of stream events, and its message at the end.

    Iterating raises nothing for what the provider does; that stands in the message of the last event, `StreamEnd`, which
    `result` gives too. One task reads at a time.
    """

    _source: Source
    _assembler: Assembler
    _clock: StreamClock
    _second: SecondAttempt | None = None
    """None once it is known that the first answer is the answer."""
    _ready: deque[StreamEvent] = attrs.field(factory=deque, init=False)
    _message: AssistantMessage | None = attrs.field(default=None, init=False)
    _finish_seen: bool = attrs.field(default=False, init=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _is_read: bool = attrs.field(default=False, init=False)
    """Whether a task is waiting for the next events."""
    _over: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the message is known, or never will be."""
    _unfair: int = attrs.field(default=0, init=False)
    """Events handed out since the reader last let others run."""
    _handed: int = attrs.field(default=0, init=False)
    """Events of one batch handed out one by one since then."""
    _wait: trio.CancelScope | None = attrs.field(default=None, init=False)
    _wait_started: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._source.on_sent = self._request_was_sent

    def __aiter__(self) -> ProviderStream:
        return self

    async def __anext__(self) -> StreamEvent:
        """Give the next event. Cancelling loses none; leave the block then, or go on reading on httpx no more."""
        if not self._ready:
            self._ready.extend(await self.next_events())
            self._handed = 0
            if not self._ready:
                raise StopAsyncIteration
        elif self._handed >= FAIR_SHARE:
            self._handed = 0
            await trio.lowlevel.checkpoint()
        self._handed += 1
        return self._ready.popleft()

    async def next_events(self) -> list[StreamEvent]:
        """Wait for the next events and give all that are there: in order, at least one; none after the last.

        For readers that take many at a time, such as the turn loop. Not a checkpoint where events are there, but for
        every 64th.

        Raises:
            trio.BusyResourceError: Another task is reading.
        """
        if self._ready:
            events = list(self._ready)
            self._ready.clear()
            return events
        if self.is_over:
            return []
        if self._is_read:
            raise trio.BusyResourceError("another task is reading this stream")
        self._is_read = True
        try:
            return await self._read()
        finally:
            self._is_read = False

    async def result(self) -> AssistantMessage:
        """Give the message, reading to the end if nobody does; events that were not taken are passed over.

        Cancelling leaves the stream where it is. After the block was left early it is the message as far as it came,
        with the stop reason `aborted`.
        """
        while not self.is_over:
            if self._is_read:
                await self._over.wait()
            else:
                self._ready.clear()
                await self.next_events()
        return self.message

    @property
    def message(self) -> AssistantMessage:
        """The message as it stands now: the last one, or what has come so far, with the stop reason `aborted`."""
        return self._message if self._message is not None else self._assembler.partial()

    @property
    def is_over(self) -> bool:
        """Whether no further events will come: the message is known, or the block was left."""
        return self._message is not None or self._is_closed

    def end_with(self, message: AssistantMessage) -> None:
        """Make this the message of a stream that sends nothing."""
        self._message = message
        self._ready.append(StreamEnd(message))
        self._over.set()

    async def aclose(self) -> None:
        """End the stream: its connection is given back after a proper end, else closed at once. Never waits for the peer."""
        if not self._is_closed:
            self._is_closed = True
            self._over.set()
            await self._source.aclose()

    def __repr__(self) -> str:
        state = "ended" if self._message is not None else "closed" if self._is_closed else "open"
        return f"<ProviderStream {state}>"

    async def _read(self) -> list[StreamEvent]:
        while True:
            if self._unfair >= FAIR_SHARE:
                self._unfair = 0
                await trio.lowlevel.checkpoint()
            items = await self._receive()
            if self._second is not None:
                items = await self._look(self._second, items)
            events = self._assembler.feed(items)
            self._unfair += len(events) or 1
            if events:
                last = events[-1]
                if type(last) is StreamEnd:
                    self._message = last.message
                    self._over.set()
                return events

    async def _look(self, second: SecondAttempt, items: list[Item]) -> list[Item]:
        """Let a refusal of the request's form be answered by another request."""
        items, source = second.look(items)
        if second.is_decided:
            self._second = None
        if source is not None:
            refused, self._source = self._source, source
            source.on_sent = self._request_was_sent
            await refused.aclose()
        return items

    async def _receive(self) -> list[Item]:
        """Wait for items until the nearest deadline."""
        clock = self._clock
        self._wait_started = started = trio.current_time()
        with trio.CancelScope(deadline=started + clock.left()) as scope:
            self._wait = scope
            try:
                items = await self._source.receive()
            finally:
                self._wait = None
                clock.waited += trio.current_time() - started
        if scope.cancelled_caught:
            return [] if clock.is_early(self._source.request_age()) else await self._give_up()
        self._note(items)
        return items

    def _note(self, items: list[Item]) -> None:
        is_event = False
        is_body = not items
        for kind, _ in items:
            if kind == HEAD:
                continue
            is_body = True
            if kind != ACTIVITY:
                is_event = True
                if kind == FINISH:
                    self._finish_seen = True
        if is_body:
            self._clock.bytes_came(is_event=is_event, is_finished=self._finish_seen)

    async def _give_up(self) -> list[Item]:
        """End the stream for a deadline. What was held back still counts, and so does a finish reason."""
        reason = self._clock.reason()
        items = await self._source.finish(reason)
        kind, payload = items[-1]
        if kind == ERROR and payload[0] == "truncated":
            items[-1] = (ERROR, ("timeout", reason))
        return items

    def _request_was_sent(self) -> None:
        self._clock.sent(trio.current_time() - self._wait_started)
        if self._wait is not None:
            self._wait.deadline = self._wait_started + self._clock.left()
