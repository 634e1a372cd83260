"""In a thread: what sync functions run in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from tinyagent_actors.tools._running_call import RunningCall

THREADS: Final = 40
"""Sync tools of one runtime that run at once, apart from Trio's own threads."""


@attrs.define(eq=False)
class ToolThreads:
    """The threads of sync tools: a limit of their own, so that they never keep Trio's from files and names."""

    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(THREADS))

    async def aclose(self) -> None:
        """Nothing to close: an abandoned thread is a daemon's."""


@attrs.frozen
class ThreadIsolation:
    """In a thread: a cancel is answered at once and abandons the thread, which nothing can end."""

    async def run(self, call: RunningCall, /) -> object:
        """Run a plain function; cancelled, leave its thread among the leftovers until it ends."""
        limiter = call.runtime.resource(ToolThreads, lambda _: ToolThreads()).limiter
        left: list[Callable[[], None]] = []
        token = trio.lowlevel.current_trio_token()

        def work() -> object:
            try:
                return call.tool.execute(call.arguments, call.ctx)
            finally:
                if left:
                    _in_loop(token, left[0])

        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        except trio.Cancelled:
            left.append(call.leave("threads"))
            raise


def _in_loop(token: trio.lowlevel.TrioToken, function: Callable[[], None]) -> None:
    try:
        token.run_sync_soon(function)
    except trio.RunFinishedError:
        return
