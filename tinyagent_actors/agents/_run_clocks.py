"""The clocks of a run: how long it and each of its turns may last, and how it lands softly.

A turn's clock stands below the run's; the run's stands below whatever its agent is a part of: the call, turn and run of the agent that asked,
the lease of a tree. An ended turn or run raises the error of the clock that has run out, whichever of them that was; what the
model had said by then is in the transcript, and each of its calls has its result, because that is how a run takes any cancel.

Soft landing. A run that is cut at its deadline has worked for nothing if the model did not come to say what it had found. So the
last part of the time is kept for one last turn: at `Limits.soft_landing` of it tools are ended (by the deadline named
``landing``), an answer that is on its way is let finish, and the next request carries a notice and no tools. After that turn the run is
over; if the deadline comes before, it is the hard stop. The moment is a distance from the end, so it moves with every pause.
The time that counts is that of the clocks: the run's own limit, and what the call of another agent has that asked. A
plain cancel scope of a caller's does not count: whoever sets one has said when to stop, not when to hurry.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from contextvars import Token
from types import TracebackType

import attrs
import trio

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.actors import (
    CancelCause,
    Clock,
    ClockAbove,
    ClockScope,
    OuterDeadline,
    ReplySlot,
    current_cell,
    current_clock,
)
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.messages import UserMessage


@attrs.define(eq=False)
class RunClocks:
    """The clocks of one run, from when it begins."""

    limits: Limits
    path: str
    """The agent's."""
    above: tuple[ClockAbove, ...] = ()
    """What the run is a part of."""
    _run: Clock | None = attrs.field(default=None, init=False)
    _margin: float = attrs.field(default=math.inf, init=False)
    """Seconds before the end at which the run begins to land; ``inf``: it does not."""
    _scopes: list[ClockScope] = attrs.field(factory=list, init=False, repr=False)
    error: TinyAgentError | None = attrs.field(default=None, init=False)
    """Says which deadline has ended the run, if one did."""
    is_landing: bool = attrs.field(default=False, init=False)
    """Whether this is the last turn: it has no tools."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Be the run: the block is ended when its time is over. To be entered at once, in the task that calls.

        Raises:
            DeadlineExceededError: A deadline ended the block; it says which. Another error where a clock above means one.
        """
        asking = current_clock.get()
        above = self.above if asking is None or asking in self.above else (*self.above, asking)
        run = self._run = Clock("run", _seconds(self.limits.run_seconds), path=self.path, above=above)
        whole = min(clock.left for clock in run.line())
        if self.limits.soft_landing is not None and whole < math.inf:
            self._margin = (1 - self.limits.soft_landing) * whole
        return _Limited(self, run)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Be the next turn: the block is ended when its time, or the run's, is over. Whether it is the last: see `is_landing`.

        Raises:
            DeadlineExceededError: As of `running`.
        """
        assert self._run is not None, "it is running"
        self.is_landing = trio.current_time() >= self._landing_at()
        return _Limited(self, Clock("turn", _seconds(self.limits.turn_seconds), path=self.path, above=(self._run,)))

    def above_calls(self) -> tuple[ClockAbove, ...]:
        """Give what stands above the clocks of this turn's calls."""
        turn = self._scopes[-1].clock
        is_last = self.is_landing or self._margin == math.inf
        return (turn,) if is_last else (turn, OuterDeadline("landing", self._landing_at, self.path))

    def notice(self, usable: Collection[str]) -> UserMessage:
        """Give the message that tells the model that this is the last turn, and by name what may still be called."""
        assert self._run is not None, "it is running"
        left = min(clock.left for clock in self._run.line())
        what = f"Only {', '.join(usable)} can still" if usable else "Tools can no longer"
        text = f"Notice: the time of this run is nearly up; {left:.3g} s are left. {what} be called. "
        return UserMessage(text + "Answer now with what you have.")

    def hear_cancelled(self) -> str | None:
        """Hear that `Cancelled` has come, before anything is cleaned up: say which deadline it was; None, and note it, if none."""
        over = self._scopes[-1].ended_by
        if over is not None:
            return str(over.error())
        for scope in self._scopes:
            scope.note_cancelled()
        return None

    def _landing_at(self) -> float:
        if self._run is None or self._margin == math.inf:
            return math.inf
        return min(clock.at for clock in self._run.line()) - self._margin

    def enter(self, scope: ClockScope) -> None:
        """Hear of a scope that is about to be entered, further in than the others."""
        self._scopes.append(scope)

    def leave(self, scope: ClockScope) -> None:
        """Hear of a scope that was left."""
        self._scopes.remove(scope)

    def note_end(self, scope: ClockScope) -> None:
        """Hear that the block of a scope was ended: note which deadline it was, if one has passed. The first one counts."""
        over = scope.ended_by
        if over is not None and self.error is None:
            self.error = over.error()


@attrs.define(eq=False)
class _Limited(AbstractAsyncContextManager[None]):
    """The block of a run or of a turn, which its clock ends. A class, since every turn enters one."""

    _clocks: RunClocks
    _clock: Clock
    _scope: ClockScope = attrs.field(init=False)
    _token: Token[Clock | None] = attrs.field(init=False)

    async def __aenter__(self) -> None:
        self._scope = ClockScope(self._clock)
        self._token = current_clock.set(self._clock)
        self._clocks.enter(self._scope)
        self._scope.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        scope, clocks = self._scope, self._clocks
        try:
            if isinstance(raised, trio.Cancelled):
                clocks.note_end(
                    scope
                )  # here, because where a scope further out is cancelled too, that one will catch it
            is_caught = scope.__exit__(kind, raised, traceback)
        finally:
            clocks.leave(scope)
            current_clock.reset(self._token)
        if scope.cancelled_caught:
            clocks.note_end(scope)
            await trio.lowlevel.checkpoint_if_cancelled()  # whoever cancels further out goes first
            if clocks.error is not None:
                raise clocks.error
        return is_caught


def _seconds(limit: float | None) -> float:
    return math.inf if limit is None else limit


def clocks_of_asker(slot: ReplySlot | None) -> tuple[ClockAbove, ...]:
    """Give what stands above a run that was asked for: the clock that waits for it, and a deadline of the caller's own."""
    if slot is None:
        return ()
    clock, own = slot.clock, OuterDeadline("caller", lambda: slot.deadline)
    return (own,) if clock is None else (clock, own)


def outer_cause() -> CancelCause:
    """Say who cancels the task that runs now, from outside its run."""
    cell = current_cell()
    cause = None if cell is None else cell.cancelling or cell.stopping
    return cause or CancelCause("an outer scope", "the run was cancelled from outside", "outer")
