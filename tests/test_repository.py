"""What holds of the repository as a whole."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import tinyagent_actors

ROOT = Path(__file__).parent.parent
TOP = {
    "pyproject.toml", "Cargo.toml", "Cargo.lock", "native", "tinyagent_actors", "tests", "examples", "docs", "README.md",
    ".ci", "Makefile", "CHANGELOG.md", "LICENSE", "benchmarks", ".gitignore",
}  # fmt: skip


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_the_top_level_is_as_agreed() -> None:
    """Nothing stands there that has no business there."""
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP


def test_no_file_is_too_long() -> None:
    """A file stops at 500 lines."""
    code = [path for path in tracked() if path.suffix in (".py", ".rs")]
    long = {str(path): count for path in code if (count := len(path.read_text().splitlines())) > 500}

    assert long == {}


def test_every_public_name_is_there_once() -> None:
    """`__all__` is sorted, without repetition, and each name resolves; so in every folder."""
    assert len(set(tinyagent_actors.__all__)) == len(tinyagent_actors.__all__)
    for name in tinyagent_actors.__all__:
        assert getattr(tinyagent_actors, name) is not None
    for folder in ("actors", "agents", "events", "messages", "providers", "supervision", "system", "testing", "tools"):
        module = importlib.import_module(f"tinyagent_actors.{folder}")
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """click, rich, httpx and structlog come only when something needs them."""
    program = (
        "import sys, tinyagent_actors as t; [getattr(t, n) for n in ('open_system', 'AgentSpec', 'tool', 'Model')];"
        "print([m for m in ('click', 'rich', 'httpx', 'structlog') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.strip() == "[]"


def test_readme_and_changelog() -> None:
    """A newcomer finds the two commands; changes have a place."""
    readme = (ROOT / "README.md").read_text()

    assert "make demo" in readme
    assert "make test" in readme
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
