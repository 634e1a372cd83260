"""ProviderStream: what `open_stream` gives, the same for every engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar, final

import attrs
import trio

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.events import StreamEnd, StreamEvent
from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._attempts import Attempts
from tinyagent_actors.providers._clock import StreamClock
from tinyagent_actors.providers._items import ACTIVITY, ERROR, FINISH, HEAD, Item
from tinyagent_actors.providers._second_attempt import SecondAttempt
from tinyagent_actors.providers._source import Source

ResultT = TypeVar("ResultT")

FAIR_SHARE: Final = 64
"""Events that a reader may take in a row before other tasks get their turn."""

_OK: Final = 200


@final
@attrs.define(eq=False, repr=False)
class ProviderStream:
    """The answer of a model while it comes: an async iterator of stream events, and its message at the end.

    What is read is one answer, whatever it took to get it: attempts before it that failed are events of the system, not of
    the stream. A request is sent when the stream is first read, once the governor gives leave to.

    Iterating raises nothing for what the provider does; that stands in the message of the last event, `StreamEnd`, which
    `result` gives too. One task reads at a time.
    """

    _attempts: Attempts
    _clock: StreamClock
    _assembler: Assembler = attrs.field(init=False)
    _source: Source | None = attrs.field(default=None, init=False)
    """None: no request is under way."""
    _second: SecondAttempt | None = attrs.field(default=None, init=False)
    """None once it is known that the first answer is the answer."""
    _is_settled: bool = attrs.field(default=False, init=False)
    """Whether the attempt under way is the one that stays: some content came, or nothing follows."""
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
        self._assembler = Assembler(self._attempts.model)

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

    @property
    def model(self) -> Model:
        """Who is asked: the model it was opened with, or the one of its chain that came to be asked in its place."""
        return self._attempts.model

    async def aclose(self) -> None:
        """End the stream: its connection is given back after a proper end, else closed at once. Never waits for the peer."""
        if not self._is_closed:
            self._is_closed = True
            self._over.set()
            try:
                if self._source is not None:
                    await self._source.aclose()
            finally:
                self._attempts.over()

    def __repr__(self) -> str:
        state = "ended" if self._message is not None else "closed" if self._is_closed else "open"
        return f"<ProviderStream {state}>"

    async def _read(self) -> list[StreamEvent]:
        while True:
            if self._unfair >= FAIR_SHARE:
                self._unfair = 0
                await trio.lowlevel.checkpoint()
            source = self._source
            events = await self._begin() if source is None else await self._read_from(source)
            if events and not self._is_settled:
                events = await self._settle(events)
            self._unfair += len(events) or 1
            if events:
                last = events[-1]
                if type(last) is StreamEnd:
                    self._attempts.over(last.message.error)
                    self._message = last.message
                    self._over.set()
                return events

    async def _begin(self) -> list[StreamEvent]:
        """Wait until a request may be sent, and send it. Where there will be none, that is the end of the stream."""
        self._clock.start_attempt()
        self._finish_seen = False
        try:
            attempt = await self._in_time(self._attempts.begin)
        except ProviderError as error:
            return self._end_without_request(error.with_traceback(None))
        if attempt is None:
            return self._end_without_request(ProviderError("timeout", self._clock.reason(), retryable=True))
        self._source, self._assembler, self._second = attempt.source, attempt.assembler, attempt.second
        self._source.on_sent = self._request_was_sent
        return []

    def _end_without_request(self, error: ProviderError) -> list[StreamEvent]:
        self._is_settled = True
        message = Assembler(self._attempts.model).partial()
        return [StreamEnd(attrs.evolve(message, stop_reason="error", error=error))]

    async def _read_from(self, source: Source) -> list[StreamEvent]:
        items = await self._receive(source)
        if self._second is not None:
            items = await self._look(self._second, items)
        return self._assembler.feed(items)

    async def _settle(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Hold back the failure of an attempt that has another one follow it; anything else is the answer."""
        first = events[0]
        error = first.message.error if type(first) is StreamEnd else None
        if error is None or self._clock.is_spent or not self._attempts.is_followed(error):
            self._is_settled = True
            return events
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()
        return []

    async def _look(self, second: SecondAttempt, items: list[Item]) -> list[Item]:
        """Let a refusal of the request's form be answered by another request."""
        items, source = second.look(items)
        if second.is_decided:
            self._second = None
        if source is not None:
            refused, self._source = self._source, source
            source.on_sent = self._request_was_sent
            if refused is not None:
                await refused.aclose()
        return items

    async def _receive(self, source: Source) -> list[Item]:
        """Wait for items until the nearest deadline."""
        items = await self._in_time(source.receive)
        if items is None:
            return [] if self._clock.is_early(source.request_age()) else await self._give_up(source)
        self._note(items)
        return items

    async def _in_time(self, wait: Callable[[], Awaitable[ResultT]]) -> ResultT | None:
        """Wait for something until the nearest deadline; None: it has passed."""
        clock = self._clock
        self._wait_started = started = trio.current_time()
        left = clock.left()
        try:
            if self._source is None and left == inf:  # no deadline, and none comes before the request is sent
                return await wait()
            with trio.CancelScope(deadline=started + left) as self._wait:
                return await wait()
        finally:
            self._wait = None
            clock.waited += trio.current_time() - started
        return None

    def _note(self, items: list[Item]) -> None:
        is_event = False
        is_body = not items
        for kind, payload in items:
            if kind == HEAD:
                if payload[0] == _OK:
                    self._attempts.accepted()
                continue
            is_body = True
            if kind != ACTIVITY:
                is_event = True
                if kind == FINISH:
                    self._finish_seen = True
        if is_body:
            self._clock.bytes_came(is_event=is_event, is_finished=self._finish_seen)

    async def _give_up(self, source: Source) -> list[Item]:
        """End the stream for a deadline. What was held back still counts, and so does a finish reason."""
        reason = self._clock.reason()
        items = await source.finish(reason)
        kind, payload = items[-1]
        if kind == ERROR and payload[0] == "truncated":
            items[-1] = (ERROR, ("timeout", reason))
        return items

    def _request_was_sent(self) -> None:
        self._clock.sent(trio.current_time() - self._wait_started)
        if self._wait is not None:
            self._wait.deadline = self._wait_started + self._clock.left()
