"""Break the package on purpose, once for each entry of ``tests/mutants/*.toml``, and see that a test notices.

An entry names a behaviour, a file, a text that occurs in it exactly once, and what takes its place. The tests that are
run are those whose docstrings name the behaviour. They run in a copy, so the worktree is never changed, however this
ends. First they run on the copy as it is: a test that fails there can tell nothing. A mutant that hangs is caught; one
that cannot even be imported is a fault of the entry. Standard library only.
"""

from __future__ import annotations

import argparse
import compileall
import itertools
import os
import queue
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from behaviours import ROOT, Test, tests_by_number

LISTS = ROOT / "tests" / "mutants"
COPIED = ("tinyagent_actors", "tests", "pyproject.toml")
FIELDS = {"behaviour", "name", "file", "find", "replace"}
JOBS = 2

QUICK = ("-x", "-p", "no:xdist", "--tb=no", "-rfE", "--hypothesis-profile=mutants")
"""How the tests of a mutant are run: nobody reads what they say, so it need be neither whole nor made small."""

_FAILED = 1  # pytest's exit code where tests failed
_running: set[int] = set()
"""Process groups to be killed if this is interrupted."""
_times = itertools.count()
"""Modification times that no bytecode was made for."""


class Mutant(NamedTuple):
    """One way to break the package."""

    behaviour: str
    name: str
    file: str
    find: str
    replace: str


class Verdict(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    word: str
    """caught, hung, SURVIVED, no test, or broken entry."""
    said: str
    """Which test noticed, or what is wrong."""
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether a test noticed."""
        return self.word in {"caught", "hung"}

    def __str__(self) -> str:
        """Give its line."""
        return f"{self.mutant.behaviour}  {self.word:<9} {self.seconds:5.1f} s  {self.mutant.name}  ({self.said})"


class BrokenEntryError(Exception):
    """An entry that cannot be applied."""


def read_mutants() -> list[Mutant]:
    """Give every entry."""
    mutants: list[Mutant] = []
    for path in sorted(LISTS.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
            if set(entry) != FIELDS:
                raise BrokenEntryError(f"{path.name}: {entry.get('name')!r} must have the fields {sorted(FIELDS)}")
            mutants.append(Mutant(**entry))
    return mutants


def check(mutants: list[Mutant]) -> None:
    """See that each can be applied to the worktree.

    Raises:
        BrokenEntryError: Some cannot; a line for each.
    """
    problems = [
        f"two mutants are named {name!r}"
        for name, count in Counter(mutant.name for mutant in mutants).items()
        if count > 1
    ]
    for mutant in mutants:
        found = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.find) if mutant.find else 0
        if found != 1:
            problems.append(f"{mutant.name!r}: its text occurs {found} times in {mutant.file}, not once")
        elif mutant.find == mutant.replace:
            problems.append(f"{mutant.name!r} changes nothing")
    if problems:
        raise BrokenEntryError("\n".join(problems))


def make_copy(folder: Path) -> None:
    """Copy what is mutated and what tests it; the rest of the repository is linked."""
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in COPIED:
            if entry.is_dir():
                shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            else:
                shutil.copy2(entry, folder)
        elif entry.name not in {".git", ".hypothesis", ".venv"}:
            (folder / entry.name).symlink_to(entry)
    for engine in (ROOT / "tinyagent_actors").rglob("*.so"):
        (folder / engine.relative_to(ROOT)).symlink_to(engine)
    compileall.compile_dir(folder / "tinyagent_actors", quiet=2)


def run_tests(folder: Path, nodes: list[str], seconds: float, *words: str) -> tuple[int | None, str]:
    """Run tests in a copy, in a process group of its own.

    Returns:
        Pytest's exit code, None if it was not done in time; and what it said.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", *words, *nodes]
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        _running.add(process.pid)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            _kill(process.pid)
    return process.returncode, said


def _kill(group: int) -> None:
    _running.discard(group)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def try_out(mutant: Mutant, tests: list[Test], folder: Path, seconds: float) -> Verdict:
    """Apply a mutant to a copy, run its tests, and mend the copy."""
    began = time.monotonic()
    target = folder / mutant.file
    whole = (ROOT / mutant.file).read_text(encoding="utf-8")
    target.write_text(whole.replace(mutant.find, mutant.replace), encoding="utf-8")
    # A time of its own, so that the bytecode of the whole file, or of another mutant, is not taken for it.
    os.utime(target, (0, next(_times)))
    try:
        code, said = run_tests(folder, [test.node for test in tests], seconds, *QUICK)
    finally:
        shutil.copy2(ROOT / mutant.file, target)
    took = time.monotonic() - began
    if code is None:
        return Verdict(mutant, "hung", f"not done after {seconds:g} s", took)
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\S+)", said, re.MULTILINE)
    if code == 0:
        return Verdict(mutant, "SURVIVED", f"{len(tests)} tests pass", took)
    if code < 0 or (code == _FAILED and failed):
        return Verdict(mutant, "caught", failed[0] if failed else f"the process ended with {code}", took)
    return Verdict(mutant, "BROKEN", f"pytest ended with {code}: {said.strip().splitlines()[-1:]}", took)


