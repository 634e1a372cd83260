"""The clocks of a run: how long it and each of its turns may last, and how it lands softly.

A turn's clock stands below the run's; the run's stands below whatever its agent is a part of: the call, turn and run of the agent that asked,
the lease of a tree. A turn whose time is over ends the run, so both have one scope, that of the run, which follows the inner of
their clocks; an interrupt cancels the same one. An ended run raises the error of the clock that has run out, whichever that was; what the
model had said by then is in the transcript, and each of its calls has its result, because that is how a run takes any cancel.

The race. *The time of a turn passes in the very tick in which the turn ends*: the scope is cancelled, and nobody was told. If the run is
done with that, it is; otherwise the next await ends it, with the error of the turn.

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
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Token
from types import TracebackType

import attrs
import trio

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.actors import (
    CancelCause,
    Clock,
    ClockAbove,
    OuterDeadline,
    ReplySlot,
    current_cell,
    current_clock,
)
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.messages import UserMessage


@attrs.define(eq=False)
class RunClocks:
    """The clocks of one run, from when it begins, and the one scope that they end."""

    limits: Limits
    path: str
    """The agent's."""
    above: tuple[ClockAbove, ...] = ()
    """What the run is a part of."""
    _run: Clock | None = attrs.field(default=None, init=False)
    _inner: Clock | None = attrs.field(default=None, init=False)
    """The turn's during a turn, the run's between two."""
    _margin: float = attrs.field(default=math.inf, init=False)
    """Seconds before the end at which the run begins to land; ``inf``: it does not."""
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    _was_cancelled: bool = attrs.field(default=False, init=False)
    """Whether a cancel came before any deadline: then that is what ended the run, however long its cleanup took."""
    _unheard: TinyAgentError | None = attrs.field(default=None, init=False, repr=False)
    """The error of a turn whose time was over as it ended, before any await had told it."""
    error: TinyAgentError | None = attrs.field(default=None, init=False)
    """Says which deadline has ended the run, if one did."""
    is_landing: bool = attrs.field(default=False, init=False)
    """Whether this is the last turn: it has no tools."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Be the run: the block is ended when its time is over, or by `cancel`. To be entered at once, in the task that calls.

        Raises:
            DeadlineExceededError: A deadline ended the block; it says which. Another error where a clock above means one.
        """
        asking = current_clock.get()
        above = self.above if asking is None or asking in self.above else (*self.above, asking)
        run = self._run = Clock("run", _seconds(self.limits.run_seconds), path=self.path, above=above)
        whole = min(clock.left for clock in run.line())
        if self.limits.soft_landing is not None and whole < math.inf:
            self._margin = (1 - self.limits.soft_landing) * whole
        return _Running(self, run, self._scope)

    def turn(self) -> AbstractContextManager[None]:
        """Be the next turn: the run is ended when the turn's time is over. Whether it is the last: see `is_landing`."""
        assert self._run is not None, "it is running"
        self.is_landing = trio.current_time() >= self._landing_at()
        return _Turn(self, Clock("turn", _seconds(self.limits.turn_seconds), path=self.path, above=(self._run,)))

    def above_calls(self) -> tuple[ClockAbove, ...]:
        """Give what stands above the clocks of this turn's calls."""
        assert self._inner is not None, "it is running"
        is_last = self.is_landing or self._margin == math.inf
        return (self._inner,) if is_last else (self._inner, OuterDeadline("landing", self._landing_at, self.path))

    def notice(self, usable: Collection[str]) -> UserMessage:
        """Give the message that tells the model that this is the last turn, and by name what may still be called."""
        assert self._run is not None, "it is running"
        left = min(clock.left for clock in self._run.line())
        what = f"Only {', '.join(usable)} can still" if usable else "Tools can no longer"
        text = f"Notice: the time of this run is nearly up; {left:.3g} s are left. {what} be called. "
        return UserMessage(text + "Answer now with what you have.")

    def cancel(self, reason: str) -> None:
        """End the run, also before it begins; for Trio's reports, why."""
        if self._over() is None:
            self._was_cancelled = True
        self._scope.cancel(reason=reason)

    def hear_cancelled(self) -> str | None:
        """Hear that `Cancelled` has come, before anything is cleaned up: say which deadline it was; None, and note it, if none."""
        over = self._over()
        if over is None:
            self._was_cancelled = True
        return None if over is None else str(over)

    def note_end(self) -> None:
        """Hear that the run is being ended: note which deadline it was, if one has passed. The first one counts."""
        if self.error is None:
            self.error = self._over()

    def _over(self) -> TinyAgentError | None:
        """Give the error of the deadline that has passed; None if there is time left, or the run was cancelled before."""
        if self._was_cancelled or self._inner is None:
            return None
        over = self._inner.ran_out()
        return self._unheard if over is None else over.error()

    def _landing_at(self) -> float:
        if self._run is None or self._margin == math.inf:
            return math.inf
        return min(clock.at for clock in self._run.line()) - self._margin

    def enter(self, clock: Clock) -> None:
        """Hear that a run or a turn begins, and have the scope end with its clock."""
        self._inner = clock
        if clock is self._run or clock.seconds < math.inf:
            clock.follow(self._move)
            self._move()

    def leave_turn(self, clock: Clock) -> None:
        """Hear that a turn is over."""
        if clock.seconds < math.inf and self._scope.cancel_called:
            self._unheard = self._over()
        self._inner = self._run
        if clock.seconds < math.inf:
            clock.unfollow(self._move)
            self._move()

    def leave_run(self, clock: Clock) -> None:
        """Hear that the run is over."""
        clock.unfollow(self._move)

    def _move(self) -> None:
        assert self._inner is not None, "it is running"
        deadline = self._inner.deadline
        if deadline != self._scope.deadline:  # to set it costs much more than to look
            self._scope.deadline = deadline


@attrs.define(eq=False)
class _Running(AbstractAsyncContextManager[None]):
    """The block of a run, which its clocks end. A class, since every run enters one; so is `_Turn`."""

    _clocks: RunClocks
    _clock: Clock
    _scope: trio.CancelScope
    _token: Token[Clock | None] = attrs.field(init=False)

    async def __aenter__(self) -> None:
        self._token = current_clock.set(self._clock)
        self._clocks.enter(self._clock)
        self._scope.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        clocks = self._clocks
        try:
            if isinstance(raised, trio.Cancelled):
                clocks.note_end()  # here, because where a scope further out is cancelled too, that one will catch it
            is_caught = self._scope.__exit__(kind, raised, traceback)
        finally:
            clocks.leave_run(self._clock)
            current_clock.reset(self._token)
        if self._scope.cancelled_caught and clocks.error is not None:
            await trio.lowlevel.checkpoint_if_cancelled()  # whoever cancels further out goes first
            raise clocks.error
        return is_caught


@attrs.define(eq=False)
class _Turn(AbstractContextManager[None]):
    """The block of a turn."""

    _clocks: RunClocks
    _clock: Clock
    _token: Token[Clock | None] = attrs.field(init=False)

    def __enter__(self) -> None:
        self._token = current_clock.set(self._clock)
        self._clocks.enter(self._clock)

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(raised, trio.Cancelled):
            self._clocks.note_end()
        self._clocks.leave_turn(self._clock)
        current_clock.reset(self._token)


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
