"""The programs of the page on cassettes run, one after the other in one folder, and print what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_examples import ROOT, blocks

pytestmark = pytest.mark.process
PAGE = "docs/how-to/record-and-replay.md"


def test_record_and_replay(tmp_path: Path) -> None:
    """K03, K04, K05: record, replay, a miss, a capture; of a line's end, the time that it took is left out."""
    said = []
    for program in blocks(PAGE, "python"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    said[0] = said[0].replace(said[0].splitlines()[-1], said[0].splitlines()[-1].split(",")[0].rstrip("}"))

    assert said == blocks(PAGE, "text")
    assert "sk-this-is-never-written" not in (tmp_path / "paris.jsonl").read_text()
