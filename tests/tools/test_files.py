"""The tools for files: what they do, and that nothing outside their folder is reached."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.tools._processes import open_files
from tinyagent_actors import PathRefusedError, Tool
from tinyagent_actors.tools.library import file_tools
from tinyagent_actors.tools.library._files import MOST_ENTRIES, MOST_FOUND
from tinyagent_actors.tools.library._root import Root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "below").mkdir()
    (folder / "below" / "b.txt").write_text("Two more\n")
    return folder


def tools_of(root: Path) -> dict[str, Tool]:
    return {tool.name: tool for tool in file_tools(root)}


def test_read(root: Path) -> None:
    """Lines from where they are wanted; how to go on is said; absolute paths below the folder are fine."""
    read = tools_of(root)["read_file"]

    assert read("a.txt") == "one\ntwo\nthree\n"
    assert read(str(root / "a.txt"), 2, 1) == "two\n\n[cut: go on with first_line=3]"
    assert read("./below/../a.txt", 3) == "three\n"
    assert read("a.txt", 9) == "[a.txt has 3 lines]"


def test_read_is_bounded(root: Path) -> None:
    """A long file, a long line, and what is no text."""
    read = tools_of(root)["read_file"]
    (root / "long").write_text("x" * 99 + "\n" + "y" * 1_000_000)
    (root / "lines").write_text("".join(f"{n}\n" for n in range(100_000)))
    (root / "binary").write_bytes(b"a\0b")
    (root / "odd").write_bytes(b"caf\xe9\n")

    assert len(read("long")) < 210_000
    assert read("lines").endswith("[cut: go on with first_line=2001]")
    assert read("lines", 100_000) == "99999\n"
    assert read("odd") == "caf\ufffd\n"
    with pytest.raises(ValueError, match="binary is no text file"):
        read("binary")


def test_write_and_edit(root: Path) -> None:
    """Folders are made, the mode stays, no half file and no rest is left; a passage must be unique."""
    tools = tools_of(root)
    (root / "a.txt").chmod(0o600)
    assert tools["write_file"]("new/er/c.txt", "x\nx\n") == "wrote 4 bytes to new/er/c.txt"
    tools["write_file"]("a.txt", "one two")

    assert tools["edit_file"]("a.txt", "two", "2") == "replaced 1 of 1 in a.txt"
    assert (root / "a.txt").read_text() == "one 2"
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="occurs 2 times"):
        tools["edit_file"]("new/er/c.txt", "x", "y")
    with pytest.raises(ValueError, match="does not occur"):
        tools["edit_file"]("a.txt", "nowhere", "y")
    assert tools["edit_file"]("new/er/c.txt", "x", "y", replace_all=True) == "replaced 2 of 2 in new/er/c.txt"
    assert sorted(path.name for path in root.rglob("*")) == ["a.txt", "b.txt", "below", "c.txt", "er", "new"]


def test_what_is_no_utf_8_survives_an_edit(root: Path) -> None:
    """The bytes around the passage stay as they are."""
    (root / "odd").write_bytes(b"caf\xe9 two\r\n")
    tools_of(root)["edit_file"]("odd", "two", "2")

    assert (root / "odd").read_bytes() == b"caf\xe9 2\r\n"


def test_a_write_that_fails_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file is whole, and no new one lies about."""

    def refused(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="No space"):
        tools_of(root)["write_file"]("a.txt", "new")

    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert sorted(path.name for path in root.iterdir()) == ["a.txt", "below"]


def test_list(root: Path) -> None:
    """Sizes, folders, links with where they lead; bounded."""
    (root / "link").symlink_to("a.txt")
    (root / "many").mkdir()
    for number in range(MOST_ENTRIES + 5):
        (root / "many" / str(number)).touch()
    listed = tools_of(root)["list_files"]

    assert listed() == "a.txt (14 bytes)\nbelow/\nlink -> a.txt\nmany/"
    assert listed("many").endswith(f"[cut: there are more than {MOST_ENTRIES}]")
    assert listed("many").count("\n") == MOST_ENTRIES


