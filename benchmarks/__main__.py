"""``python -m benchmarks [NAME...]``: each benchmark against its reference, alternating, the median of `RUNS`.

``python -m benchmarks fuzz --help``: the decoders against each other.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

from benchmarks import (
    _agent_load,
    _alchemy,
    _demo,
    _endpoint,
    _fuzz,
    _governor,
    _imports,
    _lifecycle,
    _mailbox,
    _provider,
    _validation,
)
from benchmarks._row import ENGINES, Row, alternately, median_ratio


def bench_import() -> list[Row]:
    """What importing the package costs."""
    ours, reference = alternately(
        lambda: _imports.import_seconds(_imports.OURS), lambda: _imports.import_seconds(_imports.REFERENCE)
    )
    note = f"{statistics.median(ours) * 1e3:.0f} ms, reference {statistics.median(reference) * 1e3:.0f} ms"
    return [Row("import", median_ratio(ours, reference), "<= 1.5", note)]


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
        reference, *ours = alternately(lambda: _demo.reference_seconds(top, sizes), *measures)
    note = f"s, reference {statistics.median(reference):.2f} s, {len(sizes)} requests"
    return [
        Row(
            f"demo on 3,000 files, {engine}",
            median_ratio(values, reference),
            "<= 4",
            f"{statistics.median(values):.2f} {note}",
        )
        for engine, values in zip(ENGINES, ours, strict=True)
    ]


def bench_governor() -> list[Row]:
    """300 agents on one key, at a provider that serves 20 at once and refuses the rest: wasted requests, with the arrivals."""
    rows = []
    for engine in ENGINES:
        outcome = _governor.crowd(engine)
        print(f"arrivals of {_governor.AGENTS} agents, {engine}:\n{outcome.histogram()}")
        note = f"{outcome.refused} of {len(outcome.arrivals)} requests; {outcome.most} answers at once at most"
        rows += [
            Row(f"wasted requests, {engine}", outcome.wasted, "<= 0.05", note),
            Row(f"agents served, {engine}", outcome.served, f">= {_governor.AGENTS}"),
        ]
    return rows


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "mailbox": bench_mailbox,
    "lifecycle": bench_lifecycle,
    "growth": bench_growth,
    "agent": _agent_load.bench_agent_runs,
    "paced agents": _agent_load.bench_paced_agents,
    "idle agent": _agent_load.bench_idle_agent,
    "turns": _agent_load.bench_cancelled_turns,
    "others": _agent_load.bench_others,
    "stream": _provider.bench_streams,
    "paced": _provider.bench_paced_streams,
    "long": _provider.bench_long_stream,
    "latency": _provider.bench_latency,
    "stopped": _provider.bench_stopped_reader,
    "cancel": _provider.bench_cancel,
    "alchemy": _alchemy.bench_alchemy,
    "validation": lambda: [_validation.validation_row()],
    "import": bench_import,
    "demo": bench_demo,
    "governor": bench_governor,
}
GROUPS = {
    "streams": ("stream", "paced", "long", "latency", "stopped", "cancel"),
    "agents": ("agent", "paced agents", "idle agent", "turns", "validation"),
}
"""The provider part; agents and tools."""
ON_REQUEST = {"others"}
"""What is left out where nothing is named: it fetches packages."""
UNBUILT = {"mailbox", "lifecycle", "growth", "idle agent", "validation", "import", "demo", "governor"}
"""Those that need no compiled endpoint."""


def main() -> int:
    """Run the benchmarks that are named, or all."""
    if sys.argv[1:2] == ["fuzz"]:
        return _fuzz.main(sys.argv[2:])
    named = [
        part
        for name in sys.argv[1:] or [name for name in BENCHMARKS if name not in ON_REQUEST]
        for part in GROUPS.get(name, (name,))
    ]
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
