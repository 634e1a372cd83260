"""What a server of MCP writes, cut as a pipe may cut it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from tinyagent_actors import McpServerError
from tinyagent_actors.agents._mcp_stdio import StdioTransport

pytest.importorskip("mcp")


async def test_lines_come_whole_however_they_are_cut() -> None:
    """Of what a server writes nothing is lost, doubled or joined where the pieces of a pipe end in the middle of a line."""
    lines = [b'{"jsonrpc":"2.0","id":%d,"result":{"text":"%s"}}' % (number, b"x" * number) for number in range(40)]
    whole = b"\n".join([*lines, b""])
    for size in (1, 7, 64, len(whole)):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert await heard(pieces) == lines


async def heard(pieces: list[bytes]) -> list[bytes]:
    """Give the messages that a session gets, as JSON, where a server's stdout comes in those pieces."""

    @attrs.define
    class Session:
        messages: list[bytes] = attrs.field(factory=list)

        async def send(self, message: Any) -> None:
            self.messages.append(message.message.model_dump_json(by_alias=True, exclude_none=True).encode())

    @attrs.define
    class Group:
        left: list[bytes]

        @property
        def stdout(self) -> Any:
            return self

        async def receive_some(self) -> bytes:
            await trio.lowlevel.checkpoint()
            return self.left.pop(0) if self.left else b""

        async def wait(self) -> None:
            await trio.lowlevel.checkpoint()

        def peek(self) -> int:
            return 0

    session, ends = Session(), list[McpServerError]()
    group: Any = Group(list(pieces))
    transport = StdioTransport("raw", ["none"], {}, None, lambda _: None, ends.append, lambda: None)
    await transport._read(group, session)
    assert [str(end) for end in ends] == ["the MCP server raw has gone: exit code 0"]
    return session.messages
