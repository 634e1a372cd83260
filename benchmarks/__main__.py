"""``python -m benchmarks [NAME...]``: each benchmark against its reference, alternating, the median of `RUNS`."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

import attrs

from benchmarks import _demo, _endpoint, _imports, _lifecycle, _mailbox
from benchmarks._child import Measured, measure_in_child
from tinyagent_actors import _alchemy

RUNS = 5
ENGINES = ("httpx", "native") if _alchemy.AVAILABLE else ("httpx",)


@attrs.frozen
class Row:
    """One line of the table."""

    name: str
    ratio: float
    limit: str
    """What it is to hold, such as ``<= 0.7``."""
    note: str = ""

    def holds(self) -> bool:
        """Whether it does."""
        sign, bound = self.limit.split()
        return self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)


def _alternately(*measures: Callable[[], float]) -> list[list[float]]:
    """Take `RUNS` rounds of all measures, so that noise falls on each alike."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(RUNS):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return taken


def _median_ratio(ours: list[float], reference: list[float]) -> float:
    return statistics.median(ours) / statistics.median(reference)


def bench_agent_runs() -> list[Row]:
    """CPU of an agent run: 2 model calls, 2 parallel tools, 200 tokens; 100 at once, at full speed."""
    at_once, rounds = 100, 3
    with _endpoint.running(tokens=100, tools=2) as url:

        def cpu(module: str, *engine: str) -> Callable[[], float]:
            return lambda: measure_in_child(module, "agent_runs", url, *engine, at_once, rounds).cpu / at_once / rounds

        reference, *ours = _alternately(cpu("_reference"), *(cpu("_agents", engine) for engine in ENGINES))
        parts = {
            engine: measure_in_child("_breakdown", "breakdown", url, engine, at_once, rounds) for engine in ENGINES
        }
    limits = {"httpx": "<= 2.0", "native": "<= 0.7"}
    return [
        Row(
            f"agent run, {engine}",
            _median_ratio(values, reference),
            limits[engine],
            f"{statistics.median(values) * 1e3:.2f} ms CPU, reference {statistics.median(reference) * 1e3:.2f} ms; of which "
            + ", ".join(f"{name} {ms:.2f}" for name, ms in parts[engine].extra.items()),
        )
        for engine, values in zip(ENGINES, ours, strict=True)
    ]


def bench_streams() -> list[Row]:
    """CPU of the provider part: 100 streams of 200 tokens at full speed."""
    at_once, rounds = 100, 3
    with _endpoint.running(tokens=200) as url:

        def cpu(module: str, *engine: str) -> Callable[[], float]:
            return lambda: measure_in_child(module, "streams", url, *engine, at_once, rounds).cpu / at_once / rounds

        reference, *ours = _alternately(cpu("_reference"), *(cpu("_agents", engine) for engine in ENGINES))
    return [
        Row(
            f"stream, {engine}", _median_ratio(values, reference), "<= 2.0", f"{statistics.median(values) * 1e3:.2f} ms"
        )
        for engine, values in zip(ENGINES, ours, strict=True)
    ]


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

        walls, floors = _alternately(ours, floor)
    threads = max(one.threads for one in measured)
    note = f"{statistics.median(walls):.2f} s, floor {statistics.median(floors):.2f} s"
    return [
        Row("500 paced streams, native: wall", _median_ratio(walls, floors), "<= 1.5", note),
        Row("500 paced streams, native: threads", threads, "<= 10"),
    ]


def bench_cancel() -> list[Row]:
    """Cancel of 500 streams in flight: seconds until every one is closed on our side.

    Each engine at a pace that it can keep up with (5 ms a token: 100,000 events a second; 100 ms: 5,000), so that what is
    measured is the cancel and not the work of a backlog.
    """
    rows = []
    for engine in ENGINES:
        pace = {"native": 5.0, "httpx": 100.0}[engine]
        with _endpoint.running(tokens=100_000, pace_ms=pace) as url:
            taken = [
                measure_in_child("_agents", "cancelled_streams", url, engine, 500).extra["closed_after"]
                for _ in range(RUNS)
            ]
        rows.append(Row(f"cancel of 500 streams, {engine}: s", max(taken), "<= 0.5", f"the worst; {pace:g} ms a token"))
    return rows


