"""As a task: what async functions and async generators run as."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from typing import Never

import attrs

from tinyagent_actors.tools._running_call import RunningCall


@attrs.frozen
class TaskIsolation:
    """In the call's own task: a cancel ends it at its next await."""

    async def run(self, call: RunningCall, /) -> object:
        """Run a coroutine, or an async generator whose values but the last are progress.

        The generator is closed in this same task and scope, whatever ends it.
        """
        running = call.tool.execute(call.arguments, call.ctx)
        if inspect.isasyncgen(running):
            return await _exhaust(running, call)
        return await running


async def _exhaust(running: AsyncGenerator[object, Never], call: RunningCall) -> object:
    last: object = None
    is_first = True
    try:
        async for value in running:
            if not is_first:
                await call.tell(last)
            last, is_first = value, False
    finally:
        await running.aclose()
    return last
