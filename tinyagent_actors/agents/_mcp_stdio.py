"""The stdio transport of MCP on a process group of ours: the server ends with all that it started, its lines are bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import trio

from tinyagent_actors._errors import McpServerError
from tinyagent_actors.tools import ProcessGroup, end_of, open_process_group

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of one message of a server."""
PER_SECOND: Final = 200
"""Notifications that the session gets; of a flood the rest is dropped here, where it costs little."""
CLOSE_GRACE: Final = 1.0
"""Seconds that a server has to end by itself when its stdin is closed, before it is told by TERM."""


@attrs.define(eq=False)
class StdioTransport:
    """How to reach a server that is started for it. Entered once, as the library of MCP enters a transport."""

    server: str
    command: Sequence[str]
    env: Mapping[str, str] = attrs.field(repr=False)
    cwd: Path | str | None
    on_stderr: Callable[[bytes], None] = attrs.field(repr=False)
    on_end: Callable[[McpServerError], None] = attrs.field(repr=False)
    """Hears, once at most, that the server has ended, or broke the protocol."""
    on_changed: Callable[[], None] = attrs.field(repr=False)
    """Hears of a change of the tools whose notification was dropped."""
    _second: float = attrs.field(default=-1.0, init=False)
    _heard: int = attrs.field(default=0, init=False)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Any, Any]]:
        """Start the server, and give the streams of its messages. Leaving the block ends it."""
        to_session, from_server = anyio.create_memory_object_stream[Any](0)
        to_server, from_session = anyio.create_memory_object_stream[Any](0)
        name = f"MCP server {self.server}"
        try:
            async with (
                open_process_group(
                    list(self.command),
                    name=name,
                    env=self.env,
                    cwd=self.cwd,
                    stdin=True,
                    stderr=self.on_stderr,
                    deliver_cancel=_close_then_term,
                ) as group,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(group.pump_stderr)
                nursery.start_soon(self._write, group, from_session)
                nursery.start_soon(self._read, group, to_session)
                try:
                    yield from_server, to_server
                finally:
                    nursery.cancel_scope.cancel()
        finally:
            for stream in (to_session, from_server, to_server, from_session):
                stream.close()

    async def _read(self, group: ProcessGroup, to_session: Any) -> None:
        """Give the session what the server says, one line at a time and no more than it takes."""
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        buffer = bytearray()
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while data := await group.stdout.receive_some():
                buffer += data
                if b"\n" not in data:  # the whole is not looked through again for each piece of a long line
                    lines = []
                else:
                    *lines, buffer = buffer.split(b"\n")
                for line in filter(None, map(bytes.strip, map(bytes, lines))):
                    try:
                        message: Any = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                    except ValueError:
                        self.on_stderr(b"(on stdout, and no message of the protocol) " + line[:500] + b"\n")
                        continue
                    if not self._is_flood(message.message):
                        await to_session.send(message)
                if len(buffer) > LONGEST_LINE:
                    self.on_end(McpServerError(self.server, f"sent a line of more than {LONGEST_LINE} bytes"))
                    return
        with trio.move_on_after(CLOSE_GRACE):
            await group.wait()
        code = group.peek()
        self.on_end(McpServerError(self.server, "closed its stdout" if code is None else f"has gone: {end_of(code)}"))

    def _is_flood(self, message: Any) -> bool:
        """Whether a message is one notification too many in this second."""
        if hasattr(message, "id"):
            return False
        now = trio.current_time()
        if now >= self._second + 1:
            self._second, self._heard = now, 0
        self._heard += 1
        if self._heard <= PER_SECOND:
            return False
        if message.method == "notifications/tools/list_changed":
            self.on_changed()
        return True

    async def _write(self, group: ProcessGroup, from_session: Any) -> None:
        """Give the server what the session says."""
        assert group.stdin is not None  # it was asked for
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for message in from_session:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await group.stdin.send_all(text.encode() + b"\n")


async def _close_then_term(group: ProcessGroup) -> None:
    """End a server as the protocol wants it: close its stdin, and only then tell it."""
    import signal

    assert group.stdin is not None  # it was asked for
    await group.stdin.aclose()
    with trio.move_on_after(CLOSE_GRACE):
        await group.wait()
        return
    group.send_signal(signal.SIGTERM)
