"""Make the table of behaviours in the reference from the docstrings of the tests; with ``--check``, only see that it is current.

Standard library only. A test stands for a behaviour when its docstring names the number, as in ``S27: repeated crashes ...``.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/reference/behaviours.md")
NUMBERS = [*(f"S{number:02}" for number in range(1, 69)), *(f"T{number:02}" for number in range(1, 39))]

_NUMBER = re.compile(r"\b(?:[A-Z]\d\d|[Mm]ission \d{1,2})\b")
_LEADING = re.compile(r"^(?:(?:[A-Z]\d\d|[Mm]ission \d{1,2})(?:, | and )?)+: ")
_HEAD = """\
# Behaviours

What holds of supervision, mailboxes, monitors and names (S), and of tools and cancellation (T), and the tests that show it. Made by
`make behaviours` from the docstrings of the tests; do not edit.

| number | behaviour | test |
|---|---|---|
"""


class Test(NamedTuple):
    """A test function, and what its docstring says."""

    file: str
    name: str
    """With the name of its class, if it has one: ``TestX::test_y``."""
    docstring: str

    @property
    def node(self) -> str:
        """What pytest calls it."""
        return f"{self.file}::{self.name}"

    @property
    def numbers(self) -> set[str]:
        """The behaviours it stands for."""
        return {number.replace("Mission", "mission") for number in _NUMBER.findall(self.docstring)}

    @property
    def statement(self) -> str:
        """What it shows: the first paragraph of the docstring, without the numbers at its head."""
        paragraph = " ".join(self.docstring.split("\n\n", 1)[0].split())
        return _LEADING.sub("", paragraph)


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
            yield from _functions(statement.body, f"{prefix}{statement.name}::")
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith("test"):
            yield prefix + statement.name, statement


def all_tests() -> list[Test]:
    """Give every test that has a docstring, in the order of files and lines."""
    return [
        Test(path.relative_to(ROOT).as_posix(), name, docstring)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name, function in _functions(ast.parse(path.read_text(encoding="utf-8")).body)
        if (docstring := ast.get_docstring(function)) is not None
    ]


def tests_by_number() -> dict[str, list[Test]]:
    """Give the tests of each behaviour."""
    found: dict[str, list[Test]] = defaultdict(list)
    for test in all_tests():
        for number in test.numbers:
            found[number].append(test)
    return found


def page(found: dict[str, list[Test]]) -> str:
    """Give the text of the table."""
    rows = []
    for number in NUMBERS:
        for place, test in enumerate(found.get(number, ())):
            first = number if place == 0 else ""
            said = test.statement.replace("|", "\\|")
            rows.append(f"| {first} | {said} | [`{test.name}`](../../{test.file}) |\n")
    return _HEAD + "".join(rows)


def main() -> int:
    """Write the page, or check it; say which behaviours have no test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not current")
    options = parser.parse_args()
    found = tests_by_number()
    text, path = page(found), ROOT / PAGE
    missing = [number for number in NUMBERS if number not in found]
    print(f"behaviours without a test: {', '.join(missing) or 'none'}")
    if not options.check:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        print(f"{PAGE} is not current; run: make behaviours")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
