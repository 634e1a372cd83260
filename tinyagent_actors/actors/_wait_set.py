"""WaitSet: tasks that wait for one thing to happen.

Trio's `ParkingLot` does it too, and can besides wake some of them, move them, and break. Most actors have one task that
waits for their end, once, and what the lot needs for the rest was a tenth of what the runtime itself does for such an end.
"""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False)
class WaitSet:
    """Tasks that wait, in the order they came."""

    tasks: dict[trio.lowlevel.Task, None] = attrs.field(factory=dict, init=False)
    """Who waits now."""

    async def wait(self) -> None:
        """Wait to be woken. Cancelling it leaves nothing behind."""
        task = trio.lowlevel.current_task()
        self.tasks[task] = None

        def forget(_raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            del self.tasks[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(forget)

    def wake_all(self) -> None:
        """Wake them all."""
        tasks, self.tasks = self.tasks, {}
        for task in tasks:
            trio.lowlevel.reschedule(task)
