"""The world of the model: what is described, what time it is, what is due, and what has happened."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from tests.supervision._model import Member

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one", "dynamic"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Kind: TypeAlias = Literal["normal", "error", "killed", "shutdown", "gave_up"]
INF = float("inf")


@attrs.frozen
class Leaf:
    """A worker: how long it takes to start and to stop, and how long it may."""

    name: str
    restart: Restart
    start_seconds: float = 0.0
    stop_seconds: float = 0.0
    """`INF`: it never stops by itself."""
    shutdown: float | Literal["kill"] = 5.0


@attrs.frozen
class Tree:
    """A supervisor with its static children."""

    name: str
    restart: Restart
    strategy: Strategy
    children: tuple[Leaf | Tree, ...] = ()
    max_restarts: int = 3
    max_seconds: float = 5.0
    backoff: tuple[float, float] | None = None
    """Its first and its longest wait."""


Spec: TypeAlias = Leaf | Tree


@attrs.define(eq=False)
class World:
    """The time, what is due, and what has happened."""

    now: float = 0.0
    trace: list[tuple[str, str]] = attrs.field(factory=list)
    """`+` and the path of a worker that has started, `-` of one that has ended."""
    killed: set[str] = attrs.field(factory=set)
    """Supervisors whose children ended all at once, in no order."""
    restless: set[str] = attrs.field(factory=set)
    """Supervisors that restart somebody in the moment in which they have started, while the one above goes on, too; or that stop in
    the moment in which they begin somebody by order: that one may have started, or not."""
    loose: dict[str, Member] = attrs.field(factory=dict)
    """Members that are started by order, beside whatever their supervisor, or one above, is doing."""
    failures: Counter[str] = attrs.field(factory=Counter)
    """How often the next starts of a worker fail."""
    cells: Counter[tuple[str, str, str, str]] = attrs.field(factory=Counter)
    """What was seen of (strategy, restart type, kind of exit, phase)."""
    _due: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _order: Iterator[int] = attrs.field(factory=itertools.count)

    def later(self, member: Member, seconds: float, action: Callable[[], None]) -> None:
        """Do it after so many seconds, unless the member has begun something else by then."""
        epoch = member.epoch

        def act() -> None:
            if member.epoch == epoch:
                action()

        if seconds != INF:
            heapq.heappush(self._due, (self.now + seconds, next(self._order), act))

    def soon(self, action: Callable[[], None]) -> None:
        """Do it after all that is to be done now."""
        heapq.heappush(self._due, (self.now, next(self._order), action))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with all that is due meanwhile."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, act = heapq.heappop(self._due)
            act()
        self.now = end
