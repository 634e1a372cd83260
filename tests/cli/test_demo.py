"""tinyagent demo: figures by the rules, exit codes, interrupts; in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinyagent_actors.cli._survey import list_files, shown, survey_file

pytestmark = pytest.mark.process


def demo(*words: str | bytes, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tinyagent_actors", "demo", *words]
    return subprocess.run(command, capture_output=True, timeout=100, check=False, cwd=cwd)


def as_json(*words: str | bytes) -> dict[str, Any]:
    done = demo(*words, "--json")
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "a tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "b.txt").write_bytes(b"one two\nthree\x0bfour")
    (top / "a.txt").write_bytes(b"caf\xc3\xa9 \xa0x\n\n")
    (top / "binary").write_bytes(b"x\0y")
    (top / 'quote" and\nnewline').write_bytes(b"q\n")
    Path(os.fsdecode(os.fsencode(top) + b"/raw\xff")).write_bytes(b"r")
    with (top / "large").open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    os.mkfifo(top / "fifo")
    (top / "loop").symlink_to("loop")
    (top / "dangling").symlink_to("nowhere")
    (top / "link").symlink_to("a.txt")
    (top / "folder-link").symlink_to("sub")
    for hidden in (".git", "cache"):
        (top / hidden).mkdir()
        (top / hidden / "x").write_bytes(b"x")
    (top / "cache" / "CACHEDIR.TAG").write_bytes(b"")
    return top


def test_the_survey_of_odd_files(tree: Path) -> None:
    """Binary, too large, not a file, a name that is not UTF-8; hidden and cache folders left out, folder links not listed."""
    report = as_json(str(tree), "--agents", "2")
    files = {figures["path"]: figures for figures in report["files"]}

    assert {path: figures["skipped"] for path, figures in files.items()} == {
        "a.txt": None,
        "binary": "binary",
        "dangling": "not_a_file",
        "fifo": "not_a_file",
        "large": "too_large",
        "link": None,
        "loop": "not_a_file",
        'quote" and\nnewline': None,
        "raw\\xff": None,
        "sub/b.txt": None,
    }
    assert files["sub/b.txt"] | {} == {"path": "sub/b.txt", "bytes": 18, "lines": 1, "words": 4, "skipped": None}
    assert files["a.txt"]["words"] == 2
    assert (files["large"]["lines"], files["large"]["words"]) == (None, None)
    assert report["totals"]["files"] == 5
    assert report["agents"] == {"started": 2, "crashed": 1, "restarted": 1}
    assert report["tools"]["timed_out"] == 1
    assert report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}
    log = [json.loads(line) for line in Path(report["log"]).read_bytes().splitlines()]
    assert log[-1]["event"] == "system_stopped"
    Path(report["log"]).unlink()


def test_no_files_and_one_file(tmp_path: Path) -> None:
    """An empty report that says so; a file is surveyed alone."""
    assert as_json(str(tmp_path))["files"] == []
    said = demo(str(tmp_path)).stdout.decode()
    assert "no files" in said
    (tmp_path / "one").write_bytes(b"a b\n")
    report = as_json(str(tmp_path / "one"), "--no-faults")
    assert report["files"] == [{"path": "one", "bytes": 4, "lines": 1, "words": 2, "skipped": None}]
    assert report["agents"] == {"started": 4, "crashed": 0, "restarted": 0}


def test_bad_usage(tmp_path: Path) -> None:
    """Exit 2 and a line that says what is wrong."""
    missing = demo(str(tmp_path / "nowhere"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (2, 1)
    assert demo(str(tmp_path), "--agents", "0").returncode == 2
    assert demo(str(tmp_path), "--log", str(tmp_path / "no" / "log")).returncode == 2
    assert demo(str(tmp_path), "--model", "nonsense").returncode == 2


def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    """The run fails with exit 1 and a typed error; nothing is left running."""
    (tmp_path / "one").write_bytes(b"a")
    done = demo(str(tmp_path), "--base-url", "http://127.0.0.1:9/v1", "--model", "any", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["leftovers"]["tasks"] == 0
    assert b"ProviderError: connection_error" in done.stderr


@pytest.mark.parametrize("lines", [1, 3, 6])
def test_an_interrupt_stops_in_order(tree: Path, lines: int) -> None:
    """Exit 130; it says what was stopped."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyagent_actors", "demo", str(tree)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=30)

    assert process.returncode == 130, errors.decode()
    assert b"0 left running" in said


def test_the_rules_agree_with_wc(tmp_path: Path) -> None:
    """On ASCII the figures are those of `wc`."""
    (tmp_path / "x").write_bytes(b"The quick  brown\tfox\n\njumps\n over the lazy dog")
    figures = [survey_file(os.fsencode(tmp_path), path) for path in list_files(os.fsencode(tmp_path))]
    said = subprocess.run(["wc", "-l", "-w", "-c", str(tmp_path / "x")], capture_output=True, text=True, check=True)

    assert said.stdout.split()[:3] == [str(figures[0].lines), str(figures[0].words), str(figures[0].bytes)]
    assert shown(b"a\xffb") == "a\\xffb"
