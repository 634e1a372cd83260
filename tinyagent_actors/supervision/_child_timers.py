"""ChildTimers: the one timer that a supervisor has for each child."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Final

import attrs

from tinyagent_actors.supervision._child import Child

_FEW: Final = 64
_NEVER: Final = float("inf")


@attrs.define(eq=False)
class ChildTimers:
    """The timers of a supervisor's children: a heap whose stale entries are passed over, and swept when they are many."""

    _heap: list[tuple[float, int, Child]] = attrs.field(factory=list, init=False)
    _order: Iterator[int] = attrs.field(factory=itertools.count, init=False)
    _armed: int = attrs.field(default=0, init=False)
    earliest: float = attrs.field(default=_NEVER, init=False)
    """No timer is due before; the one that would have been may have been taken away."""

    def arm(self, child: Child, when: float) -> None:
        """Set the timer of `child`, in place of the one it had. ``inf`` sets none."""
        if child.due is not None:
            self.disarm(child)
        if when != _NEVER:
            child.due = when
            self._armed += 1
            heapq.heappush(self._heap, (when, next(self._order), child))
            self.earliest = min(self.earliest, when)
            if len(self._heap) > 2 * self._armed + _FEW:
                self._heap = [entry for entry in self._heap if entry[2].due == entry[0]]
                heapq.heapify(self._heap)

    def disarm(self, child: Child) -> None:
        """Take the timer of `child` away."""
        if child.due is not None:
            child.due = None
            self._armed -= 1

    def next_due(self) -> float:
        """When the next timer is due; ``inf`` if there is none."""
        while self._heap and self._heap[0][2].due != self._heap[0][0]:
            heapq.heappop(self._heap)
        self.earliest = self._heap[0][0] if self._heap else _NEVER
        return self.earliest

    def take_due(self, now: float) -> Child | None:
        """Take a child whose timer is due; None if there is none."""
        if self.next_due() > now:
            return None
        child = heapq.heappop(self._heap)[2]
        self.disarm(child)
        return child