def bench_import() -> list[Row]:
    """What importing the package costs."""
    ours, reference = _alternately(
        lambda: _imports.import_seconds(_imports.OURS), lambda: _imports.import_seconds(_imports.REFERENCE)
    )
    note = f"{statistics.median(ours) * 1e3:.0f} ms, reference {statistics.median(reference) * 1e3:.0f} ms"
    return [Row("import", _median_ratio(ours, reference), "<= 1.5", note)]


def bench_mailbox() -> list[Row]:
    """Throughput of `tell` and `ask` against Trio's channels, and the fairness of one mailbox to many senders."""
    return [
        Row("tell, end to end", _mailbox.tell_ratio(), ">= 5.5", "against send on a channel of capacity 64"),
        Row("ask", _mailbox.ask_ratio(), ">= 1.0", "against two channels of capacity 1"),
        Row("ask, again", _mailbox.call_ratio(), ">= 0.85", "against a channel with a fresh Event for each call"),
        Row("100 senders: longest absence", _mailbox.longest_absence(), "<= 3", "over the mean number of deliveries"),
    ]


def bench_lifecycle() -> list[Row]:
    """Start and stop of an actor against those of a task, and what an idle one takes."""
    kilobytes = _lifecycle.idle_bytes() / 1024
    return [
        Row("start and stop of an actor", _lifecycle.rate_ratio(), ">= 0.4", "rate, against a task and two Events"),
        Row("an idle actor: KB", kilobytes, "<= 8", f"tracemalloc over {_lifecycle.IDLE}"),
    ]


def bench_growth() -> list[Row]:
    """What one actor costs among 100,000 over what it costs among 10,000, against the same quotient of bare tasks."""
    pairs = {
        "start and stop": (_lifecycle.live_together, _lifecycle.bare_live_together),
        "Downs": (_lifecycle.fan_out, _lifecycle.bare_fan_out),
        "restart of one": (_lifecycle.restart_among, _lifecycle.bare_restart_among),
    }
    return [
        Row(f"growth, {name}", _lifecycle.growth(*pair), "<= 1.25", "10,000 to 100,000") for name, pair in pairs.items()
    ]


def bench_demo() -> list[Row]:
    """Wall of the demo on 3,000 small files, faults and all, against a plain walk that makes the same requests."""
    with _demo.small_files() as top:
        sizes = _demo.sizes_of_demo(top)

        def demo(engine: str) -> Callable[[], float]:
            return lambda: _demo.demo_seconds(top, "--engine", engine)

        measures = [demo(engine) for engine in ENGINES]
        reference, *ours = _alternately(lambda: _demo.reference_seconds(top, sizes), *measures)
    note = f"s, reference {statistics.median(reference):.2f} s, {len(sizes)} requests"
    return [
        Row(
            f"demo on 3,000 files, {engine}",
            _median_ratio(values, reference),
            "<= 4",
            f"{statistics.median(values):.2f} {note}",
        )
        for engine, values in zip(ENGINES, ours, strict=True)
    ]


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "mailbox": bench_mailbox,
    "lifecycle": bench_lifecycle,
    "growth": bench_growth,
    "agent": bench_agent_runs,
    "stream": bench_streams,
    "paced": bench_paced_streams,
    "cancel": bench_cancel,
    "import": bench_import,
    "demo": bench_demo,
}
UNBUILT = {"mailbox", "lifecycle", "growth", "import", "demo"}
"""Those that need no compiled endpoint."""


def main() -> int:
    """Run the benchmarks that are named, or all."""
    named = sys.argv[1:] or list(BENCHMARKS)
    if set(named) - UNBUILT:
        _endpoint.build()
    missed = 0
    for name in named:
        for row in BENCHMARKS[name]():
            missed += not row.holds()
            verdict = "" if row.holds() else "  MISSED"
            print(f"{row.name:<38} {row.ratio:8.2f}  {row.limit:>7}  {row.note}{verdict}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
