"""A measurement in a process of its own: CPU of the whole process with all its threads, wall time, threads, memory."""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import trio


@attrs.frozen
class Measured:
    """What a child measured of its timed part."""

    cpu: float
    """Seconds, user and system, all threads."""
    wall: float
    """Seconds."""
    threads: int
    """The most operating-system threads seen at the end of the timed part."""
    peak_mb: float
    extra: dict[str, float]


def measure_in_child(module: str, function: str, *args: object) -> Measured:
    """Run ``benchmarks.<module>.<function>(*args)``, a coroutine function that gives a timed part, in a new interpreter."""
    command = [sys.executable, "-m", "benchmarks._child", module, function, *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


Timed = Callable[[], Awaitable["dict[str, float] | None"]]


async def run_timed(timed: Timed, *, warm_up: Timed | None = None) -> None:
    """Warm up, run the timed part, and print what it took as JSON."""
    await (warm_up or timed)()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    extra = await timed()
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print_measured(Measured(cpu, wall, _threads(), after.ru_maxrss / 1024, extra or {}))


def print_measured(measured: Measured) -> None:
    """Print it as the parent reads it."""
    print(json.dumps(attrs.asdict(measured)))


def _threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()


def main() -> None:
    """Run what the command line names."""
    module, function, *args = sys.argv[1:]
    trio.run(getattr(importlib.import_module(f"benchmarks.{module}"), function), *args)


if __name__ == "__main__":
    main()
