"""Programs of tests in processes of their own that do not begin with importing: each is a fork of one that has done so.

Starting Python and importing the package take most of a second, and a program that is run forty times, to have a process that
can be measured, would pay for it forty times. ``python -m tests._forks MODULE...`` imports the modules and then forks whenever it is
asked to. It has one thread and no loop, so that a fork is like a new process that has come as far; it is a real one, which ends by
itself, and gives back what it took. What is imported there hides what a program forgot to import: so only programs of the tests
run this way, and none of a user.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import trio
from trio._core import _run as trio_run

ROOT = Path(__file__).parent.parent
_SIZE = 1 << 16


@attrs.define(eq=False)
class Forks:
    """The process that forks, as the tests see it; one program at a time."""

    _socket: socket.socket

    async def run(self, module: str, *words: str) -> str:
        """Run a module as a program in a fork; give what it printed. A cancel kills it.

        Raises:
            subprocess.CalledProcessError: Its exit code was another than 0.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked = json.dumps({"module": module, "words": words, "environ": dict(os.environ)}).encode()
            socket.send_fds(self._socket, [asked], [out.fileno(), err.fileno()])
            code = await self._end()
            out.seek(0)
            err.seek(0)
            printed, told = out.read().decode(), err.read().decode()
        if code:
            sys.stderr.write(told)  # pytest shows it
            raise subprocess.CalledProcessError(code, [module, *words], printed, told)
        return printed

    async def _end(self) -> int:
        with trio.CancelScope(shield=True):
            child = await self._hear()
        try:
            return await self._hear()
        except trio.Cancelled:
            os.kill(child, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await self._hear()
            raise

    async def _hear(self) -> int:
        await trio.lowlevel.wait_readable(self._socket)
        return int(self._socket.recv(_SIZE))


@contextmanager
def open_forks(*modules: str) -> Iterator[Forks]:
    """Start a process that has imported these modules. It ends when its socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            command = [sys.executable, "-m", "tests._forks", str(theirs.fileno()), *modules]
            process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        yield Forks(ours)
    assert process.wait(60) == 0


def _serve(asking: socket.socket) -> int:
    while True:
        asked, files, _, _ = socket.recv_fds(asking, _SIZE, 2)
        if not asked:
            return 0
        child = os.fork()
        if child == 0:
            asking.close()
            return _be(json.loads(asked), files)
        for file in files:
            os.close(file)
        asking.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        asking.send(str(os.waitstatus_to_exitcode(status)).encode())


def _be(asked: dict[str, Any], files: list[int]) -> int:
    """Be the program, and end as any does."""
    for file, standard in zip(files, (1, 2), strict=True):
        os.dup2(file, standard)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    random.seed()
    trio_run._r.seed()  # no two of them run in the same order
    sys.argv[1:] = asked["words"]
    sys.modules.pop(asked["module"], None)  # it is run, not imported; what it needs is there
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    except Exception:  # noqa: BLE001  # told as Python tells it
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    descriptor, *names = sys.argv[1:]
    for name in names:
        importlib.import_module(name)
    gc.freeze()
    sys.exit(_serve(socket.socket(fileno=int(descriptor))))
