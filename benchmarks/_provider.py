"""The provider part: streams on each engine, against straight httpx or a bare reader of sockets."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

from benchmarks import _endpoint
from benchmarks._child import Measured, measure_in_child
from benchmarks._row import ENGINES, RUNS, Row, alternately, median_ratio


def _cpu(module: str, *args: object, per: int) -> Callable[[], float]:
    """Measure the CPU of streams, seconds each."""
    return lambda: measure_in_child(module, "streams", *args).cpu / per


def _cpu_rows(
    name: str, limits: dict[str, str], *, tokens: int, pace_ms: float, at_once: int, rounds: int
) -> list[Row]:
    engines = [engine for engine in ENGINES if engine in limits]
    if not engines:
        return []
    with _endpoint.running(tokens=tokens, pace_ms=pace_ms) as url:
        measures = [_cpu("_agents", url, engine, at_once, rounds, per=at_once * rounds) for engine in engines]
        reference, *ours = alternately(_cpu("_reference", url, at_once, rounds, per=at_once * rounds), *measures)
    return [
        Row(
            f"{name}, {engine}",
            median_ratio(values, reference),
            limits[engine],
            f"{statistics.median(values) * 1e3:.2f} ms CPU each, reference {statistics.median(reference) * 1e3:.2f} ms",
        )
        for engine, values in zip(engines, ours, strict=True)
    ]


def bench_streams() -> list[Row]:
    """CPU of the provider part: streams of 200 tokens, at full speed and paced."""
    fast = {"httpx": "<= 1.3", "native": "<= 0.3"}
    return [
        *_cpu_rows("100 streams", fast, tokens=200, pace_ms=0, at_once=100, rounds=3),
        *_cpu_rows("500 streams", {"httpx": "<= 0.5"}, tokens=200, pace_ms=0, at_once=500, rounds=1),
        *_cpu_rows("100 paced streams", {"native": "<= 0.6"}, tokens=200, pace_ms=2, at_once=100, rounds=1),
    ]


def bench_long_stream() -> list[Row]:
    """CPU of one stream of 100,000 deltas."""
    return _cpu_rows("100,000 deltas", {"native": "<= 0.3"}, tokens=100_000, pace_ms=0, at_once=1, rounds=1)


def bench_paced_streams() -> list[Row]:
    """Wall of 500 streams of 200 tokens paced at 2 ms, against a bare epoll reader; and the threads it takes."""
    if "native" not in ENGINES:
        return []
    measured: list[Measured] = []
    with _endpoint.running(tokens=200, pace_ms=2) as url:

        def ours() -> float:
            measured.append(measure_in_child("_agents", "streams", url, "native", 500, 1))
            return measured[-1].wall

        def floor() -> float:
            command = [sys.executable, "-m", "benchmarks._epoll", url, "500"]
            return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)

        walls, floors = alternately(ours, floor)
    threads = max(one.threads for one in measured)
    note = f"{statistics.median(walls):.2f} s, floor {statistics.median(floors):.2f} s"
    return [
        Row("500 paced streams, native: wall", median_ratio(walls, floors), "<= 1.5", note),
        Row("500 paced streams, native: threads", threads, "<= 10"),
    ]


def bench_latency() -> list[Row]:
    """From the server's write to the Trio task, one idle stream: the median, microseconds."""

    def p50(module_function: str, *args: object) -> Callable[[], float]:
        return lambda: measure_in_child("_latency", module_function, *args).extra["p50"]

    with _endpoint.running(tokens=100, pace_ms=10, stamped=True) as url:
        reference, *ours = alternately(p50("reference", url), *(p50("ours", url, engine) for engine in ENGINES))
    return [
        Row(
            f"latency, {engine}",
            median_ratio(values, reference),
            "<= 1.5",
            f"{statistics.median(values):.0f} us, reference {statistics.median(reference):.0f} us",
        )
        for engine, values in zip(ENGINES, ours, strict=True)
    ]


def bench_stopped_reader() -> list[Row]:
    """A reader that stops for 10 s behind a server at full speed: MB that the memory grew by; then nothing is missing."""
    tokens = 200_000
    rows = []
    with _endpoint.running(tokens=tokens) as url:
        for engine in ENGINES:
            extra = measure_in_child("_stopping", "stopped_reader", url, engine, 10, tokens).extra
            rows += [
                Row(f"stopped for 10 s, {engine}: MB", extra["grown"], "<= 16"),
                Row(f"stopped for 10 s, {engine}: lost", extra["lost"], "<= 0"),
            ]
    return rows


def bench_cancel() -> list[Row]:
    """Cancel of 500 streams in flight: seconds until every one is closed on our side, and until the server knows.

    Each engine at a pace that it can keep up with (5 ms a token: 100,000 events a second; 100 ms: 5,000), so that what is
    measured is the cancel and not the work of a backlog.
    """
    rows = []
    for engine in ENGINES:
        pace = {"native": 5.0, "httpx": 100.0}[engine]
        with _endpoint.running(tokens=100_000, pace_ms=pace) as url:
            taken = [measure_in_child("_stopping", "cancelled_streams", url, engine, 500).extra for _ in range(RUNS)]
        closed = max(one["closed_after"] for one in taken)
        seen = max(one["seen_after"] for one in taken)
        rows += [
            Row(f"cancel of 500 streams, {engine}: s", closed, "<= 0.5", f"the worst; {pace:g} ms a token"),
            Row(f"cancel of 500, {engine}: seen after s", seen, "<= 0.2", "the worst; then the pool works"),
        ]
    return rows
