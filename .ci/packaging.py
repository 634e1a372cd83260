"""Show what `pip install .` gives without cargo, and what the wheel that maturin makes gives, each in a fresh environment.

The first: the package with every engine but the compiled ones, which say how to get them. The second: an abi3 wheel that holds
the engine and works. Standard library only; takes a minute or two, most of it pip's. `make packaging` runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("pyproject.toml", "README.md", "LICENSE", "tinyagent_actors", "Cargo.toml", "Cargo.lock", "native")
LATE = 900
ASK = """
import trio
from tinyagent_actors import Context, EngineUnavailableError, Model, StreamOptions, UserMessage, open_stream
from tinyagent_actors import _alchemy
from tinyagent_actors.testing import Reply, open_endpoint

async def ask(engine):
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        model = Model("any", base_url=endpoint.url)
        async with open_stream(model, Context(messages=[UserMessage("hi")]), StreamOptions(engine=engine)) as stream:
            return (await stream.result()).text

print("default:", trio.run(ask, None))
print("httpx:", trio.run(ask, "httpx"))
try:
    print("native:", trio.run(ask, "native"))
except EngineUnavailableError as error:
    print("native:", error)
print("where:", _alchemy.__file__)
"""


class FailedCheckError(Exception):
    """What was to be shown did not show."""


def run(*command: str | Path, cwd: Path, path: str | None = None) -> str:
    """Run a command; give what it says."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TINYAGENT", "VIRTUAL"))
    }
    if path is not None:
        environ["PATH"] = path
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LATE,
        check=False,
    )
    if done.returncode != 0:
        raise FailedCheckError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def path_without_cargo() -> str:
    """Give the path without the folders that hold cargo."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not (Path(folder) / "cargo").exists())


def fresh(folder: Path) -> Path:
    """Make an environment; give its interpreter."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def expect(said: str, *patterns: str) -> None:
    """Check what was said."""
    for pattern in patterns:
        if not re.search(pattern, said, re.MULTILINE):
            raise FailedCheckError(f"{pattern!r} is not in:\n{said}")


def without_cargo(work: Path) -> None:
    """Install the sources where there is no cargo."""
    source = work / "source"
    source.mkdir()
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    for name in COPIED:
        path = ROOT / name
        (shutil.copytree(path, source / name, ignore=ignored) if path.is_dir() else shutil.copy2(path, source))
    python = fresh(work / "pure")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        source,
        cwd=work,
        path=path_without_cargo(),
    )
    said = run(python, "-c", ASK, cwd=work, path=path_without_cargo())
    expect(
        said,
        "^default: hello$",
        "^httpx: hello$",
        "^native: .*a wheel of tinyagent-actors",
        rf"^where: {re.escape(str(work))}",
    )
    print(said, end="")


def with_wheel(work: Path) -> None:
    """Build the wheel with maturin and install it."""
    wheels = work / "wheels"
    run(sys.executable, "-m", "maturin", "build", "--release", "--quiet", "--out", wheels, cwd=ROOT)
    (wheel,) = wheels.glob("*.whl")
    expect(wheel.name, "-abi3-")
    python = fresh(work / "compiled")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
        cwd=work,
        path=path_without_cargo(),
    )
    said = run(python, "-c", ASK, cwd=work, path=path_without_cargo())
    expect(said, "^default: hello$", "^httpx: hello$", "^native: hello$", rf"^where: {re.escape(str(work))}")
    print(wheel.name, wheel.stat().st_size // 1024, "KiB")
    print(said, end="")


def main() -> int:
    """Run both."""
    checks = {"pip install . without cargo": without_cargo}
    if shutil.which("cargo"):
        checks["the wheel of maturin"] = with_wheel
    for name, check in checks.items():
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(Path(folder))
            except FailedCheckError as failure:
                print(f"FAILED: {failure}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
