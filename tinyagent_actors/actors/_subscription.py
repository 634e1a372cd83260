"""One subscriber's end of the bus: a bounded buffer with a written contract on loss."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import attrs
import trio

from tinyagent_actors._errors import SpecError, SubscriberTooSlowError
from tinyagent_actors.actors._wait_set import WaitSet
from tinyagent_actors.events import (
    Delta,
    Event,
    Gap,
    MessageUpdateEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolExecutionUpdateEvent,
)

_DELTAS: Final = (TextDelta, ThinkingDelta, ToolCallDelta)
_HARD_FACTOR: Final = 16
"""A `block` buffer that lifecycle events alone fill to this multiple of its capacity is cut off at once."""

_Key: TypeAlias = "tuple[object, ...]"


@attrs.frozen
class Policy:
    """What a subscription does when its reader is slow. Made by `block` and `conflate`."""

    conflates: bool
    capacity: int
    stall: float = 5.0
    """Seconds that a `block` subscription may make producers wait."""


def block(capacity: int = 1024, *, stall: float = 5.0) -> Policy:
    """Lose nothing: producers of deltas wait for room, at most `stall` seconds; then this subscriber is cut off."""
    if capacity < 1 or not stall >= 0:
        raise SpecError("policy", "block() wants a capacity of at least 1 and a stall of at least 0 seconds")
    return Policy(conflates=False, capacity=capacity, stall=stall)


def conflate(capacity: int = 256) -> Policy:
    """Never make anybody wait: merge unread deltas of one block; beyond `capacity` events the oldest become a `Gap`."""
    if capacity < 1:
        raise SpecError("policy", "conflate() wants a capacity of at least 1")
    return Policy(conflates=True, capacity=capacity)


@attrs.define(eq=False)
class _Merging:
    """Deltas of one block that lie unread: the first and the latest event, and the texts between them."""

    first_seq: int
    last: MessageUpdateEvent
    texts: list[str]

    @property
    def count(self) -> int:
        return len(self.texts)

    def take(self, event: MessageUpdateEvent) -> None:
        self.last = event
        self.texts.append(cast("Delta", event.assistant_message_event).text)

    def event(self) -> MessageUpdateEvent:
        if len(self.texts) == 1:
            return self.last
        delta = attrs.evolve(cast("Delta", self.last.assistant_message_event), text="".join(self.texts))
        return attrs.evolve(self.last, assistant_message_event=delta, first_seq=self.first_seq)


@attrs.define(eq=False)
class _Latest:
    """Progress of one tool call that lies unread: only the latest is kept."""

    first_seq: int
    last: ToolExecutionUpdateEvent
    count: int = 1

    def take(self, event: ToolExecutionUpdateEvent) -> None:
        self.last = event
        self.count += 1

    def event(self) -> ToolExecutionUpdateEvent:
        return self.last if self.count == 1 else attrs.evolve(self.last, first_seq=self.first_seq)


@attrs.define(eq=False)
class Subscription:
    """An async iterator of the events that match; read by one task at a time.

    Under `conflate` a merged event stands at the place of its first delta.
    """

    pattern: str
    matches: Callable[[str], object]
    """Whether a path is meant."""
    _policy: Policy
    has_deltas: bool = True
    """Whether it gets `MessageUpdateEvent`, too."""
    _buffer: OrderedDict[int, Event | _Merging | _Latest] = attrs.field(factory=OrderedDict, init=False)
    """In order of arrival, keyed by `seq` (of a merged event: its first)."""
    _open_blocks: dict[str, tuple[_Key, int]] = attrs.field(factory=dict, init=False)
    """For each path, the block whose next delta may merge, and the key of the entry it merges into."""
    _gap: Gap | None = attrs.field(default=None, init=False)
    _crowded_since: float | None = attrs.field(default=None, init=False)
    _readers: WaitSet = attrs.field(factory=WaitSet, init=False)
    _writers: WaitSet = attrs.field(factory=WaitSet, init=False)
    _error: SubscriberTooSlowError | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    peak: int = attrs.field(default=0, init=False)
    """The most events that ever lay unread."""

    def __repr__(self) -> str:
        return f"<Subscription {self.pattern!r} {len(self._buffer)} unread{' closed' if self._closed else ''}>"

    @property
    def is_full(self) -> bool:
        """Whether a producer of deltas has to wait for this one."""
        return not self._policy.conflates and not self._closed and len(self._buffer) >= self._policy.capacity

    def offer(self, event: Event, now: float) -> bool:
        """Take an event; False if this subscriber has been too slow for too long and is to be cut off."""
        if self._policy.conflates:
            self._conflate(event)
        else:
            self._buffer[event.seq] = event
            if (len(self._buffer) > self._policy.capacity or self._crowded_since is not None) and not self._keeps_up(
                now
            ):
                return False
        if (depth := len(self._buffer)) > self.peak:
            self.peak = depth
        if self._readers.tasks:
            self._readers.wake_all()
        return True

    def _keeps_up(self, now: float) -> bool:
        if len(self._buffer) <= self._policy.capacity:
            self._crowded_since = None
            return True
        if self._crowded_since is None:
            self._crowded_since = now
        too_long = now - self._crowded_since > self._policy.stall
        return not too_long and len(self._buffer) <= self._policy.capacity * _HARD_FACTOR

    def _conflate(self, event: Event) -> None:
        block_key = _block_key(event)
        known, place = self._open_blocks.pop(event.path, (None, 0))
        entry = self._buffer.get(place) if block_key is not None and block_key == known else None
        if entry is None:
            place = event.seq
            self._buffer[place] = event if block_key is None else _entry(event)
        else:
            cast("_Merging", entry).take(cast("MessageUpdateEvent", event))
        if block_key is not None:
            self._open_blocks[event.path] = (block_key, place)
        while len(self._buffer) > self._policy.capacity:
            self._lose(self._buffer.popitem(last=False)[1])

    def _lose(self, entry: Event | _Merging | _Latest) -> None:
        if isinstance(entry, _Merging | _Latest):
            first, last, count = entry.first_seq, entry.last.seq, entry.count
        else:
            first, last, count = entry.seq, entry.seq, 1
        known = self._gap
        self._gap = (
            Gap(first, last, count) if known is None else Gap(known.first, max(known.last, last), known.count + count)
        )

    async def wait_for_room(self) -> bool:
        """Wait for the reader; False if it did not come within `stall` seconds."""
        with trio.move_on_after(self._policy.stall):
            while self.is_full:
                await self._writers.wait()
            return True
        return False

    def close(self) -> None:
        """End the iteration after what lies in the buffer."""
        self._closed = True
        self._readers.wake_all()
        self._writers.wake_all()

    def fail_as_too_slow(self) -> SubscriberTooSlowError:
        """Make the iteration raise once what lies in the buffer is read."""
        self._error = SubscriberTooSlowError(self.pattern, self._policy.stall)
        return self._error

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event | Gap:
        """Wait for the next event. A cancel loses nothing: the pop comes after the wake-up, without a wait between.

        Raises:
            StopAsyncIteration: The subscription was closed, or the system has stopped.
            SubscriberTooSlowError: This subscriber was cut off; what it had is read first.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            item = self.next_nowait()
            if item is not None:
                return item
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            await self._readers.wait()

    def next_nowait(self) -> Event | Gap | None:
        """Take the next event if there is one."""
        if self._gap is not None:
            gap, self._gap = self._gap, None
            return gap
        if not self._buffer:
            return None
        _, entry = self._buffer.popitem(last=False)
        if len(self._buffer) <= self._policy.capacity:
            self._crowded_since = None
            if self._writers.tasks:
                self._writers.wake_all()
        return entry.event() if isinstance(entry, (_Merging, _Latest)) else entry

    def statistics(self) -> dict[str, int]:
        """Depth and peak of the buffer, its bound, and how many producers wait."""
        return {
            "depth": len(self._buffer),
            "peak": self.peak,
            "capacity": self._policy.capacity,
            "waiting": len(self._writers.tasks),
        }


def _block_key(event: Event) -> _Key | None:
    """What an event may merge with: the deltas of its block, or the earlier progress of its tool call."""
    if isinstance(event, MessageUpdateEvent):
        delta = event.assistant_message_event
        if isinstance(delta, _DELTAS):
            return (event.path, event.run, event.turn, delta.type, delta.content_index)
    elif isinstance(event, ToolExecutionUpdateEvent):
        return (event.path, event.run, event.turn, event.type, event.tool_call_id)
    return None


def _entry(event: Event) -> Event | _Merging | _Latest:
    if isinstance(event, MessageUpdateEvent):
        return _Merging(event.first_seq, event, [cast("Delta", event.assistant_message_event).text])
    return _Latest(event.first_seq, event) if isinstance(event, ToolExecutionUpdateEvent) else event
