"""Judge the engine `alchemy`: run the tests of providers on it, and write down what it passes and fails.

It makes ``tests/providers/alchemy.toml``, which later runs hold it to, and the page of the reference. ``--page`` makes only the
page, from the list as it stands; ``--check`` writes nothing and exits with 1 where page or list is old. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path

from behaviours import ROOT, Test, all_tests

FOLDER = "tests/providers"
LIST = ROOT / FOLDER / "alchemy.toml"
PAGE = ROOT / "docs/reference/alchemy-engine.md"
HEAD = ROOT / ".ci/alchemy-engine.md"
RUNS = 2
DEPEND_ON_SPEED = {
    "test_a_caller_s_own_deadline_passes_through",
    "test_clocks_stand_still_while_nobody_waits",
    "test_the_whole_stream_has_a_deadline",
}
"""Their deadlines are near the time that the crate takes to load certificates, which a busy machine multiplies."""
WAIT_FOR_NOTHING = {"test_cancel_of_many_streams_in_flight", "test_silence_after_the_finish_reason_is_a_success"}
"""They fail when their own deadline passes, half a minute later: too long to see it again in every run."""

_LEADING = re.compile(r"^P\d\d(?:(?:, | and | to )P\d\d)*: ")
_RANGE = re.compile(r"P(\d\d) to P(\d\d)")
Lists = dict[str, list[str]]


def pytest(report: Path, *words: str) -> str:
    """Run the tests on the engine as if nothing were known; give what pytest says."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "alchemy", *words, FOLDER]
    environ = {**os.environ, "TINYAGENT_ALCHEMY_REPORT": str(report)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=1500)
    return done.stdout


def judge() -> Lists:
    """Run all of them `RUNS` times; a test that once passes and once fails varies."""
    outcomes: dict[str, set[bool]] = defaultdict(set)
    for number in range(RUNS):
        with tempfile.TemporaryDirectory() as place:
            report = Path(place) / "report"
            said = pytest(report, "-n", "2")
            print(f"run {number + 1} of {RUNS}: {said.strip().splitlines()[-1]}", flush=True)
            for line in report.read_text().splitlines():
                name, passed = json.loads(line)
                outcomes[name].add(passed)
    lists: Lists = {"passes": [], "fails": [], "waits": [], "varies": []}
    for name, seen in sorted(outcomes.items()):
        lists[sort_of(name, seen)].append(name)
    return lists


def sort_of(name: str, seen: set[bool]) -> str:
    """Say in which list a test belongs that ended so."""
    if len(seen) > 1 or function_of(name) in DEPEND_ON_SPEED:
        return "varies"
    if True in seen:
        return "passes"
    return "waits" if function_of(name) in WAIT_FOR_NOTHING else "fails"


def write_list(lists: Lists) -> None:
    """Write the list as TOML."""
    text = "# Which tests of this folder pass on the engine `alchemy`. Made by `make alchemy`; do not edit.\n"
    for name, tests in lists.items():
        text += f"\n{name} = [\n" + "".join(f"  {json.dumps(test)},\n" for test in tests) + "]\n"
    LIST.write_text(text, encoding="utf-8")


def collected() -> set[str]:
    """Give the names of all tests that judge the engine."""
    said = pytest(Path(os.devnull), "--collect-only")
    lines = (line for line in said.splitlines() if line.startswith(f"{FOLDER}/") and "[alchemy" in line)
    return {line.removeprefix(f"{FOLDER}/").encode("ascii", "backslashreplace").decode() for line in lines}


def function_of(name: str) -> str:
    """Give the function of a test's name."""
    return name.partition("[")[0].rpartition("::")[2]


def numbers_of(test: Test) -> list[str]:
    """Give the behaviours a test stands for, with those inside of a range."""
    found = {number for number in test.numbers if number.startswith("P")}
    for first, last in _RANGE.findall(test.docstring):
        found |= {f"P{number:02}" for number in range(int(first), int(last) + 1)}
    return sorted(found)


def page(lists: Lists) -> str:
    """Give the text of the page: its head, which is written by hand, and the tables."""
    verdicts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(lists, 0))
    for word, names in lists.items():
        for name in names:
            verdicts[name.partition("::")[0], function_of(name)][word] += 1
    rows: list[tuple[list[str], str, str]] = []
    by_number: dict[str, list[dict[str, int]]] = defaultdict(list)
    for test in all_tests():
        counts = verdicts.get((Path(test.file).name, test.name.rpartition("::")[2]))
        if counts is None or Path(test.file).parent != Path(FOLDER):
            continue
        numbers = numbers_of(test)
        for number in numbers:
            by_number[number].append(counts)
        said = _LEADING.sub("", " ".join(test.docstring.split("\n\n", 1)[0].split())).replace("|", "\\|")
        rows.append((numbers, said, verdict(counts)))
    rows.sort(key=lambda row: row[0] or ["~"])
    whole = [number for number in sorted(by_number) if all(verdict(one) == "passes" for one in by_number[number])]
    broken = [number for number in sorted(by_number) if number not in whole]
    lines = [
        HEAD.read_text(encoding="utf-8"),
        f"Whole: {', '.join(whole)}.\n\n",
        f"Not, or not in every case: {', '.join(broken)}.\n\n",
        "| behaviour | what is asked | `alchemy` |\n|---|---|---|\n",
        *(f"| {', '.join(numbers)} | {said} | {word} |\n" for numbers, said, word in rows),
    ]
    return "".join(lines)


def verdict(counts: dict[str, int]) -> str:
    """Say in a word what became of a test and its cases."""
    total = sum(counts.values())
    if counts["passes"] == total:
        return "passes"
    if counts["varies"]:
        return "depends on the speed of the machine"
    return f"passes in {counts['passes']} of {total} cases" if counts["passes"] else "**fails**"


def main() -> int:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="make the page from the list as it stands")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if list or page is old")
    options = parser.parse_args()
    if not options.page and not options.check:
        write_list(judge())
    lists: Lists = tomllib.loads(LIST.read_text(encoding="utf-8"))
    text = page(lists)
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    known = {name for names in lists.values() for name in names}
    found = collected()
    problems = [f"not judged yet: {name}" for name in sorted(found - known)]
    problems += [f"no such test any more: {name}" for name in sorted(known - found)]
    if PAGE.read_text(encoding="utf-8") != text:
        problems.append(f"{PAGE.relative_to(ROOT)} is not what the list says")
    if problems:
        print(*problems, "run: make alchemy", sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
