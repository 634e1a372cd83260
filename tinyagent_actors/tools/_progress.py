"""Progress of one call: told as often as the tool likes, published as often as somebody can read it.

A tool may tell progress from any thread, a hundred thousand times in a row, and never waits. Only the latest is kept, and published
at the loop's next step, or, where a subscriber that loses nothing is full, as soon as it has room or is cut off. So neither the
tool nor another agent is held, and nothing piles up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

import attrs
import trio

from tinyagent_actors.actors import Runtime
from tinyagent_actors.messages import AgentToolResult, TextContent
from tinyagent_actors.tools._result import to_result


@attrs.define(eq=False)
class Progress:
    """What one call tells before its end."""

    _publish: Callable[..., None]
    """Takes a `partial_result`."""
    _runtime: Runtime
    _path: str
    _token: trio.lowlevel.TrioToken = attrs.field(factory=trio.lowlevel.current_trio_token, init=False)
    _latest: deque[object] = attrs.field(factory=lambda: deque(maxlen=1), init=False)
    _is_due: bool = attrs.field(default=False, init=False)
    """Whether a `_flush` is on its way."""
    _is_closed: bool = attrs.field(default=False, init=False)
    late: int = attrs.field(default=0, init=False)
    """How often the tool told progress after the end of its call."""

    def report(self, value: object) -> None:
        """Tell progress, from any thread; never waits. After the end of the call it is only counted."""
        if self._is_closed:
            self.late += 1
            return
        self._latest.append(value)
        if not self._is_due:  # else what is on its way takes this along
            self._is_due = True
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._flush)

    async def tell(self, value: object) -> None:
        """Publish progress now, and wait for room where a subscriber that loses nothing is full."""
        self._publish(partial_result=_shown(value))
        await self._runtime.bus.make_room(self._path)

    def close(self) -> None:
        """End it, after what is still unpublished."""
        self._publish_latest()
        self._is_closed = True

    def _flush(self) -> None:
        if self._latest and not self._is_closed and self._runtime.bus.is_crowded(self._path):
            self._runtime.start_detached(self._flush_into_room, name=f"progress of {self._path}")
        else:
            self._is_due = False  # first: what is told from a thread meanwhile orders the next one
            self._publish_latest()

    async def _flush_into_room(self) -> None:
        await self._runtime.bus.make_room(self._path)
        self._is_due = False
        self._publish_latest()

    def _publish_latest(self) -> None:
        if self._latest and not self._is_closed:
            self._publish(partial_result=_shown(self._latest.popleft()))


def _shown(value: object) -> AgentToolResult:
    try:
        return to_result(value)
    except Exception as error:  # noqa: BLE001  # the tool runner: progress that cannot be shown is no reason to end the tool
        return AgentToolResult((TextContent(f"(progress that cannot be shown: {type(error).__name__})"),))
