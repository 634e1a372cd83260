"""Timers: messages that an actor sends to itself, later or again and again."""

from __future__ import annotations

import heapq
import math
from typing import Any, Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors._seconds import check_seconds

_SWEEP_AT: Final = 64
"""How many cancelled timers are kept, if they are no more than those that run."""


@attrs.define(eq=False)
class Timer:
    """A message to come. Made by `ctx.send_after` and `ctx.send_every`; it ends with the incarnation that made it."""

    message: Any
    _timers: Timers = attrs.field(repr=False)
    cause: int | None = attrs.field(repr=False)
    """`seq` of the event that led to it."""
    _origin: float = attrs.field(repr=False)
    """When the first message is due, on Trio's clock."""
    interval: float | None = None
    """Seconds from each message to the next; None if there is only one."""
    missed: int = attrs.field(default=0, init=False)
    """Periodic messages that were left out, because the actor had not read the one before them in time."""
    _count: int = attrs.field(default=0, init=False, repr=False)
    due: float | None = attrs.field(default=None, init=False, repr=False)
    """When its message is due; None if none will come."""

    def __attrs_post_init__(self) -> None:
        self.due = self._origin

    @property
    def is_active(self) -> bool:
        """Whether a message is still to come."""
        return self.due is not None

    def cancel(self) -> None:
        """Send nothing any more, also if a message is due and unread; a second time changes nothing."""
        if self.due is not None:
            self.due = self.message = None
            self._timers.note_cancelled()

    def fire(self, now: float) -> Any:
        """Give the message, and go on to the next: the first that is due after `now`."""
        message = self.message
        if self.interval is None:
            self.due = self.message = None
        else:
            following = max(self._count, math.floor((now - self._origin) / self.interval)) + 1
            while self._origin + following * self.interval <= now:  # the division may round down
                following += 1
            self.missed += following - self._count - 1
            self._count = following
            self.due = self._origin + following * self.interval
        return message


@attrs.define(eq=False)
class Timers:
    """The timers of one incarnation, by when they are due."""

    _heap: list[tuple[float, int, Timer]] = attrs.field(factory=list, init=False, repr=False)
    _made: int = attrs.field(default=0, init=False, repr=False)
    _cancelled: int = attrs.field(default=0, init=False, repr=False)

    def add(self, now: float, seconds: float, message: object, cause: int | None, *, repeats: bool) -> Timer:
        """Make a timer.

        Raises:
            SpecError: `seconds` is no number of seconds; or 0 or ``inf``, and it is to repeat.
        """
        check_seconds("seconds", seconds)
        if repeats and not 0 < seconds < math.inf:
            raise SpecError("seconds", f"must be more than 0 and finite, is {seconds!r}")
        timer = Timer(message, self, cause, now + seconds, seconds if repeats else None)
        self._push(timer)
        return timer

    def _push(self, timer: Timer) -> None:
        if timer.due is not None:
            self._made += 1
            heapq.heappush(self._heap, (timer.due, self._made, timer))

    def next_due(self) -> float:
        """Give when the next message is due; ``inf`` if none is to come."""
        self._drop_cancelled()
        return self._heap[0][0] if self._heap else math.inf

    def take_due(self, now: float) -> Timer | None:
        """Give the timer that has been due longest, to `fire` it and to `put_back`; None if none is."""
        self._drop_cancelled()
        return heapq.heappop(self._heap)[2] if self._heap and self._heap[0][0] <= now else None

    def put_back(self, timer: Timer) -> None:
        """Keep a timer that has fired, if it is to fire again."""
        self._push(timer)

    def _drop_cancelled(self) -> None:
        while self._heap and not self._heap[0][2].is_active:
            heapq.heappop(self._heap)
            self._cancelled -= 1

    def note_cancelled(self) -> None:
        """Count one that was cancelled; those are let go when they are more than half of all."""
        self._cancelled += 1
        if self._cancelled > _SWEEP_AT and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].is_active]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def clear(self) -> None:
        """Cancel them all."""
        for _, _, timer in self._heap:
            timer.due = timer.message = None
        self._heap.clear()
        self._cancelled = 0
