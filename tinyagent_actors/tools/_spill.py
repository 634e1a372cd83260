"""SpillFiles: where the rest of an output goes that is too long for a model.

One for each system (or for each `trio.run` without one). The folder is made at the first file, readable by nobody else, and
removed with all that is in it when the system ends, unless the policy keeps it. Bounded twice: a file has at most `file_bytes`, what
comes after is counted and dropped; of more than `files` files the oldest go.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import Runtime, current_runtime

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME: Final = 40


def _check_positive(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        raise SpecError(attribute.name, f"must be a whole number of at least 1, is {value!r}")


def _to_path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@attrs.frozen
class SpillPolicy:
    """Where long outputs are kept, how much of them, and for how long."""

    folder: Path | None = attrs.field(default=None, converter=_to_path)
    """Made if it is not there. None: a new folder among the system's temporary ones."""
    keep: bool = False
    """Whether the files stay when the system ends."""
    file_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_check_positive)
    """Bytes of one file."""
    files: int = attrs.field(default=64, validator=_check_positive)
    """Of more than these the oldest are removed."""


@attrs.define(eq=False)
class SpillFile:
    """A file that is written once. Never raises: what the disk refuses is `problem`, and the rest is dropped."""

    path: Path
    _limit: int
    _fd: int | None = attrs.field(repr=False)
    written: int = attrs.field(default=0, init=False)
    """Bytes."""
    dropped: int = attrs.field(default=0, init=False)
    """Bytes that found no room."""
    problem: str = ""

    def write(self, data: bytes) -> None:
        """Append bytes. Blocks as long as the disk does."""
        room = memoryview(data)[: self._limit - self.written]
        self.dropped += len(data) - len(room)
        while room and self._fd is not None:
            try:
                count = os.write(self._fd, room)
            except OSError as error:
                self.problem = error.strerror or type(error).__name__
                self.close()
                break
            self.written += count
            room = room[count:]
        self.dropped += len(room)

    def close(self) -> None:
        """Close the file. Again: nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def told(self) -> str:
        """Say what of an output is here, for a model."""
        if self.problem:
            return f"the rest could not be kept: {self.problem}"
        if self.dropped:
            return f"the first {self.written} bytes are in {self.path}"
        return f"all of it is in {self.path}"


@attrs.define(eq=False)
class SpillFiles:
    """The spill files of one system; see `spill_files`."""

    policy: SpillPolicy = attrs.field(factory=SpillPolicy)
    _folder: Path | None = attrs.field(default=None, init=False)
    _files: deque[Path] = attrs.field(factory=deque, init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)

    def open(self, name: str) -> SpillFile:
        """Open a new file for what `name`, a tool, put out. Blocks as long as the disk does; may be called in a thread."""
        try:
            path = self._make_folder() / f"{next(self._numbers):04}-{_UNFIT.sub('-', name)[:_LONGEST_NAME]}.txt"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return SpillFile(Path(), 0, None, problem=error.strerror or type(error).__name__)
        self._files.append(path)
        while len(self._files) > self.policy.files:
            self._files.popleft().unlink(missing_ok=True)
        return SpillFile(path, self.policy.file_bytes, fd)

    def _make_folder(self) -> Path:
        if self._folder is None:
            parent = self.policy.folder
            if parent is not None:
                parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="tinyagent-", dir=parent))
        return self._folder

    async def aclose(self) -> None:
        """Remove the files, unless they are kept. Cancelled, the removal goes on."""
        folder, self._folder = self._folder, None
        if folder is not None and not self.policy.keep:
            with suppress(OSError):
                await trio.to_thread.run_sync(shutil.rmtree, folder)


def spill_files(runtime: Runtime) -> SpillFiles:
    """Give the spill files of a system."""
    return runtime.resource(SpillFiles, lambda _: SpillFiles())


def set_spill_policy(policy: SpillPolicy) -> None:
    """Say where long outputs are kept, for the system that this task belongs to (or this `trio.run`), from the next file on.

    Example:
        >>> async def main() -> None:
        ...     async with open_system() as system:
        ...         set_spill_policy(SpillPolicy("outputs", keep=True))
    """
    spill_files(current_runtime()).policy = policy
