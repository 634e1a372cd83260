"""Isolation: where the function of a tool runs, and so what a cancel of it can promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tinyagent_actors.tools._running_call import RunningCall


class Isolation(Protocol):
    """A way to run a tool's function: as a task, in a thread, in a process. One object serves many calls at once."""

    async def run(self, call: RunningCall, /) -> object:
        """Run the function on `call.arguments` and give what it returned, which `to_result` makes the call's result.

        It runs in a task of its own, in the call's scope, which is cancelled by the call's deadline, by the run's cancel or by
        a sibling that fails fast. What it raises is the call's error result; `Cancelled` it lets pass.

        Cancelling it must end what it runs within the tool's `cleanup_grace`, or enter it among the leftovers with
        `call.leave`; a task that goes on beyond that is given up by the runner itself.
        """
