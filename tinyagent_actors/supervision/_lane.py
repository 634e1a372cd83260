"""Lane: where a supervisor hears of things, and who serves what lies there.

Where the supervisor's loop is parked, whoever posts something serves the lane himself, synchronously, before he goes on: a
start or a stop so needs half the turns of Trio's loop that it would need if the supervisor had to wake for each message. That is
safe because nothing in the machine waits. What is posted meanwhile is taken by whoever serves; what goes wrong is kept, and
raised by the supervisor's own task, for it is the supervisor's failure, not that of whoever told it something. Only timers,
a stop of the supervisor itself, and what comes while the loop is not parked need the loop's turn; so does what is much, and
is done a part in each turn (`do_in_turns`): meanwhile the loop does not park.

One cancel scope ends the loop's wait when a timer is due. It is entered once for all that comes until then, and its deadline
only ever moves forward: a scope for each wait, and moving its deadline with each start and stop, cost more than what is done
between. An alarm whose timer is gone wakes the loop once, for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from tinyagent_actors.actors import Mailbox
from tinyagent_actors.supervision._child_timers import ChildTimers
from tinyagent_actors.supervision._orders import Order


class Machine(Protocol):
    """What does the work. Nothing of it waits."""

    @property
    def is_done(self) -> bool:
        """Whether there will be nothing to do any more."""

    def serve_all(self) -> None:
        """Do all there is to do now: a stop, timers, orders, mail."""

    def serve_order(self, order: Order) -> None:
        """Do what an order says, and what follows from it; then what those on the lane say."""


@attrs.define(eq=False)
class Lane:
    """The lane of one incarnation of a supervisor."""

    mailbox: Mailbox
    _timers: ChildTimers
    _machine: Machine
    _until_due: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    """Around the loop's wait."""
    _alarm: float = attrs.field(default=float("inf"), init=False)
    """Its deadline; asking the scope itself costs more."""
    _is_serving: bool = attrs.field(default=False, init=False)
    _defect: BaseException | None = attrs.field(default=None, init=False)
    """What went wrong while somebody else served."""
    _part: Callable[[], bool] | None = attrs.field(default=None, init=False)
    """What is done a part in each turn of the loop, whatever else there is to do."""

    def post(self, order: Order) -> None:
        """Put something on the lane; if the loop is parked, it is done when this returns.

        Parked means: no stop and no timer is due, there are only orders.
        """
        mailbox = self.mailbox
        if self._is_serving:
            mailbox.control.append(order)
            return
        if mailbox.reader is None:
            mailbox.post(order)
            return
        self._is_serving = True
        try:
            self._machine.serve_order(order)
        except BaseException as defect:  # noqa: BLE001  # passed on to the task of the supervisor
            self._defect = defect
        finally:
            self._is_serving = False
        if self._machine.is_done or self._part is not None or self._defect is not None:
            mailbox.wake()
        elif self._timers.earliest < self._alarm:
            self._set_alarm()

    def post_later(self, order: Order) -> None:
        """Put something on the lane for the loop; for what is heard where nothing may be done, such as in the middle of a cancel."""
        self.mailbox.post(order)

    def do_in_turns(self, part: Callable[[], bool]) -> None:
        """Have something done a part in each turn of the loop, from now on, until it says that there is no more; in place of the one before."""
        self._part = part

    def serve(self) -> None:
        """Do all there is to do now, as the loop."""
        self._is_serving = True
        try:
            self._machine.serve_all()
            if self._part is not None and not self._part():
                self._part = None
        finally:
            self._is_serving = False

    async def serve_until_due(self) -> None:
        """Serve until a timer is due, or all is over. Cancelling it leaves what lies unread on the lane."""
        self._alarm = float("inf")
        with trio.CancelScope() as self._until_due:
            while not self._machine.is_done:
                self._set_alarm()
                if self._part is None:
                    await self.mailbox.wait()
                else:
                    await trio.lowlevel.checkpoint()
                if self._defect is not None:
                    raise self._defect
                self.serve()

    def _set_alarm(self) -> None:
        if self._timers.earliest < self._alarm:
            self._alarm = self._until_due.deadline = self._timers.earliest
