"""Run every check, each with a deadline, and close with what they said.

The checks that run no test go two at a time, those that run tests one after the other: a neighbour would disturb them. Standard
library only. The last lines repeat the closing lines of pytest and cargo, and how many provider tests ran on each
engine; any failure makes the exit code 1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PYTHON = sys.executable
NATIVE = bool(list(Path("tinyagent_actors/_alchemy").glob("_lib*.so")))
_STAMP = Path(".venv/.made/native-features")
ALCHEMY = _STAMP.read_text().strip() if NATIVE and _STAMP.exists() else ""
"""The Cargo feature with which the engine `alchemy` was built; blank: it was not."""
CARGO = shutil.which("cargo")
# Bytecode is kept, whatever the shell says: else each process compiles all that it imports, and pytest every test, each time.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
JOBS = 2
Step = tuple[str, list[str], int]
FACE = ["tinyagent_actors/__init__.py", "tests/typing"]


def python(*words: str) -> list[str]:
    """Give a command of the project's own interpreter."""
    return [PYTHON, "-m", *words]


def cargo_features() -> list[str]:
    """Give the words that make cargo build with the engine `alchemy`, if it was built."""
    return ["--features", f"tinyagent-native/{ALCHEMY}"] if ALCHEMY else []


def lint_steps() -> list[Step]:
    """Give the checks that run no test: name, command, deadline in seconds."""
    # The longest first; the two that share cargo's lock far from each other.
    steps = [
        ("mypy", python("mypy"), 600),
        ("ruff check", python("ruff", "check", "--quiet", "."), 120),
        ("ruff format", python("ruff", "format", "--check", "--quiet", "."), 120),
        ("pyright", python("pyright", *FACE), 600),
        ("import-linter", [str(Path(PYTHON).parent / "lint-imports"), "--no-cache"], 300),
        ("codespell", python("codespell_lib"), 120),
        ("mutants fit", [PYTHON, ".ci/mutants.py", "--check"], 60),
    ]
    if NATIVE:
        stub = python("mypy.stubtest", "tinyagent_actors._alchemy._lib")
        if not ALCHEMY:
            stub += ["--allowlist", ".ci/stubtest-lean.txt"]
        steps.append(("stubtest", stub, 300))
    if CARGO:
        clippy, strict = [CARGO, "clippy", "--quiet", "--workspace", "--all-targets"], ["--", "-D", "warnings"]
        steps.insert(0, ("clippy", [*clippy, *strict], 1200))
        steps.append(("rustfmt", [CARGO, "fmt", "--all", "--check"], 120))
        if ALCHEMY:
            steps.append(("clippy alchemy", [*clippy, *cargo_features(), *strict], 1800))
    return steps


def test_steps() -> list[Step]:
    """Give the checks that run tests."""
    steps = [
        ("pytest", python("pytest", "-n", "2", "--dist", "worksteal", "-q"), 1800),
        ("mutants", [PYTHON, ".ci/mutants.py", "--sample", "10"], 600),
    ]
    if CARGO:
        steps.append(("cargo test", [CARGO, "test", "--quiet", "--workspace", *cargo_features()], 1800))
    return steps


def is_missing(step: Step) -> bool:
    """Whether rustup's rustfmt or clippy is not there."""
    tool = {"rustfmt": "cargo-fmt", "clippy": "cargo-clippy", "clippy alchemy": "cargo-clippy"}.get(step[0])
    return tool is not None and shutil.which(tool) is None


def run(step: Step) -> tuple[bool, str, float]:
    """Run one check, then show its output; whether it passed, what it said, and its seconds."""
    name, command, seconds = step
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
            env=ENVIRON,
        )
    except subprocess.TimeoutExpired as late:
        print(f"== {name}: not done after {seconds} s\n{late.stdout or ''}", flush=True)
        return False, "", time.monotonic() - began
    print(f"== {name}\n{done.stdout}", end="", flush=True)
    return done.returncode == 0, done.stdout, time.monotonic() - began


def closing_lines(said: dict[str, str]) -> list[str]:
    """Give the lines that the runners close with, and the count of tests on each engine."""
    lines = [line for line in said.get("pytest", "").splitlines() if re.search(r"\d+ (passed|failed|error)", line)][-1:]
    lines += [line for line in said.get("cargo test", "").splitlines() if line.startswith("test result:")]
    lines += [line for line in said.get("pytest", "").splitlines() if line.startswith("engines: ")]
    if not NATIVE:
        lines.append("native: not built")
    if not ALCHEMY:
        lines.append("alchemy: not built")
    return lines


def engines_are_even(said: dict[str, str]) -> bool:
    """Whether native ran at least as many provider tests as httpx, where it is built."""
    found = re.search(r"^engines: httpx (\d+) tests, native (\d+) tests", said.get("pytest", ""), re.MULTILINE)
    return not NATIVE or (found is not None and int(found[2]) >= int(found[1]) > 0)


def run_all(steps: list[Step], jobs: int) -> list[tuple[Step, tuple[bool, str, float]]]:
    """Run checks, so many at a time; give what became of each, in their order."""
    for name, _, _ in filter(is_missing, steps):
        print(f"== {name}: not installed here, left out")
    present = [step for step in steps if not is_missing(step)]
    with ThreadPoolExecutor(jobs) as pool:
        return list(zip(present, pool.map(run, present), strict=True))


def main() -> int:
    """Run the checks."""
    done = run_all(lint_steps(), JOBS)
    if "--lint" not in sys.argv:
        done += run_all(test_steps(), 1)
    said = {name: output for (name, _, _), (_, output, _) in done}
    summary = [(name, "ok" if passed else "FAILED", seconds) for (name, _, _), (passed, _, seconds) in done]
    print("\n== summary")
    for name, verdict, seconds_taken in summary:
        print(f"{name:<14} {verdict:<7} {seconds_taken:6.1f} s")
    if "pytest" in said and not engines_are_even(said):
        summary.append(("engines", "FAILED", 0.0))
        print("native ran fewer provider tests than httpx, or none ran")
    for line in closing_lines(said):
        print(line)
    return int(any(verdict != "ok" for _, verdict, _ in summary))


if __name__ == "__main__":
    sys.exit(main())
