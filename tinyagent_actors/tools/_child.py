"""The other side of `ProcessIsolation`: one call, in a process of its own."""

from __future__ import annotations

import importlib
import inspect
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import attrs
import orjson
import trio

from tinyagent_actors.events import unstructure
from tinyagent_actors.messages import TextContent
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._result import encodable, error_text, made_result, to_result
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._tool import Tool, tool

_LONGEST: Final = 48 * 1024 * 1024
"""Bytes of a message; of what would be longer the model gets what fits into a result."""
_PROGRAM_NAME: Final = "__tinyagent_tool__"
"""The name under which a program is loaded, so that it does not start."""


def main() -> None:
    """Read the request, run the function, say what came of it."""
    request = orjson.loads(sys.stdin.buffer.read())
    channel = os.dup(1)  # nobody else's: what the function prints, or a program that it starts, goes to stderr
    os.dup2(2, 1)

    def send(kind: str, shape: Any) -> None:
        data = orjson.dumps({kind: shape}) + b"\n"
        with open(channel, "wb", closefd=False) as file:  # a descriptor has no path
            file.write(data)

    try:
        send("result", _shape_of(_run(request, send)))
    except Exception as error:  # noqa: BLE001  # the tool runner, its other side: what a tool raises is its result
        kind, _, text = error_text(error).partition(": ")
        send("error", {"type": kind, "message": text})


def _shape_of(value: object) -> Any:
    """Give the dict shape of a result; details that JSON cannot say stay here."""
    made = made_result(value)
    blocks = [
        attrs.evolve(block, text=encodable(block.text)) if isinstance(block, TextContent) else block
        for block in made.content
    ]
    try:
        orjson.dumps(made.details)
    except TypeError:
        made = attrs.evolve(made, details=None)
    shape = unstructure(attrs.evolve(made, content=blocks))
    return shape if len(orjson.dumps(shape)) <= _LONGEST else unstructure(to_result(value))


def _run(request: Mapping[str, Any], send: Callable[[str, Any], None]) -> object:
    found = _find(request)
    ctx = ToolContext(
        request["tool_call_id"],
        request["path"],
        request["run"],
        request["turn"],
        Signal(),
        lambda value: send("progress", unstructure(to_result(value))),
        lambda _: None,  # whoever is killed is not asked
    )
    running = found.execute(found.reader.read(request["arguments"]), ctx)
    if inspect.isasyncgen(running):
        return trio.run(_exhaust, running, ctx)
    if inspect.iscoroutine(running):
        return trio.run(_wait_for, running)
    return running


def _find(request: Mapping[str, Any]) -> Tool:
    """Find the tool by the name of its function."""
    if request["program"] is None:
        names: Any = importlib.import_module(request["module"])
    else:
        names = type(sys)(_PROGRAM_NAME)
        names.__dict__.update(runpy.run_path(request["program"], run_name=_PROGRAM_NAME))
    found = reduce(getattr, request["qualname"].split("."), names)
    return found if isinstance(found, Tool) else tool(found)


async def _wait_for(running: Any) -> object:
    return await running


async def _exhaust(running: Any, ctx: ToolContext) -> object:
    """Give the last value; each before it is progress."""
    last: object = None
    is_first = True
    async for value in running:
        if not is_first:
            ctx.report(last)
        last, is_first = value, False
    return last
