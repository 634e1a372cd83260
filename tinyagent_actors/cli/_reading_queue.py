"""The reading queue: tools ask for files one by one, threads read them many at once.

A hop to a thread and back costs more than reading a small file, and a model asks for a hundred files in one breath. So each tool
lays its path into the queue and waits; a few tasks take what has come together, read it in one hop, and hand the
figures out.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

import attrs
import trio

from tinyagent_actors.cli._survey import FileFigures, survey_file

HOPS: Final = 2
"""Threads that read at once."""
MOST_IN_A_HOP: Final = 32


@attrs.define(eq=False)
class _Wanted:
    """A file that a tool waits for."""

    path: bytes
    figures: FileFigures | None = None
    is_read: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class ReadingQueue:
    """Reads files of a folder for whoever asks, while `serve` runs."""

    _folder: bytes
    _waiting: deque[_Wanted] = attrs.field(factory=deque, init=False)
    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _threads: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(HOPS), init=False)

    async def survey(self, path: bytes) -> FileFigures:
        """Give the figures of a file. Cancelling it takes the file out of the queue, if it is not being read yet."""
        wanted = _Wanted(path)
        self._waiting.append(wanted)
        self._idle.unpark()
        try:
            await wanted.is_read.wait()
        finally:
            if wanted.figures is None:
                with suppress(ValueError):
                    self._waiting.remove(wanted)
        assert wanted.figures is not None
        return wanted.figures

    async def serve(self) -> None:
        """Read what is asked for until cancelled; then no thread is left that reads."""
        async with trio.open_nursery() as nursery:
            for _ in range(HOPS):
                nursery.start_soon(self._serve)

    async def _serve(self) -> None:
        while True:
            while not self._waiting:
                await self._idle.park()
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_A_HOP))]
            paths = [wanted.path for wanted in taken]
            found = await trio.to_thread.run_sync(self._read, paths, limiter=self._threads)
            for wanted, figures in zip(taken, found, strict=True):
                wanted.figures = figures
                wanted.is_read.set()

    def _read(self, paths: list[bytes]) -> list[FileFigures]:
        return [survey_file(self._folder, path) for path in paths]
