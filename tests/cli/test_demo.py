"""tinyagent demo: figures by the rules, exit codes; in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click.testing
import pytest

from tinyagent_actors.cli._demo import demo_command

pytestmark = pytest.mark.process


def demo(*words: str | bytes, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tinyagent_actors", "demo", *words]
    return subprocess.run(command, capture_output=True, timeout=100, check=False, cwd=cwd)


def as_json(*words: str | bytes) -> dict[str, Any]:
    done = demo(*words, "--json")
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(autouse=True)
def place_for_logs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have logs that are named by nobody made where pytest clears up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("logs")))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "a tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "b.txt").write_bytes(b"one two\nthree\x0bfour")
    (top / "a.txt").write_bytes(b"caf\xc3\xa9 \xa0x\n\n")
    (top / "binary").write_bytes(b"x\0y")
    (top / 'quote" and\nnewline').write_bytes(b"q\n")
    Path(os.fsdecode(os.fsencode(top) + b"/raw\xff")).write_bytes(b"r")
    (top / "raw\\xfe").write_bytes(b"looks alike")
    Path(os.fsdecode(os.fsencode(top) + b"/raw\xfe")).write_bytes(b"r r")
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
        "raw\\xfe": None,
        "raw\\xff": None,
        "sub/b.txt": None,
    }
    assert files["sub/b.txt"] == {"path": "sub/b.txt", "bytes": 18, "lines": 1, "words": 4, "skipped": None}
    assert files["a.txt"]["words"] == 2
    assert (files["large"]["lines"], files["large"]["words"]) == (None, None)
    assert report["totals"] == {"files": 7, "bytes": 55, "lines": 6, "words": 14}
    alike = [figures["words"] for figures in report["files"] if figures["path"] == "raw\\xfe"]
    assert sorted(alike) == [2, 2]
    assert report["agents"] == {"started": 2, "crashed": 1, "restarted": 1}
    assert report["tools"]["timed_out"] == 1
    assert report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}
    log = [json.loads(line) for line in Path(report["log"]).read_bytes().splitlines()]
    assert log[-1]["event"] == "system_stopped"


@pytest.mark.parametrize("agents", ["1", "4"])
def test_both_faults_are_shown_however_few_the_files(tmp_path: Path, agents: str) -> None:
    """One file is enough: its reader crashes in mid-work, is restarted, and then has a tool that is ended by its timeout."""
    (tmp_path / "one").write_bytes(b"a b\n")
    report = as_json(str(tmp_path / "one"), "--agents", agents)

    assert report["totals"] == {"files": 1, "bytes": 4, "lines": 1, "words": 2}
    assert report["agents"] == {"started": int(agents), "crashed": 1, "restarted": 1}
    assert (report["tools"]["finished"], report["tools"]["timed_out"]) == (1, 1)


def test_the_shape_of_the_report(tmp_path: Path) -> None:
    """Exactly one JSON object with exactly these members; the figures of a run without faults are exact."""
    for number in range(20):
        (tmp_path / f"file-{number}").write_bytes(b"a b\n" * number)
    log = tmp_path.parent / f"{tmp_path.name}.jsonl"
    report = as_json(str(tmp_path), "--no-faults", "--agents", "3", "--log", str(log))

    assert " ".join(report) == "ok path engine endpoint files totals agents tools usage events seconds log leftovers"
    assert report["ok"] is True
    assert report["path"] == str(tmp_path)
    assert report["endpoint"].startswith("http://127.0.0.1:")
    assert report["files"][3] == {"path": "file-11", "bytes": 44, "lines": 11, "words": 22, "skipped": None}
    assert report["totals"] == {"files": 20, "bytes": 760, "lines": 190, "words": 380}
    assert report["agents"] == {"started": 3, "crashed": 0, "restarted": 0}
    assert report["tools"] == {"finished": 20, "failed": 0, "timed_out": 0, "cancelled": 0, "abandoned": 0}
    assert report["usage"]["input"] > 0
    assert report["log"] == str(log)
    assert report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}
    assert report["events"] == json.loads(log.read_bytes().splitlines()[-1])["seq"]


def test_no_files_and_one_file(tmp_path: Path) -> None:
    """An empty report that says so; a file is surveyed alone."""
    assert as_json(str(tmp_path))["files"] == []
    said = demo(str(tmp_path)).stdout.decode()
    assert "no files" in said
    (tmp_path / "one").write_bytes(b"a b\n")
    report = as_json(str(tmp_path / "one"), "--no-faults")
    assert report["files"] == [{"path": "one", "bytes": 4, "lines": 1, "words": 2, "skipped": None}]
    assert report["agents"] == {"started": 4, "crashed": 0, "restarted": 0}


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    """Exit 2, and one line that says so, also where the name has several."""
    missing = demo(str(tmp_path / "nowhere\nat all"))

    assert (missing.returncode, missing.stdout) == (2, b"")
    assert missing.stderr.decode() == f"tinyagent demo: {tmp_path}/nowhere\\nat all: No such file or directory\n"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--agents", "0", "not in the range 1<=x<=256"),
        ("--agents", "257", "not in the range 1<=x<=256"),
        ("--model", "nonsense", "must be 'provider:id'"),
        ("--base-url", "http://127.0.0.1:9/v1", "--model: is needed with --base-url"),
        ("--log", "no/such/folder", "No such file or directory"),
    ],
)
def test_bad_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str, said: str) -> None:
    """Exit 2, and it says what is wrong."""
    monkeypatch.chdir(tmp_path)
    done = click.testing.CliRunner().invoke(demo_command, [option, value])

    assert done.exit_code == 2
    assert said in done.stderr


def test_a_path_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2, and one line that says so."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    done = click.testing.CliRunner().invoke(demo_command, [str(tmp_path)])

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"tinyagent demo: {tmp_path}: Permission denied\n"


def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    """The run fails with exit 1 and a typed error; nothing is left running."""
    (tmp_path / "one").write_bytes(b"a")
    done = demo(str(tmp_path), "--base-url", "http://127.0.0.1:9/v1", "--model", "any", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["leftovers"]["tasks"] == 0
    assert b"ProviderError: connection_error" in done.stderr
