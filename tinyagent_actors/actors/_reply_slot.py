"""The one-shot place for the answer to an ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import outcome
import trio

from tinyagent_actors.actors._cancelled import read_deadline

if TYPE_CHECKING:
    from tinyagent_actors.actors._clock import Clock
    from tinyagent_actors.actors._dead_letters import DeadLetters


@attrs.define(eq=False)
class ReplySlot:
    """Where one answer goes. Whoever holds it answers once; a late or second answer is a dead letter."""

    path: str
    """The actor that was asked."""
    _deadline: float | trio.lowlevel.Task
    """The asker's effective deadline, or the asker, whose it is as long as it waits."""
    _dead_letters: DeadLetters
    _clock: Clock | None = None
    _outcome: outcome.Outcome[Any] | None = attrs.field(default=None, init=False)
    _asker: trio.lowlevel.Task | None = attrs.field(default=None, init=False)
    _on_withdraw: Callable[[], None] | None = attrs.field(default=None, init=False)
    is_withdrawn: bool = attrs.field(default=False, init=False)
    """Whether the asker went away: cancelled, or past its deadline."""

    @property
    def deadline(self) -> float:
        """When the asker stops waiting, on Trio's clock: its effective deadline as it is now.

        ``inf`` if it has none or was answered, ``-inf`` if it went away.
        """
        if self.is_withdrawn:
            return -float("inf")
        if self._outcome is not None:
            return float("inf")
        return self._deadline if isinstance(self._deadline, int | float) else read_deadline(self._deadline)

    @property
    def clock(self) -> Clock | None:
        """The clock of the call, turn or run that waits for the answer, as long as it waits; None if none does."""
        return None if self._outcome is not None or self.is_withdrawn else self._clock

    @property
    def is_answered(self) -> bool:
        """Whether an answer or an error was given."""
        return self._outcome is not None

    def reply(self, value: object) -> bool:
        """Answer; False if it came too late or twice, and is a dead letter now."""
        if self._settle(outcome.Value(value)):
            return True
        self._dead_letters.add(self.path, value, "late_reply" if self.is_withdrawn else "second_reply")
        return False

    def resolve(self, value: object) -> bool:
        """Answer where an answer that comes too late is nobody's loss; False if it did."""
        return self._settle(outcome.Value(value))

    def fail(self, error: BaseException) -> bool:
        """Make the ask raise `error`; False if it was settled or withdrawn before."""
        return self._settle(outcome.Error(error))

    def on_withdraw(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the asker goes away; at once if it has gone."""
        if self.is_withdrawn:
            callback()
        else:
            self._on_withdraw = callback

    @trio.lowlevel.enable_ki_protection
    def _settle(self, result: outcome.Outcome[Any]) -> bool:
        if self._outcome is not None or self.is_withdrawn:
            return False
        self._outcome = result
        self._forget_asker_and_asked()
        if self._asker is not None:
            trio.lowlevel.reschedule(self._asker, result)
            self._asker = None
        return True

    async def wait(self) -> Any:
        """Wait for the answer, as the asker. Cancelling it withdraws the ask.

        Raises:
            BaseException: Whatever `fail` was given.
        """
        if self._outcome is not None:
            return self._outcome.unwrap()
        self._asker = trio.lowlevel.current_task()

        def withdraw(_raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self.withdraw()
            return trio.lowlevel.Abort.SUCCEEDED

        answer: Any = await trio.lowlevel.wait_task_rescheduled(withdraw)
        return answer

    def withdraw(self) -> None:
        """Say that nobody waits for the answer any more."""
        if self._outcome is None and not self.is_withdrawn:
            self.is_withdrawn = True
            self._asker = None
            on_withdraw = self._on_withdraw
            self._forget_asker_and_asked()
            if on_withdraw is not None:
                on_withdraw()

    def _forget_asker_and_asked(self) -> None:
        """Keep neither alive: who is asked may hold the slot, which would be a circle."""
        self._deadline, self._clock, self._on_withdraw = float("inf"), None, None


@attrs.define(eq=False)
class Envelope:
    """An ask on its way. A tell travels as the bare pair of its message and its cause."""

    message: Any
    cause: int | None
    slot: ReplySlot


Item: TypeAlias = "tuple[Any, int | None] | Envelope"
"""What lies in a mailbox."""
