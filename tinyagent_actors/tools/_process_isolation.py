"""ProcessIsolation: a tool's function in an interpreter of its own, which a cancel ends at once.

The design. Each call starts a fresh interpreter, which imports the module of the function, calls it, and writes what comes of it as
lines of JSON. Nothing else goes between the two: no pickles, which run code when they are read. Arguments go as the JSON that
the model might have sent, and are read there by the same schema; progress and the result come as the dict shapes of
`AgentToolResult`. What the function prints goes to stderr, whose end is quoted if it crashes; so a `print` cannot break the protocol.

The function must be found by its name: it stands at the top of a module, or of the program itself, which then is loaded again under
another name than ``__main__`` (so a program has its start below ``if __name__ == "__main__":``, as for `multiprocessing`).

A cancel kills the whole process group at once, without asking: that is what one wants of a process. A crash, an exit, a flood, or a
line that is none are an error result. So many run at once as `PROCESSES`; the others wait, on their own deadlines.

Refused: a pool of workers that live on (what a killed or crashed call leaves behind in a worker would be the next call's), and
`fork` (this process has threads, and a fork copies their locks, held).
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
import trio

from tinyagent_actors._errors import ForeignError, ToolCrashedError, ToolDefinitionError, ValueShapeError
from tinyagent_actors.events import structure
from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools._command import end_of
from tinyagent_actors.tools._process_group import DRAIN, ProcessGroup, open_process_group
from tinyagent_actors.tools._result import encodable, plain
from tinyagent_actors.tools._running_call import RunningCall

PROCESSES: Final = 16
"""Processes of tools of one runtime that run at once."""
LONGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of one line that a process may send."""
_QUOTED: Final = 2000
_PROGRAM: Final = "from tinyagent_actors.tools._child import main; main()"


@attrs.define(eq=False)
class ToolProcesses:
    """The processes of tools of one runtime."""

    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(PROCESSES))

    async def aclose(self) -> None:
        """Nothing to close: each call ends its own."""


@attrs.frozen
class ProcessIsolation:
    """In a process: a cancel kills it at once, with all that it started."""

    module: str
    """Where the function is found; ``__main__``: in `program`."""
    qualname: str
    program: str | None = None
    """The path of the program, if the function stands there."""

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> ProcessIsolation:
        """Give the way to run a function in a process.

        Raises:
            ToolDefinitionError: Another process could not find it.
        """
        qualname, module = function.__qualname__, function.__module__
        if "<" in qualname or not inspect.isfunction(function):
            raise ToolDefinitionError(
                name, "runs in a process only if it stands at the top of a module, found by its name"
            )
        program = getattr(sys.modules.get("__main__"), "__file__", None) if module == "__main__" else None
        if module == "__main__" and program is None:
            raise ToolDefinitionError(name, "runs in a process only if it stands in a file")
        return cls(module, qualname, program)

    async def run(self, call: RunningCall, /) -> object:
        """Run the function in a new process; cancelled, kill that and all it started."""
        request = orjson.dumps(
            {
                "module": self.module,
                "qualname": self.qualname,
                "program": self.program,
                "arguments": call.arguments,
                "tool": call.tool.name,
                "tool_call_id": call.ctx.tool_call_id,
                "path": call.ctx.path,
                "run": call.ctx.run,
                "turn": call.ctx.turn,
            },
            default=plain,
        )
        limiter = call.runtime.resource(ToolProcesses, lambda _: ToolProcesses()).limiter
        talk = _Talk(call)
        async with limiter:
            command = [sys.executable, "-c", _PROGRAM]
            async with open_process_group(
                command, name=call.name, env=_environment(), stdin=True, stderr=talk.hear_stderr, grace=0
            ) as group:
                await talk.hold(group, request)
        return talk.outcome(group.returncode)


@attrs.define(eq=False)
class _Talk:
    """What goes between a call and its process."""

    call: RunningCall
    said: bytearray = attrs.field(factory=bytearray, init=False)
    """The end of what it wrote to stderr."""
    result: AgentToolResult | None = attrs.field(default=None, init=False)
    error: Exception | None = attrs.field(default=None, init=False)

    def hear_stderr(self, data: bytes) -> None:
        """Keep the end of it."""
        self.said += data
        del self.said[:-_QUOTED]

    async def hold(self, group: ProcessGroup, request: bytes) -> None:
        """Ask, and read what comes until there is an outcome or the process has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, group, request)
            nursery.start_soon(group.pump_stderr)
            try:
                await self._read(group)
            except ValueShapeError as error:
                self.error = ToolCrashedError(self.call.tool.name, f"it sent what is no message: {error}")
            if self.result is None and self.error is None:
                await group.wait()
                nursery.cancel_scope.deadline = trio.current_time() + DRAIN
            else:
                nursery.cancel_scope.cancel()

    async def _read(self, group: ProcessGroup) -> None:
        buffer = bytearray()
        while self.result is None and self.error is None:
            data = await group.stdout.receive_some()
            if not data:
                return
            buffer += data
            if b"\n" in data:
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    await self._hear(bytes(line))
            if len(buffer) > LONGEST_MESSAGE:
                raise ValueShapeError("message", f"is longer than {LONGEST_MESSAGE} bytes")

    async def _hear(self, line: bytes) -> None:
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueShapeError("message", "is no JSON") from error
        match message:
            case {"progress": shape}:
                await self.call.tell(structure(shape, AgentToolResult))
            case {"result": shape}:
                self.result = structure(shape, AgentToolResult)
            case {"error": {"type": str(kind), "message": str(text)}}:
                self.error = ForeignError(kind, text)
            case _:
                raise ValueShapeError("message", "is of no known kind")

    def outcome(self, returncode: int | None) -> AgentToolResult:
        """Give the result.

        Raises:
            ForeignError: What the function raised.
            ToolCrashedError: There is no result.
        """
        if self.error is not None:
            raise self.error
        if self.result is None:
            said = encodable(self.said.decode("utf-8", "replace")).strip()
            raise ToolCrashedError(self.call.tool.name, end_of(returncode), said)
        return self.result


def _environment() -> dict[str, str]:
    """Give an environment in which modules are found where this process finds them."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(place or ".").absolute()) for place in sys.path)}


async def _send(group: ProcessGroup, request: bytes) -> None:
    assert group.stdin is not None  # it was asked for
    with suppress(trio.BrokenResourceError):
        await group.stdin.send_all(request)
    await group.stdin.aclose()
