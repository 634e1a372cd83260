"""Agents: their runs against straight httpx, their waits against a bare reader, their end against bare sockets."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import trio

from benchmarks import _endpoint
from benchmarks._agents import TOOLS, make_model
from benchmarks._child import Measured, measure_in_child
from benchmarks._others import FRAMEWORKS, cpu_of_other
from benchmarks._row import ENGINES, Row, alternately, median_ratio
from tinyagent_actors import AgentSpec, open_system, supervisor

IDLE = 2_000
TURNS = 1_000
ROUNDS = 10
"""Of one measurement; `RUNS` of them make the 50 times that nothing may leak."""


def _runs(limits: dict[str, str], name: str, *, pace_ms: float, at_once: int, rounds: int) -> list[Row]:
    engines = [engine for engine in ENGINES if engine in limits]
    with _endpoint.running(tokens=100, tools=2, pace_ms=pace_ms) as url:

        def cpu(module: str, *engine: str) -> Callable[[], float]:
            return lambda: measure_in_child(module, "agent_runs", url, *engine, at_once, rounds).cpu / at_once / rounds

        reference, *ours = alternately(cpu("_reference"), *(cpu("_agents", engine) for engine in engines))
        parts = {
            engine: measure_in_child("_breakdown", "breakdown", url, engine, at_once, rounds) for engine in engines
        }
    return [
        Row(
            f"{name}, {engine}",
            median_ratio(values, reference),
            limits[engine],
            f"{statistics.median(values) * 1e3:.2f} ms CPU, reference {statistics.median(reference) * 1e3:.2f} ms; of which "
            + ", ".join(f"{part} {ms:.2f}" for part, ms in parts[engine].extra.items()),
        )
        for engine, values in zip(engines, ours, strict=True)
    ]


def bench_agent_runs() -> list[Row]:
    """CPU of an agent run: 2 model calls, 2 parallel tools, 200 tokens; 100 at once, at full speed and paced."""
    return [
        *_runs({"httpx": "<= 1.3", "native": "<= 0.4"}, "agent run", pace_ms=0, at_once=100, rounds=3),
        *_runs({"native": "<= 0.7"}, "paced agent run", pace_ms=2, at_once=100, rounds=1),
    ]


def bench_paced_agents() -> list[Row]:
    """500 agents that read 200 tokens at 2 ms each: wall against a bare epoll reader, memory, threads."""
    if "native" not in ENGINES:
        return []
    measured: list[Measured] = []
    with _endpoint.running(tokens=200, pace_ms=2) as url:

        def ours() -> float:
            measured.append(measure_in_child("_agents", "agent_runs", url, "native", 500, 1))
            return measured[-1].wall

        def floor() -> float:
            command = [sys.executable, "-m", "benchmarks._epoll", url, "500"]
            return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)

        walls, floors = alternately(ours, floor)
    note = f"{statistics.median(walls):.2f} s, floor {statistics.median(floors):.2f} s"
    return [
        Row("500 paced agents, native: wall", median_ratio(walls, floors), "<= 1.5", note),
        Row("500 paced agents, native: MB", max(one.peak_mb for one in measured), "<= 120", "the most ever resident"),
        Row("500 paced agents, native: threads", max(one.threads for one in measured), "<= 10"),
    ]


def bench_idle_agent() -> list[Row]:
    """What an agent takes that has nothing to do, its task and its place in its supervisor included."""
    return [Row("an idle agent: KB", trio.run(_idle_bytes) / 1024, "<= 16", f"tracemalloc over {IDLE}")]


async def _idle_bytes() -> float:
    model = make_model("http://127.0.0.1:9/v1")
    specs = [AgentSpec(str(each), model=model, tools=TOOLS) for each in range(IDLE)]
    async with open_system() as system:
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            await system.start_child(supervisor("team", children=specs))
            gc.collect()
            return (tracemalloc.get_traced_memory()[0] - before) / IDLE
        finally:
            tracemalloc.stop()


def bench_cancelled_turns() -> list[Row]:
    """1,000 turns, each in a tool that reads a stream, stopped all at once, against 1,000 bare sockets; 50 times, and nothing is left."""
    rows = []
    with _endpoint.running(tokens=5, tools=1) as calls_url, _endpoint.running(tokens=100_000, pace_ms=1000) as slow_url:
        for engine in ENGINES:
            measured: list[dict[str, float]] = []

            def ours(engine: str = engine, measured: list[dict[str, float]] = measured) -> float:
                arguments = (calls_url, slow_url, engine, TURNS, ROUNDS)
                measured.append(measure_in_child("_turns", "cancelled_turns", *arguments).extra)
                return measured[-1]["closed"]

            def bare() -> float:
                return measure_in_child("_turns", "closed_sockets", slow_url, TURNS, ROUNDS).extra["closed"]

            closed, reference = alternately(ours, bare)
            note = f"{statistics.median(closed):.2f} s, bare sockets {statistics.median(reference):.2f} s"
            left = max(sum(one[name] for name in ("tasks", "descriptors", "threads")) for one in measured)
            rows += [
                Row(f"{TURNS} turns stopped, {engine}", median_ratio(closed, reference), "<= 3", note),
                Row(
                    f"{TURNS} turns, {engine}: seen after s",
                    max(one["seen"] for one in measured),
                    "<= 0.2",
                    "the worst",
                ),
                Row(f"{TURNS} turns, {engine}: more left", left, "<= 0", "tasks, descriptors, threads"),
            ]
    return rows


def bench_others() -> list[Row]:
    """How many times the CPU of our agent run the best of other frameworks takes; their packages come from the registry."""
    engine = ENGINES[-1]
    with _endpoint.running(tokens=100, tools=2) as url:
        others = {name: cpu_of_other(name, url) for name in FRAMEWORKS}
        known = {name: value for name, value in others.items() if isinstance(value, float)}
        note = ", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in known.items())
        note += "".join(f"; {name} did not run: {value}" for name, value in others.items() if name not in known)
        if not known:
            return [Row(f"others over ours, {engine}", 0.0, ">= 15", note)]
        best = min(known, key=known.__getitem__)

        def ours() -> float:
            return measure_in_child("_agents", "agent_runs", url, engine, 100, 3).cpu / 300

        def theirs() -> float:
            taken = cpu_of_other(best, url)
            assert isinstance(taken, float), taken
            return taken

        mine, other = alternately(ours, theirs)
    note = f"ours {statistics.median(mine) * 1e3:.2f} ms, {best} {statistics.median(other) * 1e3:.1f} ms; once each: {note}"
    return [Row(f"others over ours, {engine}", median_ratio(other, mine), ">= 15", note)]
