"""The native engine: one response of the Rust hub, read through the pump."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from tinyagent_actors.providers._items import END, ERROR, Item
from tinyagent_actors.providers._pump import Inbox, Pump

FINISH_SECONDS: Final = 2.0
"""How long the hub may take to say what it held back. It does no I/O for that."""


@attrs.define(eq=False)
class NativeSource:
    """One response. See `Source`."""

    _pump: Pump
    _stream: int
    _inbox: Inbox
    on_sent: Callable[[], None] | None = None
    _is_over: bool = attrs.field(default=False, init=False)

    def request_age(self) -> float:
        """See `Source.request_age`. Nobody is woken to hear it; it is asked for when a deadline has passed."""
        return self._pump.hub.request_age(self._stream) or 0.0

    async def receive(self) -> list[Item]:
        """See `Source.receive`. A checkpoint only if nothing is there."""
        if self.on_sent is not None:
            self.on_sent()
            self.on_sent = None
        items, events, size = await self._inbox.take()
        if items and items[-1][0] in (ERROR, END):
            self._is_over = True
            self._pump.detach(self._stream)
        else:
            self._pump.hub.release(self._stream, events, size)
        return items

    async def finish(self, cut: str) -> list[Item]:
        """See `Source.finish`."""
        items: list[Item] = []
        if self._is_over:
            return items
        self._pump.hub.end(self._stream)
        with trio.move_on_after(FINISH_SECONDS):
            while not self._is_over:
                items += await self.receive()
        return items if self._is_over else [*items, (ERROR, ("truncated", cut))]

    async def aclose(self) -> None:
        """See `Source.aclose`. Behind a proper end the hub reads the rest by itself."""
        self._pump.detach(self._stream)
        if not self._is_over:
            self._is_over = True
            self._pump.hub.abort(self._stream)
