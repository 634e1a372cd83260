"""Clock: a named deadline that can be paused, and tells which of several nested ones has run out.

The design. A clock has a name, a moment at which it runs out, and clocks above it: those of whatever it is a part of. A tool
call stands below its turn, that below its run, that below the call of another agent that asked for the run, and below the
lease of its tree. What ends the call is the nearest of them all; `nearest()` walks up and says which that is. A scope of
Trio's follows a clock (`ClockScope`): its deadline is set anew whenever a clock on the way up moves.

Pausing. `pause()` stops the clock *and all above it*: what is left of each is saved and its moment becomes ``inf``; when the pause
ends, the moment is now plus what was left, which under a virtual clock is exact. Pauses count, so two that overlap
end with the later. A clock beside the way up (a sibling call) runs on, but what it inherits from above is held with it. A clock that
has run out cannot be paused: a pause in the tick of the deadline comes too late.

What is not ours is never paused: a `fail_after` of a user's around all that is an `OuterDeadline`, read anew at each move,
because scopes of ours that have moved may stand around it or in it.

Which one. Two things are told apart that Trio cannot: a scope that was cancelled before its deadline came, and then took its time to
clean up, was cancelled (`ClockScope.cancel` writes it down); and of several deadlines that have passed when somebody looks, the
one that passed first did it, an inner one before an outer one of the same moment. A `TooSlowError` that a tool raises from a
`fail_after` of its own is the tool's error and touches no clock.

The races. *A move while a scope is not yet entered*: it reads its deadline when it is entered. *Order*: all moments are set before anybody is
told, and who is told first stands further out, so an `OuterDeadline` that reads Trio's scopes finds them moved.

Refused: nested scopes alone (a tool's task has a scope that no scope of the run is around, and an agent that was asked runs in
another actor), a task that watches the time (one more task for each call), and counting the time that passes in ticks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import DeadlineExceededError, TinyAgentError


@attrs.define(eq=False)
class OuterDeadline:
    """A deadline that nobody here can pause; it stands above a clock and is read anew whenever that moves."""

    name: str
    _read: Callable[[], float] = attrs.field(repr=False)
    """Gives it; ``-inf`` where there is none any more, because what it ends is cancelled: then it is what it was."""
    path: str | None = None
    _latest: float = attrs.field(default=math.inf, init=False)

    @property
    def at(self) -> float:
        """When it passes, on Trio's clock."""
        now = self._read()
        if now > -math.inf:
            self._latest = now
        return self._latest

    def error(self) -> TinyAgentError:
        """Give the error that says it has passed."""
        return DeadlineExceededError(self.name, self.path)


