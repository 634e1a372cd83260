"""ChildRunner: how a supervisor starts, stops and cancels a child; when, and what follows, is the supervisor's affair.

Each child has one timer: of starting, of stopping, or of dying. A start that takes longer than `start_timeout`, and a stop
that takes longer than `shutdown`, are cancelled; a cancelled child has `CLEANUP_GRACE` to end, then the supervisor is
told that it will not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from tinyagent_actors._errors import StartTimeoutError
from tinyagent_actors.actors import ActorContext, Address, CancelCause, Cell, ChildSpec, OwnChildren, Owner
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_timers import ChildTimers

CLEANUP_GRACE: Final = 5.0
"""Seconds that a cancelled child has to clean up before it is given up."""


@attrs.define(eq=False)
class ChildRunner:
    """Starts, stops and cancels the children of one incarnation of a supervisor."""

    _context: ActorContext
    _owner: Owner
    _open_children: Callable[[Address], OwnChildren]
    """Makes what stands behind a child that starts children of its own."""
    _prefix: str = attrs.field(init=False)
    """What the paths of children begin with."""
    nursery: trio.Nursery = attrs.field(init=False)
    """Where children run."""
    timers: ChildTimers = attrs.field(factory=ChildTimers, init=False)
    _now: Callable[[], float] = attrs.field(factory=lambda: trio.lowlevel.current_clock().current_time, init=False)
    """The time on the run's clock, which `trio.current_time` has to look up first."""

    def __attrs_post_init__(self) -> None:
        self._prefix = self._context.path.rstrip("/") + "/"

    def path_of(self, name: str) -> str:
        """Give the path of a child of that name."""
        return self._prefix + name

    def new_address(self, spec: ChildSpec) -> Address:
        """Give a place for a child, with an empty mailbox and a uid of its own."""
        runtime = self._context.cell.address.runtime
        path = self._prefix + spec.name
        mailbox, opener = spec.new_mailbox(path, runtime), self._open_children
        return Address(
            path,
            spec.name,
            runtime.next_uid(),
            runtime,
            mailbox,
            self._owner,
            open_children=opener,
            keeps_children=spec.keep_children,
        )

    def start(self, child: Child) -> None:
        """Start the next incarnation."""
        address, spec = child.address, child.spec
        address.incarnation += 1
        cell = child.cell = address.cell = Cell(address, address.incarnation)
        cell.event = self._context.cell.event if child.cause is None else child.cause
        child.state = "starting"
        child.is_dying = child.is_to_start = False
        address.mailbox.renew()
        context = ActorContext(child.ref, cell)
        cell.spawn(self.nursery, spec.run, context)
        self.timers.arm(child, self._now() + spec.start_timeout)

    def stop(self, child: Child, cause: CancelCause) -> None:
        """Ask a child that runs to end in its `shutdown` time; not twice."""
        cell = child.cell
        if cell is None or child.state == "stopping":
            return
        is_starting = child.state == "starting"
        child.state = "stopping"
        child.stop_cause = cause
        cell.request_stop(cause, is_final=not child.is_to_start)
        if cell.cancelling is not None:
            self.await_end(child)
        elif child.spec.shutdown == "kill":
            cell.cancel(CancelCause(cause.by, cause.why, "kill"))
            self.await_end(child)
        else:
            due = self._now() + child.spec.shutdown
            self.timers.arm(child, min(due, child.due) if is_starting and child.due is not None else due)

    def await_end(self, child: Child) -> None:
        """Give a child that was cancelled its time to clean up; not a second time."""
        if not child.is_dying:
            child.is_dying = True
            self.timers.arm(child, self._now() + CLEANUP_GRACE)

    def is_given_up(self, child: Child) -> bool:
        """Take the next step with a child whose timer was due: cancel it; True if that was done, and it has not ended."""
        cell = child.cell
        if cell is None or cell.exit is not None or (child.state == "starting" and cell.has_started):
            return False  # it has ended, or started: the lane will say so
        if cell.cancelling is not None:
            return True
        self._cancel(child, cell)
        self.await_end(child)
        return False

    def _cancel(self, child: Child, cell: Cell) -> None:
        by, seconds = self._context.path, child.spec.start_timeout
        if child.state == "starting":
            cause = CancelCause(by, f"not started after {seconds:g} s", "start_timeout")
            cell.cancel(cause, StartTimeoutError(cell.path, seconds=seconds))
        else:
            asked = child.stop_cause or CancelCause(by, "stopped", "shutdown")
            cell.cancel(CancelCause(asked.by, f"{asked.why}; not ended in time ({child.spec.shutdown} s)", "shutdown"))
