"""The survey's rules: what is listed, and what is said of each file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tinyagent_actors.cli._survey import LARGEST, FileFigures, folder_of, list_files, printable, shown, survey_file


def figures_of(path: Path) -> FileFigures:
    return survey_file(os.fsencode(path.parent), os.fsencode(path.name))


def test_the_rules_agree_with_wc(tmp_path: Path) -> None:
    """On ASCII the figures are those of `wc`."""
    (tmp_path / "x").write_bytes(b"The quick  brown\tfox\n\njumps\n over\x0b the\x0clazy\rdog")
    figures = figures_of(tmp_path / "x")
    said = subprocess.run(["wc", "-l", "-w", "-c", str(tmp_path / "x")], capture_output=True, text=True, check=True)

    assert said.stdout.split()[:3] == [str(figures.lines), str(figures.words), str(figures.bytes)]


@pytest.mark.parametrize(
    ("size", "skipped"), [(0, None), (LARGEST, None), (LARGEST + 1, "too_large")], ids=["empty", "largest", "larger"]
)
def test_the_largest_size_is_still_read(tmp_path: Path, size: int, skipped: str | None) -> None:
    """8 MiB are counted; a byte more is too large."""
    (tmp_path / "x").write_bytes(b"a" * size)
    figures = figures_of(tmp_path / "x")

    assert (figures.bytes, figures.skipped) == (size, skipped)
    assert figures.words == (None if skipped else min(size, 1))


@pytest.mark.parametrize(("before", "skipped"), [(8191, "binary"), (8192, None)])
def test_a_nul_makes_a_file_binary_in_its_first_8_kib(tmp_path: Path, before: int, skipped: str | None) -> None:
    """The byte after them is not looked at."""
    (tmp_path / "x").write_bytes(b"a" * before + b"\0")

    assert figures_of(tmp_path / "x").skipped == skipped


def test_what_cannot_be_opened_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its size and has no figures."""
    (tmp_path / "x").write_bytes(b"abc")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    assert figures_of(tmp_path / "x") == FileFigures("x", 3, None, None, "unreadable")


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the list itself, since nobody knows what is in it; its neighbours are listed as ever."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"")
    really = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"/b"):
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert list(list_files(os.fsencode(tmp_path))) == [b"a/x", b"b", b"c/x"]
    assert figures_of(tmp_path / "b").skipped == "unreadable"


def test_a_deep_tree_is_walked_to_its_end(tmp_path: Path) -> None:
    """No depth that a path can name is too deep."""
    folder = tmp_path.joinpath(*["d"] * 600)
    folder.mkdir(parents=True)
    (folder / "leaf").write_bytes(b"x")

    assert list(list_files(os.fsencode(tmp_path))) == [b"d/" * 600 + b"leaf"]


def test_paths_are_relative_to_the_top_or_to_where_it_lies(tmp_path: Path) -> None:
    """A file is surveyed alone, under its own name; in order of the bytes otherwise."""
    for name in ("b", "a", "B"):
        (tmp_path / name).write_bytes(b"")
    top = os.fsencode(tmp_path)

    assert list(list_files(top)) == [b"B", b"a", b"b"]
    assert folder_of(top) == top
    assert list(list_files(top + b"/a")) == [b"a"]
    assert folder_of(top + b"/a") == top


def test_names_are_shown_on_one_line() -> None:
    r"""Bytes that are not UTF-8 stand as ``\xNN``; on a terminal control characters are escaped, too."""
    assert shown(b"a\xffb") == "a\\xffb"
    assert printable(shown(b"a\xff\nb\x1b[31m")) == "a\\xff\\nb\\x1b[31m"
    assert printable("plain ü") == "plain ü"