def list_all(mutants: list[Mutant]) -> int:
    """Name every mutant; 1 if there is one whose behaviour no test names."""
    found = tests_by_number()
    for mutant in mutants:
        print(f"{mutant.behaviour}  {mutant.name}{'' if mutant.behaviour in found else '  (NO TEST)'}")
    return int(any(mutant.behaviour not in found for mutant in mutants))


def choose(mutants: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """Give those that were asked for: all, those of a name or number, or a sample."""
    if options.only:
        mutants = [mutant for mutant in mutants if options.only == mutant.behaviour or options.only in mutant.name]
    if options.sample is not None:
        seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
        print(
            f"a sample of {options.sample} of {len(mutants)} mutants; replay with --sample {options.sample} --seed {seed}"
        )
        mutants = random.Random(seed).sample(mutants, min(options.sample, len(mutants)))  # noqa: S311  # no secret
    return mutants


def run_all(mutants: list[Mutant], seconds: float) -> list[Verdict]:
    """Try every mutant, `JOBS` at a time, and print what became of each."""
    found = tests_by_number()
    verdicts = [
        Verdict(mutant, "no test", "no docstring names it", 0.0) for mutant in mutants if mutant.behaviour not in found
    ]
    testable = [mutant for mutant in mutants if mutant.behaviour in found]
    for verdict in verdicts:
        print(verdict, flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(JOBS):
            folder = Path(place) / str(number)
            make_copy(folder)
            folders.put(folder)
        nodes = sorted({test.node for mutant in testable for test in found[mutant.behaviour]})
        code, said = run_tests(folder, nodes, 600, "-n", str(JOBS)) if nodes else (0, "")
        if code != 0:
            print(said)
            raise BrokenEntryError("tests fail without any mutant")

        def work(mutant: Mutant) -> Verdict:
            folder = folders.get()
            try:
                return try_out(mutant, found[mutant.behaviour], folder, seconds)
            finally:
                folders.put(folder)

        with ThreadPoolExecutor(JOBS) as pool:
            try:
                for done in as_completed([pool.submit(work, mutant) for mutant in testable]):
                    verdicts.append(done.result())
                    print(verdicts[-1], flush=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for group in tuple(_running):
                    _kill(group)
                raise
    return verdicts


def main() -> int:
    """Run the mutants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a behaviour (S27), or a part of a name")
    parser.add_argument("--sample", type=int, help="only so many, chosen by a seed")
    parser.add_argument("--seed", type=int, help="which sample")
    parser.add_argument("--list", action="store_true", help="only check the entries, and name them")
    parser.add_argument("--check", action="store_true", help="only check the entries, and count them")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long one mutant may take")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        mutants = choose(read_mutants(), options)
        check(mutants)
        if options.check:
            print(f"{len(mutants)} mutants can be applied")
            return 0
        if options.list:
            return list_all(mutants)
        verdicts = run_all(mutants, options.seconds)
    except BrokenEntryError as error:
        print(error)
        return 1
    bad = [verdict for verdict in verdicts if not verdict.is_good]
    print(f"{len(verdicts) - len(bad)} of {len(verdicts)} mutants caught")
    for verdict in bad:
        print(f"NOT CAUGHT: {verdict}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
