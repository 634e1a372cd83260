"""Which tests the engine `alchemy` runs, and which of them it is known to fail.

The list stands in `alchemy.toml`, which `make alchemy` makes by running the tests: those under ``passes`` must pass, those
under ``fails`` must fail, so that neither a loss nor a gain goes unseen. Those under ``varies``, which a busy machine decides, and
under ``waits``, which fail by a deadline far off, are left out. So is a test that is in no list; `test_alchemy_page.py` says then
that the list is old.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

ENGINE = "alchemy"
LIST = Path(__file__).parent / "alchemy.toml"
REPORT = os.environ.get("TINYAGENT_ALCHEMY_REPORT")
"""A file for the outcomes, one JSON line each; while it is set every test is run as if nothing were known of it."""

_FILES = frozenset({"test_cancel.py", "test_timeouts.py"})
"""Files whose tests open streams without `ask`."""


def is_judged(item: pytest.Item) -> bool:
    """Whether a test is one of those by which an engine is judged: it reads a stream over a socket."""
    if item.path.parent != LIST.parent:
        return False
    return "ask" in getattr(item, "fixturenames", ()) or item.path.name in _FILES


def read_list() -> dict[str, list[str]]:
    """Give the names of the tests in each of the lists."""
    lists = tomllib.loads(LIST.read_text()) if LIST.exists() else {}
    return {name: lists.get(name, []) for name in ("passes", "fails", "waits", "varies")}


def name_of(nodeid: str) -> str:
    """Give a test's name in the list: its file, its function, its parameters, all in ASCII."""
    return nodeid.removeprefix("tests/providers/").encode("ascii", "backslashreplace").decode()


def choose(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Give the tests that are run and those that are not; those that are known to fail are marked."""
    lists = {name: frozenset(tests) for name, tests in read_list().items()}
    run: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is None or callspec.params.get("engine") != ENGINE:
            run.append(item)
            continue
        name = name_of(item.nodeid)
        is_held = name in lists["passes"] or name in lists["fails"]
        if not is_judged(item) or not (REPORT or is_held):
            left_out.append(item)
            continue
        if not REPORT and name in lists["fails"]:
            item.add_marker(pytest.mark.xfail(strict=True, reason="as the page says"))
        run.append(item)
    return run, left_out


def note(report: pytest.TestReport) -> None:
    """Write the outcome of a test down, if a file for it is named."""
    if REPORT and report.when == "call" and f"[{ENGINE}" in report.nodeid:
        line = json.dumps([name_of(report.nodeid), report.outcome == "passed"])
        with Path(REPORT).open("a") as file:
            file.write(line + "\n")
