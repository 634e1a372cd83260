"""A real MCP server, made with the library of the protocol, for tests: well meaning but for what it is asked to do."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tests", log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Give a text back."""
    return text


@server.tool()
def pid() -> int:
    """Say which process this is."""
    return os.getpid()


@server.tool()
async def hang(path: str) -> str:
    """Say that it has begun, and never answer."""
    Path(path).write_text(str(os.getpid()))  # noqa: ASYNC240
    await anyio.sleep(120)
    return "never"


@server.tool()
async def stop(path: str) -> str:
    """Stop the whole process, as a debugger would: nothing of it runs, and its pipes stay open."""
    Path(path).write_text(str(os.getpid()))  # noqa: ASYNC240
    os.kill(os.getpid(), signal.SIGSTOP)
    return "never"


@server.tool()
async def progress(ctx: Context) -> str:
    """Tell progress."""
    await ctx.report_progress(1, 2, "half")
    return "done"


@server.tool()
def fail() -> str:
    """Raise."""
    raise LookupError("nothing there")


@server.tool()
def say(lines: int) -> str:
    """Write to stderr."""
    for number in range(lines):
        print(f"line {number} api_key=sk-abcdefgh12345678", file=sys.stderr)  # noqa: T201  # it is what is tested
    sys.stderr.flush()
    return "said"


@server.tool()
async def learn(ctx: Context) -> str:
    """Have one tool more, and tell."""
    server.add_tool(lambda: "new", name="learned", description="New.")
    await ctx.notify_tools_changed()
    return "learned it"


@server.tool()
def big() -> str:
    """Give a lot."""
    return "x" * 1_000_000


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
