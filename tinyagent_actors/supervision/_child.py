"""Child: what a supervisor keeps of one child, and the timer it has for it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from tinyagent_actors.actors import ActorRef, Address, CancelCause, Cell, ChildSpec, ReplySlot

ChildState: TypeAlias = Literal["starting", "running", "stopping", "stopped"]


@attrs.frozen
class ChildInfo:
    """One line of `which_children`."""

    name: str
    ref: ActorRef | None
    """None where no incarnation runs."""
    state: ChildState
    restart: str
    is_supervisor: bool


@attrs.frozen
class ChildCount:
    """What `count_children` gives."""

    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.define(eq=False)
class Child:
    """A child of a supervisor, through all its incarnations."""

    spec: ChildSpec
    address: Address
    state: ChildState = "stopped"
    cell: Cell | None = None
    is_new: bool = True
    """Whether it has never started: a failure now is given back to whoever asked for it, not retried."""
    on_started: ReplySlot | None = None
    """Who waits for its start."""
    on_ended: list[ReplySlot] = attrs.field(factory=list)
    """Who waits for its end."""
    is_dropped: bool = False
    """Whether its spec goes when it has ended."""
    cause: int | None = None
    """`seq` of the event of its latest end, which leads to its next start."""
    stop_cause: CancelCause | None = None
    due: float | None = None
    """When its timer is due: of starting, of stopping, or of dying; it has one at a time."""

    @property
    def ref(self) -> ActorRef:
        """A ref of its present incarnation."""
        return self.spec.ref_type(self.address, self.cell)


@attrs.define(eq=False)
class ChildTimers:
    """The timers of a supervisor's children: a heap whose stale entries are passed over, and swept when they are many."""

    _heap: list[tuple[float, int, Child]] = attrs.field(factory=list, init=False)
    _order: Iterator[int] = attrs.field(factory=itertools.count, init=False)
    _armed: int = attrs.field(default=0, init=False)

    def arm(self, child: Child, when: float) -> None:
        """Set the timer of `child`, in place of the one it had. ``inf`` sets none."""
        self.disarm(child)
        if when != float("inf"):
            child.due = when
            self._armed += 1
            heapq.heappush(self._heap, (when, next(self._order), child))
            if len(self._heap) > 2 * self._armed + 64:
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
        return self._heap[0][0] if self._heap else float("inf")

    def take_due(self, now: float) -> Child | None:
        """Take a child whose timer is due; None if there is none."""
        if self.next_due() > now:
            return None
        child = heapq.heappop(self._heap)[2]
        self.disarm(child)
        return child