def test_search(root: Path) -> None:
    """File, number, line; by name; upper and lower case; links are not followed; bounded."""
    search = tools_of(root)["search_files"]
    (root / "out").symlink_to("../outside")
    (root / "file").symlink_to("../secret")
    os.mkfifo(root / "pipe")

    assert search("two") == "a.txt:2: two"
    assert search("two", ignore_case=True) == "a.txt:2: two\nbelow/b.txt:1: Two more"
    assert search("two", "below", ignore_case=True) == "below/b.txt:1: Two more"
    assert search("o", names="b*") == "below/b.txt:1: Two more"
    assert search("secret") == "[nothing found]"
    (root / "many").write_text("x\n" * (MOST_FOUND + 1))
    assert search("x").count("\n") == MOST_FOUND
    assert "[cut: there is more" in search("x")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "below/../../secret",
        "/etc/passwd",
        "{root}/../secret",
        "absolute",
        "relative",
        "out/file",
        "chain",
        "below/up/secret",
        "a.txt\0",
        "x/" * 300,
        "loop",
    ],
)
@pytest.mark.parametrize("tool", ["read_file", "write_file", "edit_file", "list_files", "search_files"])
def test_no_name_leads_out(root: Path, tool: str, name: str) -> None:
    """By ``..``, by an absolute path, by links of any kind: refused, and nothing outside is read or written."""
    (root / "absolute").symlink_to(root.parent / "secret")
    (root / "relative").symlink_to("../secret")
    (root / "out").symlink_to("../outside")
    (root / "chain").symlink_to("relative")
    (root / "below" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    rest = {"write_file": ("x",), "edit_file": ("secret", "x")}.get(tool, ())
    words = ("secret", name.format(root=root)) if tool == "search_files" else (name.format(root=root), *rest)
    with pytest.raises(PathRefusedError):
        tools_of(root)[tool](*words)

    assert (root.parent / "secret").read_text() == "secret"
    assert (root.parent / "outside" / "file").read_text() == "secret"
    assert sorted(path.name for path in (root.parent / "outside").iterdir()) == ["file"]


def test_links_below_the_folder_are_followed(root: Path) -> None:
    """Relative and absolute ones, to files and folders, for reading and for writing."""
    (root / "link").symlink_to("below")
    (root / "whole").symlink_to(root / "below" / "b.txt")
    tools = tools_of(root)

    assert tools["read_file"]("link/b.txt") == "Two more\n"
    assert tools["list_files"]("link") == "b.txt (9 bytes)"
    tools["write_file"]("whole", "new")
    assert (root / "below" / "b.txt").read_text() == "new"
    assert (root / "whole").is_symlink()


def test_what_blocks_is_not_opened(root: Path) -> None:
    """A pipe without a writer, a device, a folder: refused at once."""
    os.mkfifo(root / "pipe")
    tools = tools_of(root)
    for name in ("pipe", "below"):
        with pytest.raises(PathRefusedError, match="no regular file"):
            tools["read_file"](name)
        with pytest.raises(PathRefusedError, match="no regular file"):
            tools["write_file"](name, "x")


def test_a_file_that_is_exchanged_for_a_link_is_not_followed(root: Path) -> None:
    """The name was fine when it was looked at, and is a link when it is opened."""
    with Root(root).find("a.txt") as place:
        (root / "a.txt").unlink()
        (root / "a.txt").symlink_to("../secret")
        with pytest.raises(PathRefusedError, match="is a link now"), place.open_file():
            pass


def test_a_folder_that_is_exchanged_meanwhile_leads_nowhere(root: Path) -> None:
    """The race: another thread exchanges a folder for a link to outside, as fast as it can; no read ever gives what is outside."""
    stop = threading.Event()
    (root / "swap").mkdir()
    (root / "swap" / "file").write_text("fine")
    (root / "link").symlink_to("../outside")

    def exchange() -> None:
        while not stop.is_set():
            for one, other in (("swap", "kept"), ("link", "swap"), ("swap", "link"), ("kept", "swap")):
                (root / one).rename(root / other)

    thread = threading.Thread(target=exchange)
    thread.start()
    read, seen = tools_of(root)["read_file"], set()
    try:
        for _ in range(3000):
            try:
                seen.add(read("swap/file"))
            except (PathRefusedError, OSError):
                seen.add("")
    finally:
        stop.set()
        thread.join()

    assert "secret" not in seen
    assert "fine" in seen


def test_an_edit_sees_that_the_file_was_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its reading and its writing somebody else wrote: nothing of that is lost."""
    from tinyagent_actors.tools.library import _files

    real = _files._read_whole

    def read(place: Any, descriptor: int) -> str:
        text = real(place, descriptor)
        (root / "a.txt").write_text("somebody else's")
        return text

    monkeypatch.setattr(_files, "_read_whole", read)
    with pytest.raises(ValueError, match="changed meanwhile"):
        tools_of(root)["edit_file"]("a.txt", "two", "2")

    assert (root / "a.txt").read_text() == "somebody else's"


def test_no_descriptor_stays_open(root: Path) -> None:
    """After everything that works and everything that is refused."""
    tools = tools_of(root)
    before = open_files()
    for name in ("a.txt", "below/b.txt", "nope/x", "../secret", "below"):
        for tool in ("read_file", "list_files"):
            try:
                tools[tool](name)
            except (PathRefusedError, OSError):
                continue
        tools["write_file"]("new/x", "x")

    assert open_files() == before


def test_paths_outside_are_in_no_error(root: Path) -> None:
    """An error names the path below the folder, and nothing above it."""
    with pytest.raises(FileNotFoundError) as caught:
        tools_of(root)["read_file"]("below/nope.txt")

    assert str(caught.value) == "[Errno 2] No such file or directory: 'below/nope.txt'"
