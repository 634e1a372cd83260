"""The survey: which files lie under a path, and how many bytes, lines and words each has. Bytes in, figures out.

A line is a LF byte. A word is a maximal run of bytes other than tab, LF, VT, FF, CR and space. Hidden folders and folders
that hold a ``CACHEDIR.TAG`` are left out; links to folders are neither followed nor listed; links to regular files are
read. What is not a regular file is never opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import attrs

BINARY_PROBE: Final = 8 * 1024
LARGEST: Final = 8 * 1024 * 1024
CACHE_TAG: Final = b"CACHEDIR.TAG"

Skipped: TypeAlias = Literal["binary", "too_large", "unreadable", "not_a_file"]


@attrs.frozen
class FileFigures:
    """What the survey says of one file."""

    path: str
    r"""Relative to the surveyed path; bytes that are not UTF-8 stand as ``\xNN``."""
    bytes: int
    lines: int | None
    """None where it was skipped."""
    words: int | None
    skipped: Skipped | None = None


def shown(path: bytes) -> str:
    r"""Give a path as text: bytes that are not UTF-8 stand as ``\xNN``."""
    return path.decode("utf-8", "backslashreplace")


def list_files(top: bytes) -> Iterator[bytes]:
    """Give what is to be surveyed under `top`, relative to it, in order of the bytes; of a file, its own name.

    Raises:
        OSError: `top` itself is missing or cannot be read.
    """
    if not stat.S_ISDIR(os.stat(top).st_mode):
        yield os.path.basename(top)
        return
    yield from _walk(top, b"", os.scandir(top))


def _walk(top: bytes, prefix: bytes, scan: os._ScandirIterator[bytes]) -> Iterator[bytes]:
    with scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path = os.path.join(prefix, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk_folder(top, path, entry.name)
        elif not _is_link_to_folder(entry):
            yield path


def _walk_folder(top: bytes, path: bytes, name: bytes) -> Iterator[bytes]:
    folder = os.path.join(top, path)
    if name.startswith(b".") or os.path.lexists(os.path.join(folder, CACHE_TAG)):
        return
    try:
        scan = os.scandir(folder)
    except OSError:
        yield path
        return
    yield from _walk(top, path, scan)


def _is_link_to_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False


def survey_file(top: bytes, path: bytes) -> FileFigures:
    """Read one file that `list_files` gave, and count. Never raises `OSError`: what cannot be read is skipped and says so."""
    name = shown(path)
    full = os.path.join(top, path) if os.path.isdir(top) else top
    try:
        status = os.stat(full)
    except OSError:
        return FileFigures(name, 0, None, None, "not_a_file" if os.path.islink(full) else "unreadable")
    if stat.S_ISDIR(status.st_mode):
        return FileFigures(name, 0, None, None, "unreadable")
    if not stat.S_ISREG(status.st_mode):
        return FileFigures(name, 0, None, None, "not_a_file")
    if status.st_size > LARGEST:
        return FileFigures(name, status.st_size, None, None, "too_large")
    return _count(name, full, status.st_size)


def _count(name: str, full: bytes, size: int) -> FileFigures:
    try:
        with open(os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return FileFigures(name, 0, None, None, "not_a_file")
            data = _read(file.fileno(), max(size, BINARY_PROBE) + 1)
    except OSError:
        return FileFigures(name, size, None, None, "unreadable")
    if b"\0" in data[:BINARY_PROBE]:
        return FileFigures(name, len(data), None, None, "binary")
    if len(data) > LARGEST:
        return FileFigures(name, len(data), None, None, "too_large")
    return FileFigures(name, len(data), data.count(b"\n"), len(data.split()))


def _read(descriptor: int, hint: int) -> bytes:
    """Read a file to its end, or one byte past the largest size."""
    pieces = []
    left = LARGEST + 1
    while left and (piece := os.read(descriptor, min(hint, left))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
