"""Signal: how a tool of the seed's shape hears that it is cancelled."""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False)
class Signal:
    """Set when the tool's scope is cancelled; the tool's awaits raise `Cancelled` besides."""

    _event: trio.Event = attrs.field(factory=trio.Event, init=False)

    def is_set(self) -> bool:
        """Whether it was cancelled."""
        return self._event.is_set()

    def set(self) -> None:
        """Say that it was cancelled."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until it is cancelled."""
        await self._event.wait()
