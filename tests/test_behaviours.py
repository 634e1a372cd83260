"""The table of behaviours and the list of mutants are as they should be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent


def test_the_table_of_behaviours_is_current() -> None:
    """It says what the docstrings of the tests say; `make behaviours` makes it anew."""
    command = [sys.executable, ".ci/behaviours.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_mutant_can_be_applied() -> None:
    """Its text occurs exactly once where it says; its name is its own; a test names its behaviour."""
    command = [sys.executable, ".ci/mutants.py", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_behaviour_has_a_test_and_a_mutant() -> None:
    """S01 to S68: none is only written down, and of none is it unknown whether its tests can fail."""
    table = (ROOT / "docs/reference/behaviours.md").read_text()
    mutants = "".join(path.read_text() for path in (ROOT / "tests/mutants").glob("*.toml"))
    numbers = [f"S{number:02}" for number in range(1, 69)]

    assert [number for number in numbers if f"| {number} |" not in table] == []
    assert [number for number in numbers if f'behaviour = "{number}"' not in mutants] == []


def test_what_must_never_happen_to_an_agent_has_a_test_and_a_mutant() -> None:
    """All thirteen, and the behaviours of a run's loop: a test names each in its docstring, and a mutant breaks it."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")).replace("Mission", "mission")
    mutants = "".join(path.read_text() for path in (ROOT / "tests/mutants").glob("*.toml"))
    numbers = [f"mission {number}" for number in range(1, 14)] + ["T16", "T28", "T29", "T36", "T37"]

    assert [number for number in numbers if not re.search(rf"\b{number}\b", tests)] == []
    assert [number for number in numbers if f'behaviour = "{number}"' not in mutants] == []
