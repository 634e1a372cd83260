"""Tools that run in a process of their own: found by their names, here, by the process."""

from __future__ import annotations

import datetime
import enum
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import trio

from tinyagent_actors import AgentToolResult, ToolContext, tool
from tinyagent_actors.messages import ImageContent


class Color(enum.Enum):
    """One."""

    RED = "red"


@attrs.frozen
class Point:
    """Two numbers."""

    x: int
    y: int = 0


@tool(isolation="process")
def describe(ctx: ToolContext, point: Point, color: Color, when: datetime.datetime, names: set[str]) -> Any:
    """Say what came, and where it runs."""
    kinds = [type(value).__name__ for value in (point, color, when, names)]
    return {"pid": os.getpid(), "kinds": kinds, "x": point.x, "id": ctx.tool_call_id, "path": ctx.path}


@tool(isolation="process")
async def wait_then(text: str) -> str:
    """Be async."""
    await trio.sleep(0.01)
    return text.upper()


@tool(isolation="process")
async def count(to: int) -> AsyncIterator[int]:
    """Tell progress."""
    for number in range(to):
        yield number


@tool(isolation="process")
def report(ctx: ToolContext) -> AgentToolResult:
    """Tell progress, print, and give an image."""
    print("this is no protocol")  # noqa: T201  # it is what is tested
    os.write(1, b"nor is this\n")
    ctx.report("half")
    return AgentToolResult((ImageContent(url="https://example.org/a.png"),), details={"a": [1]})


@tool(isolation="process")
def hold(path: str) -> None:
    """Hold the interpreter for ever, with a child, deaf to every signal that can be ignored."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["/bin/sleep", "120"])
    Path(path + ".new").write_text(f"{os.getpid()} {child.pid}")
    Path(path + ".new").rename(path)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        pass


@tool(isolation="process")
def end(how: str) -> Any:  # a clause per way
    """End in one of many ways."""
    print("about to end", file=sys.stderr, flush=True)  # noqa: T201  # it is what is tested
    match how:
        case "segv":
            os.kill(os.getpid(), 11)
        case "exit":
            os._exit(7)
        case "sys.exit":
            sys.exit("so long")
        case "raise":
            raise LookupError("nothing there")
        case "group":
            raise ExceptionGroup("two", [ValueError("one"), LookupError("two")])
        case "bytes":
            return b"x"
        case "big":
            return "x" * 1_000_000
        case "huge":
            return "x" * 70_000_000
        case "surrogate":
            return "a\ud800"
    return None


@tool(isolation="process")
def speak(line: str) -> None:
    """Write on the protocol's own channel, as a program that means no good could."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, line.encode() + b"\n")
        except OSError:
            continue
    time.sleep(120)
