"""Files below a root as tools: read, write, edit, list, search. Nothing outside is reached, and everything is bounded."""

from __future__ import annotations

import fnmatch
import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from tinyagent_actors._errors import PathRefusedError
from tinyagent_actors.tools._result import encodable
from tinyagent_actors.tools._tool import Tool, tool
from tinyagent_actors.tools.library._root import FOLDER, Place, Root

MOST_READ: Final = 200 * 1024
"""Bytes that one call of `read_file` gives."""
MOST_LINES: Final = 2000
MOST_SKIPPED: Final = 256 * 1024 * 1024
"""Bytes that are read past to come to a line."""
MOST_EDITED: Final = 8 * 1024 * 1024
"""Bytes of a file that is edited, or written."""
MOST_ENTRIES: Final = 1000
MOST_FOUND: Final = 200
MOST_VISITED: Final = 20_000
"""Files and folders that one search looks at."""
MOST_DEPTH: Final = 32
LONGEST_SEARCHED: Final = 4 * 1024 * 1024
"""Bytes; longer files are not searched."""
LONGEST_LINE: Final = 500
"""Characters that are shown of a line that was found."""
_PIECE: Final = 64 * 1024
_PROBE: Final = 8192


def read_file_tool(root: Path | str) -> Tool:
    """Make a tool that reads text files below a folder."""
    base = Root(root)

    @tool(effect="read")
    def read_file(path: str, first_line: int = 1, lines: int = MOST_LINES) -> str:
        """Read a text file.

        Args:
            path: Its path.
            first_line: The number of the line to begin with.
            lines: How many lines to read at most.
        """
        with base.find(path) as place, place.open_file() as file:
            return _read_lines(place, file, max(first_line, 1), max(min(lines, MOST_LINES), 1))

    return read_file


def _read_lines(place: Place, descriptor: int, first: int, count: int) -> str:
    shown: list[str] = []
    size = skipped = 0
    with open(descriptor, "rb", closefd=False) as file:  # a descriptor has no path
        if b"\0" in file.peek(_PROBE)[:_PROBE]:
            raise ValueError(f"{place.path} is no text file ({os.fstat(descriptor).st_size} bytes)")
        number = 0
        while line := file.readline(_PIECE):
            is_whole = line.endswith(b"\n") or len(line) < _PIECE
            if number + 1 < first:
                skipped += len(line)
                if skipped > MOST_SKIPPED:
                    raise ValueError(f"line {first} of {place.path} is too far down")
            elif len(shown) >= count or size + len(line) > MOST_READ:
                return f"{''.join(shown)}\n[cut: go on with first_line={number + 1}]"
            else:
                size += len(line)
                shown.append(line.decode("utf-8", "replace"))
            number += is_whole
    if not shown:
        return f"[{place.path} has {number} lines]"
    return encodable("".join(shown))


def write_file_tool(root: Path | str) -> Tool:
    """Make a tool that writes text files below a folder, whole or not at all."""
    base = Root(root)

    @tool(effect="idempotent", locks=lambda arguments: (_lock(base, arguments["path"]),))
    def write_file(path: str, text: str) -> str:
        """Write a text file; one that is there is replaced. Folders on the way are made.

        Args:
            path: Its path.
            text: All that it shall hold.
        """
        data = text.encode("utf-8", "replace")
        if len(data) > MOST_EDITED:
            raise ValueError(f"{len(data)} bytes are too many; {MOST_EDITED} may be written")
        with base.find(path, make_folders=True) as place:
            place.replace(data)
            return f"wrote {len(data)} bytes to {place.path}"

    return write_file


