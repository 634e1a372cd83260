"""What an engine gives a stream: items, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tinyagent_actors.providers._items import Item


class Source(Protocol):
    """One response on its way, seen from the stream that reads it. Used by one task at a time."""

    on_sent: Callable[[], None] | None
    """Called once, when the request was written; where that is told only on asking, when it is asked for."""

    def request_age(self) -> float:
        """Seconds since the request was written; while it is being written, since that began; 0 without a connection.

        `inf` where `on_sent` was exact.
        """

    async def receive(self) -> list[Item]:
        """Wait for bytes and give their items; an empty list means bytes that made none.

        The last batch ends in `ERROR` or `END`; afterwards it must not be called. It raises nothing for what the
        provider does. A cancelled call leaves the source fit for `finish` and `aclose` only.
        """

    async def finish(self, cut: str) -> list[Item]:
        """Read no more; give what was held back and the last item, as after a cut for the reason `cut`."""

    async def aclose(self) -> None:
        """Give the connection back if the message ended properly, else close it at once. Never waits for the peer."""
