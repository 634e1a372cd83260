"""Commands: run one to its end, and hold what it puts out within a bound."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs
import trio

from tinyagent_actors.tools._process_group import GRACE, open_process_group
from tinyagent_actors.tools._result import OUTPUT_LIMIT, encodable
from tinyagent_actors.tools._spill import SpillFile

SHOWN: Final = OUTPUT_LIMIT - 4096
"""Bytes of output that are shown: with a few words around them they are no long result."""


@attrs.define(eq=False)
class CommandOutput:
    """What a command put out so far: all of it, or its beginning and its end with a marker between, and all of it in a file.

    A command says at its end what went wrong, so the end is shown, too. It holds at most some three times `limit` bytes.
    """

    _open_file: Callable[[], SpillFile] = attrs.field(repr=False)
    limit: int = SHOWN
    """Bytes."""
    total: int = attrs.field(default=0, init=False)
    """Bytes."""
    _head: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _tail: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _file: SpillFile | None = attrs.field(default=None, init=False, repr=False)

    def add(self, data: bytes) -> None:
        """Take more."""
        self.total += len(data)
        if self._file is None:
            self._head += data
            if self.total <= self.limit:
                return
            self._file = self._open_file()
            data = bytes(self._head)
            del self._head[self.limit // 2 :]
            self._tail += data[self.limit // 2 :]
        else:
            self._tail += data
        self._file.write(data)
        if len(self._tail) > self.limit:
            del self._tail[: -(self.limit // 2)]

    def text(self) -> str:
        """Say what came until now."""
        if self._file is None:
            return _decoded(self._head)
        tail = self._tail[-(self.limit // 2) :]
        left_out = self.total - len(self._head) - len(tail)
        return (
            f"{_decoded(self._head)}\n[cut: {left_out} bytes are left out here; {self._file.told()}]\n{_decoded(tail)}"
        )

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


def _decoded(data: bytes | bytearray) -> str:
    return encodable(data.decode("utf-8", "replace"))


async def run_command(
    command: Sequence[str],
    *,
    name: str,
    output: CommandOutput,
    stdin: bytes = b"",
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    grace: float = GRACE,
) -> int | None:
    """Run a command to its end. Whatever it started has ended with it.

    Cancelled, it ends the whole process group as `open_process_group` says; `output` has what came until then.

    Args:
        command: The program and its words.
        name: For logs and leftovers.
        output: Takes stdout and stderr, in the order they came.
        stdin: What it reads.
        cwd: Where it runs.
        env: Its environment, whole; None: that of this process.
        grace: Seconds between TERM and KILL.

    Returns:
        Its exit code; the negative number of a signal that ended it; None if it would not end.

    Raises:
        OSError: The program cannot be started.
    """
    try:
        async with (
            open_process_group(
                command, name=name, cwd=cwd, env=env, stdin=bool(stdin), stdout=output.add, grace=grace
            ) as group,
            trio.open_nursery() as nursery,
        ):
            if group.stdin is not None:
                nursery.start_soon(_feed, group.stdin, stdin)
            await group.pump()
            nursery.cancel_scope.cancel()
    finally:
        output.close()
    return group.returncode


async def _feed(stream: trio.abc.SendStream, data: bytes) -> None:
    """Write what a command reads; one that does not want it may close its end."""
    with suppress(trio.BrokenResourceError):
        await stream.send_all(data)
    await stream.aclose()


def end_of(returncode: int | None) -> str:
    """Say how a command ended."""
    if returncode is None:
        return "it would not end"
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"ended by signal {-returncode}"