def edit_file_tool(root: Path | str) -> Tool:
    """Make a tool that replaces a passage of a text file below a folder."""
    base = Root(root)

    @tool(locks=lambda arguments: (_lock(base, arguments["path"]),))
    def edit_file(path: str, old: str, new: str, replace_all: bool = False) -> str:  # noqa: FBT001, FBT002  # a model's flag
        """Replace a passage of a text file.

        Args:
            path: Its path.
            old: The passage, exactly as it stands there. It must occur once, unless all are to be replaced.
            new: What takes its place.
            replace_all: Replace it wherever it occurs.
        """
        if not old:
            raise ValueError("old must not be empty")
        with base.find(path) as place:
            with place.open_file() as file:
                before = os.fstat(file)
                text = _read_whole(place, file)
            times = text.count(old)
            if times == 0:
                raise ValueError(f"the passage does not occur in {place.path}")
            if times > 1 and not replace_all:
                raise ValueError(f"the passage occurs {times} times in {place.path}; give more of it, or replace all")
            now = place.stat()
            if now is None or (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
                raise ValueError(f"{place.path} was changed meanwhile; read it again")
            place.replace(text.replace(old, new).encode("utf-8", "surrogateescape"))
            return f"replaced {times} of {times} in {place.path}"

    return edit_file


def _lock(base: Root, path: str) -> str:
    return f"file:{os.path.normpath(base.path / path)}"


def _read_whole(place: Place, descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    if size > MOST_EDITED:
        raise ValueError(f"{place.path} is too long to be edited ({size} bytes)")
    with open(descriptor, "rb", closefd=False) as file:  # a descriptor has no path
        data = file.read(MOST_EDITED + 1)
    if len(data) > MOST_EDITED or b"\0" in data[:_PROBE]:
        raise ValueError(f"{place.path} is no text file that can be edited")
    return data.decode("utf-8", "surrogateescape")


def list_files_tool(root: Path | str) -> Tool:
    """Make a tool that lists a folder below a folder."""
    base = Root(root)

    @tool(effect="read")
    def list_files(path: str = ".") -> str:
        """List a folder: files with their size in bytes, folders with a slash, links with where they lead.

        Args:
            path: Its path.
        """
        with base.open_folder(path) as (folder, name):
            entries = _entries(folder, MOST_ENTRIES + 1)
            lines = [_described(entry, folder) for entry in entries[:MOST_ENTRIES]]
        if len(entries) > MOST_ENTRIES:
            lines.append(f"[cut: there are more than {MOST_ENTRIES}]")
        return encodable("\n".join(lines)) or f"[{name} is empty]"

    return list_files


def _entries(folder: int, most: int) -> list[os.DirEntry[str]]:
    """Give at most so many entries of a folder, sorted."""
    with os.scandir(folder) as found:
        return sorted(itertools.islice(found, most), key=lambda entry: entry.name)


def _described(entry: os.DirEntry[str], folder: int) -> str:
    if entry.is_symlink():
        with suppress(OSError):
            return f"{entry.name} -> {os.readlink(entry.name, dir_fd=folder)}"
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/"
    with suppress(OSError):
        return f"{entry.name} ({entry.stat(follow_symlinks=False).st_size} bytes)"
    return entry.name


def search_files_tool(root: Path | str) -> Tool:
    """Make a tool that searches text files below a folder for a text. No patterns: some take for ever to match."""
    base = Root(root)

    @tool(effect="read")
    def search_files(text: str, path: str = ".", names: str = "*", ignore_case: bool = False) -> str:  # noqa: FBT001, FBT002  # a model's flag
        """Search text files for a text, and give the lines that hold it with file and number.

        Args:
            text: What to search for, as it stands there; no pattern.
            path: The folder to search, with all below it; links are not followed.
            names: Which files, by name, such as ``*.py``.
            ignore_case: Whether upper and lower case are the same.
        """
        if not text:
            raise ValueError("text must not be empty")
        search = _Search(text.casefold() if ignore_case else text, names, ignore_case)
        with base.open_folder(path) as (folder, name):
            search.visit(folder, "" if name == "." else f"{name}/", 0)
        if search.is_cut:
            search.found.append("[cut: there is more; search a folder below, or for a longer text]")
        return encodable("\n".join(search.found)) or "[nothing found]"

    return search_files


@attrs.define
class _Search:
    """One search."""

    text: str
    names: str
    ignores_case: bool
    found: list[str] = attrs.field(factory=list, init=False)
    visited: int = attrs.field(default=0, init=False)
    is_cut: bool = attrs.field(default=False, init=False)

    def visit(self, folder: int, path: str, depth: int) -> None:
        """Search a folder and those below it."""
        for entry in _entries(folder, MOST_VISITED - self.visited):
            self.visited += 1
            self.is_cut = self.is_cut or len(self.found) >= MOST_FOUND or self.visited >= MOST_VISITED
            if self.is_cut:
                return
            with suppress(OSError):  # what went meanwhile, or must not be read, is left out
                if entry.is_dir(follow_symlinks=False):
                    if depth < MOST_DEPTH:
                        self._enter(folder, entry.name, path, depth)
                elif entry.is_file(follow_symlinks=False) and fnmatch.fnmatchcase(entry.name, self.names):
                    self._search(Place(folder, entry.name, f"{path}{entry.name}"))

    def _enter(self, folder: int, name: str, path: str, depth: int) -> None:
        below = os.open(name, FOLDER, dir_fd=folder)
        try:
            self.visit(below, f"{path}{name}/", depth + 1)
        finally:
            os.close(below)

    def _search(self, place: Place) -> None:
        with suppress(PathRefusedError), place.open_file() as descriptor:
            if os.fstat(descriptor).st_size > LONGEST_SEARCHED:
                return
            with open(descriptor, "rb", closefd=False) as file:  # a descriptor has no path
                data = file.read(LONGEST_SEARCHED)
            if b"\0" in data[:_PROBE]:
                return
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                if self.text in (line.casefold() if self.ignores_case else line):
                    if len(self.found) >= MOST_FOUND:
                        self.is_cut = True
                        return
                    self.found.append(f"{place.path}:{number}: {line.strip()[:LONGEST_LINE]}")


def file_tools(root: Path | str) -> tuple[Tool, ...]:
    """Make the tools for files below a folder: read, write, edit, list, search.

    Args:
        root: The folder; names cannot leave it, by ``..``, by an absolute path, or by a link.
    """
    makers = (read_file_tool, write_file_tool, edit_file_tool, list_files_tool, search_files_tool)
    return tuple(make(root) for make in makers)
