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
    open_folders = [_entries(top, b"")]
    while open_folders:
        for path, entry in open_folders[-1]:
            if not entry.is_dir(follow_symlinks=False):
                if not _is_link_to_folder(entry):
                    yield path
            elif not _is_left_out(os.path.join(top, path), entry.name):
                try:
                    open_folders.append(_entries(top, path))
                except OSError:
                    yield path
                else:
                    break
        else:
            open_folders.pop()


def _entries(top: bytes, folder: bytes) -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
    with os.scandir(os.path.join(top, folder)) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    return ((os.path.join(folder, entry.name), entry) for entry in entries)


def _is_left_out(folder: bytes, name: bytes) -> bool:
    return name.startswith(b".") or os.path.lexists(os.path.join(folder, CACHE_TAG))


def _is_link_to_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False


def printable(path: str) -> str:
    """Give a shown path on one line of a terminal: control characters and the like are escaped."""
    return "".join([sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path])


def folder_of(top: bytes) -> bytes:
    """Give the folder that the paths of `list_files` are relative to: `top`, or where it lies if it is a file."""
    return top if os.path.isdir(top) else os.path.dirname(top)


def survey_file(folder: bytes, path: bytes) -> FileFigures:
    """Read one file and count. Never raises `OSError`: what cannot be read is skipped and says so."""
    name = shown(path)
    full = os.path.join(folder, path)
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
        descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return FileFigures(name, 0, None, None, "not_a_file")
            data = _read(descriptor, max(size, BINARY_PROBE) + 1)
        finally:
            os.close(descriptor)
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
