"""Signal: how a tool of the seed's shape hears that it is cancelled."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio


def _never() -> bool:
    return False


@attrs.define(eq=False)
class Signal:
    """Set when the tool's scope is cancelled; the tool's awaits raise `Cancelled` besides."""

    _is_cancelled: Callable[[], bool] = _never
    """Whether its scope is cancelled; asked in the loop only."""
    _event: trio.Event = attrs.field(factory=trio.Event, init=False)

    def is_set(self) -> bool:
        """Whether it was cancelled; for any thread, and for a tool that shields itself."""
        return self._event.is_set() or (trio.lowlevel.in_trio_task() and self._is_cancelled())

    def set(self) -> None:
        """Say that it was cancelled."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until it is cancelled."""
        await self._event.wait()
