"""McpLog: what an MCP server says beside its answers, as events, so that no flood of it fills a log."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from tinyagent_actors._redact import redact_text
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import McpServerLoggedEvent

PER_SECOND: Final = 20
"""Lines that are told."""
LONGEST: Final = 2000
"""Characters of a line."""


@attrs.define(eq=False)
class McpLog:
    """The log of one incarnation of a server."""

    server: str
    path: str
    runtime: Runtime = attrs.field(repr=False)
    _rest: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _second: float = attrs.field(default=-1.0, init=False)
    _told: int = attrs.field(default=0, init=False)
    _dropped: int = attrs.field(default=0, init=False)

    def add(self, data: bytes) -> None:
        """Take bytes of its stderr; lines that are whole are told."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.tell(line[: 4 * LONGEST].decode("utf-8", "replace"))
        self._rest = rest[: 4 * LONGEST]

    def close(self) -> None:
        """Tell what is left."""
        if self._rest:
            self.tell(self._rest.decode("utf-8", "replace"))
            self._rest.clear()

    def tell(self, text: str) -> None:
        """Tell a line, if there were not too many in this second."""
        text = text.rstrip()[:LONGEST]
        if not text:
            return
        now = trio.current_time()
        if now >= self._second + 1:
            self._second, self._told = now, 0
        if self._told >= PER_SECOND:
            self._dropped += 1
            return
        self._told += 1
        dropped, self._dropped = self._dropped, 0
        self.runtime.bus.publish(
            McpServerLoggedEvent, self.path, server=self.server, text=redact_text(text), dropped=dropped
        )