@attrs.define(eq=False)
class Clock:
    """A deadline with a name. It runs from when it is made."""

    name: str
    """What a result, an error or an event calls it: ``tool``, ``turn``, ``run``."""
    seconds: float = math.inf
    """How long it runs; ``inf``: it never runs out by itself."""
    path: str | None = attrs.field(default=None, kw_only=True)
    """Whose it is."""
    above: tuple[Clock | OuterDeadline, ...] = attrs.field(default=(), kw_only=True, repr=False)
    failure: TinyAgentError | None = attrs.field(default=None, kw_only=True, repr=False)
    """What it means that this one has run out; None: a `DeadlineExceededError` with its name."""
    at: float = attrs.field(init=False)
    """When it runs out by itself, on Trio's clock; ``inf`` while it is paused."""
    _left: float | None = attrs.field(default=None, init=False)
    """While it is paused: what is left of it. None if it had run out."""
    _pauses: int = attrs.field(default=0, init=False)
    _below: dict[Callable[[], None], None] = attrs.field(factory=dict, init=False, repr=False)
    """Who is told of each move: scopes, then clocks below. One that nobody follows is not known above."""

    def __attrs_post_init__(self) -> None:
        self.at = trio.current_time() + self.seconds

    @property
    def is_paused(self) -> bool:
        """Whether it stands."""
        return self._pauses > 0

    @property
    def left(self) -> float:
        """Seconds left of it, not of those above; 0 if it has run out."""
        return max(0.0, self.at - trio.current_time()) if self._left is None else self._left

    @property
    def deadline(self) -> float:
        """When it or one above it runs out: the moment that scopes follow."""
        return self._find()[0]

    def nearest(self) -> Clock | OuterDeadline:
        """Give the one that runs out first, or did: this one, or one above. Of two at the same moment it is the inner."""
        return self._find()[1]

    def ran_out(self) -> Clock | OuterDeadline | None:
        """Give the one that has run out, the first if there are several; None if there is time left."""
        at, nearest = self._find()
        return nearest if at <= trio.current_time() else None

    def error(self) -> TinyAgentError:
        """Give the error that says it has run out."""
        return self.failure or DeadlineExceededError(self.name, self.path)

    def _find(self) -> tuple[float, Clock | OuterDeadline]:
        at, nearest = self.at, self
        found: Clock | OuterDeadline = nearest
        for above in self.above:
            other_at, other = (above.at, above) if isinstance(above, OuterDeadline) else above._find()  # noqa: SLF001
            if other_at < at:
                at, found = other_at, other
        return at, found

    def line(self) -> tuple[Clock, ...]:
        """Give this clock and all above it, each once; outer ones after inner ones."""
        found: dict[Clock, None] = {}
        waiting = [self]
        while waiting:
            clock = waiting.pop()
            if clock not in found:
                found[clock] = None
                waiting += [above for above in reversed(clock.above) if isinstance(above, Clock)]
        return tuple(found)

    def pause(self) -> Pause:
        """Stop this clock and all above it, until the pause is ended. Pauses count."""
        clocks = self.line()[::-1]
        now = trio.current_time()
        for clock in clocks:
            clock._stop(now)  # noqa: SLF001  # of its own class
        for clock in clocks:
            clock._tell_move()  # noqa: SLF001
        return Pause(clocks)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have this clock and all above it stand for the length of the block, however it is left."""
        pause = self.pause()
        try:
            yield
        finally:
            pause.end()

    def follow(self, on_move: Callable[[], None]) -> None:
        """Have `on_move` called whenever this clock or one above it has moved. It must not raise."""
        if not self._below:
            for above in self.above:
                if isinstance(above, Clock):
                    above.follow(self._tell_move)
        self._below[on_move] = None

    def unfollow(self, on_move: Callable[[], None]) -> None:
        """Undo `follow`; of what does not follow, nothing."""
        if self._below.pop(on_move, self) is None and not self._below:
            for above in self.above:
                if isinstance(above, Clock):
                    above.unfollow(self._tell_move)

    def _tell_move(self) -> None:
        for on_move in tuple(self._below):
            on_move()

    def _stop(self, now: float) -> None:
        self._pauses += 1
        if self._pauses == 1 and self.at > now:
            self._left = self.at - now
            self.at = math.inf

    def _go(self, now: float) -> None:
        self._pauses -= 1
        if self._pauses == 0 and self._left is not None:
            self.at = now + self._left
            self._left = None


@attrs.define(eq=False)
class Pause:
    """Clocks that stand. Made by `Clock.pause`."""

    _clocks: tuple[Clock, ...] = attrs.field(repr=False)

    def end(self) -> None:
        """Let them run on, unless another pause holds them; a second time changes nothing."""
        clocks, self._clocks = self._clocks, ()
        now = trio.current_time()
        for clock in clocks:
            clock._go(now)  # noqa: SLF001  # the other half of the clock
        for clock in clocks:
            clock._tell_move()  # noqa: SLF001


@attrs.define(eq=False)
class ClockScope:
    """A cancel scope that ends when its clock, or one above it, runs out; and says which. Entered once.

    Example:
        >>> async def main():
        ...     with ClockScope(Clock("run", 5)) as scope:
        ...         await trio.sleep_forever()
        ...     return scope.ended_by.name
        >>> trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        'run'
    """

    clock: Clock
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    was_cancelled: bool = attrs.field(default=False, init=False)
    """Whether `cancel` came before the deadline: then that is what ended it, however long the cleanup took."""

    def __enter__(self) -> Self:
        self.clock.follow(self._move)
        self._move()
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            return self._scope.__exit__(kind, raised, traceback)
        finally:
            self.clock.unfollow(self._move)

    def _move(self) -> None:
        deadline = self.clock.deadline
        if deadline != self._scope.deadline:  # to set it costs much more than to look
            self._scope.deadline = deadline

    def cancel(self, reason: str | None = None) -> None:
        """Cancel it; also before it is entered."""
        if self.clock.ran_out() is None:
            self.was_cancelled = True
        self._scope.cancel(reason=reason)

    @property
    def cancel_called(self) -> bool:
        """Whether it is cancelled: its deadline has passed, or somebody has cancelled it."""
        return self._scope.cancel_called

    @property
    def cancelled_caught(self) -> bool:
        """Whether its block was left because it was cancelled."""
        return self._scope.cancelled_caught

    @property
    def ended_by(self) -> Clock | OuterDeadline | None:
        """The deadline that has passed; None if there is time left, or it was cancelled before."""
        return None if self.was_cancelled else self.clock.ran_out()


ClockAbove: TypeAlias = Clock | OuterDeadline
"""What may stand above a clock."""

current_clock: Final[ContextVar[Clock | None]] = ContextVar("tinyagent_actors_clock", default=None)
"""The clock of the tool call, turn or run whose work a task does. It travels with asks; background tasks have none."""
