"""Ctrl-C, at any moment: exit 130, nothing left, and word of what was stopped; in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

DEADLINE = 60
"""Seconds, far above what is expected."""
PROGRAM = """
import sys
import tinyagent_actors.cli._main as commands
import tinyagent_actors.__main__ as entry

def tinyagent(prog_name):
    print("said")
    PART

commands.tinyagent = tinyagent
entry.main()
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files enough for several shares a reader, and a log beside them."""
    top = tmp_path / "files"
    top.mkdir()
    for number in range(900):
        (top / f"file-{number:03}").write_bytes(b"some words\n" * (number % 7))
    return top


def start(top: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tinyagent_actors", "demo", str(top), "--agents", "2", *options]
    if "--log" not in options:
        command += ["--log", str(top.with_name("log.jsonl"))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_until(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"it never said {word!r}")


def test_the_first_line_is_not_too_early(files: Path) -> None:
    """From then on it is heard, whether or not there is something to stop already."""
    process = start(files)
    read_until(process, b"surveying")
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, errors) == (130, b"")
    assert said.splitlines()[-1].startswith(b"interrupted: ")


@pytest.mark.parametrize("word", [b"reader-2: started", b"crashed", b"started again", b"timed out"])
def test_the_first_stops_in_order(files: Path, word: bytes) -> None:
    """Wherever it has got to; what was stopped is said, and stands in the log to the last event."""
    process = start(files)
    read_until(process, word)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=DEADLINE)
    last = json.loads(files.with_name("log.jsonl").read_bytes().splitlines()[-1])

    assert (process.returncode, errors) == (130, b"")
    assert said.splitlines()[-1].startswith(b"interrupted: ")
    assert said.splitlines()[-1].endswith(b" actors stopped in order, 0 left running")
    assert int(said.splitlines()[-1].split()[1]) in (4, 5)  # root, team, lead and readers; one may just have crashed
    assert last["event"] == "system_stopped"
    assert [last[kind] for kind in ("tasks", "threads", "streams", "processes")] == [0, 0, 0, 0]


@pytest.mark.parametrize("more", [1, 2])
def test_further_ones_end_it_as_well(files: Path, more: int) -> None:
    """The second cancels at once, the third ends the process; the exit code is the same."""
    process = start(files)
    read_until(process, b"crashed")
    for _ in range(1 + more):
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, errors) == (130, b"")


def test_one_json_object_comes_of_it(files: Path) -> None:
    """It says that the survey was not finished, and that nothing is left."""
    log = files.with_name("log.jsonl")
    process = start(files, "--json")
    while not log.exists() or not log.stat().st_size:  # until the first events are written: the system is open
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=DEADLINE)
    report = json.loads(said)

    assert (process.returncode, errors) == (130, b"")
    assert report["ok"] is False
    assert report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}


def test_it_is_heard_while_nothing_is_open() -> None:
    """Before and after a system there is nothing to stop: the process ends at once, with the same code."""
    program = PROGRAM.replace("PART", "sys.stdout.flush(); import time; time.sleep(3600)")
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    read_until(process, b"said")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize(("part", "code"), [("sys.exit(3)", 3), ("sys.exit()", 0), ("sys.exit('no')", 1), ("pass", 0)])
def test_the_exit_code_is_the_commands(part: str, code: int) -> None:
    """And what was said is written out, though the interpreter is not taken down."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.replace("PART", part)], capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (code, b"said\n")


def test_a_success_that_nobody_hears_is_none() -> None:
    """Standard output is closed by its reader before anything was written out: exit code 1, and no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    program = PROGRAM.replace("PART", "pass")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False, env=buffered
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")
