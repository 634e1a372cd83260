"""What an engine gives a stream: items, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.providers._items import ERROR, Item


class Source(Protocol):
    """One response on its way, seen from the stream that reads it. Used by one task at a time."""

    on_sent: Callable[[], None] | None
    """Called once, when the whole request was written (or as near to that as the engine can tell)."""

    async def receive(self) -> list[Item]:
        """Wait for bytes and give their items; an empty list means bytes that made none.

        The last batch ends in `ERROR` or `END`; afterwards it must not be called. It raises nothing for what the
        provider does. A cancelled call leaves the source fit for `finish` and `aclose` only.
        """

    async def finish(self, cut: str) -> list[Item]:
        """Read no more; give what was held back and the last item, as after a cut for the reason `cut`."""

    async def aclose(self) -> None:
        """Give the connection back if the message ended properly, else close it at once. Never waits for the peer."""


@attrs.define(eq=False)
class FailedSource:
    """A response that never was: nothing was sent. See `Source`."""

    _error: ProviderError
    on_sent: Callable[[], None] | None = None

    async def receive(self) -> list[Item]:
        """See `Source.receive`."""
        return [(ERROR, (self._error.kind, self._error.message))]

    async def finish(self, cut: str) -> list[Item]:  # noqa: ARG002  # there is nothing to cut
        """See `Source.finish`."""
        return await self.receive()

    async def aclose(self) -> None:
        """See `Source.aclose`."""
