"""What the tests of processes share: how to look at the system's own table of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import trio


def is_there(pid: int) -> bool:
    """Whether there is such a process, dead ones that nobody has reaped included."""
    return Path(f"/proc/{pid}").exists()


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def open_files() -> set[str]:
    """The file descriptors of this process, each with what it is."""
    names = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a list, before any of them is looked at
        try:
            names.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")  # noqa: PTH115  # no path of a file
        except FileNotFoundError:
            continue
    return names


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that no event tells of; a deadline far above."""
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110  # another process is looked at
            await trio.sleep(0.005)


class Said:
    """A sink that keeps what it gets, and says when a line has come."""

    def __init__(self) -> None:
        self.data = b""
        self.line = trio.Event()

    def __call__(self, data: bytes) -> None:
        """Keep it."""
        self.data += data
        if b"\n" in self.data:
            self.line.set()
