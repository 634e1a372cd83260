"""``python -m benchmarks fuzz --count 1000000``: both decoders of each dialect, given the same mutated bodies.

Each gets the body in its own random pieces, so that one comparison shows two things: that they agree, and that it does not
matter how a body is split. A difference is made as small as it can be and printed. `--seed` and the number of a body are all
that it depends on (`--first 1234 --count 1` gives body 1234 again).
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any, Final

import attrs

from benchmarks._fuzz_streams import Seeds, cut_body, make_body, read_seeds
from tinyagent_actors import _alchemy
from tinyagent_actors.providers import _items
from tinyagent_actors.providers._dialects import DIALECTS
from tinyagent_actors.providers._items import ERROR

PART: Final = 5000
"""Bodies that a process takes at a time."""
SHOWN: Final = 5
"""Differences that are made small and printed."""
_LIMITS: Final = (*(67_108_864,) * 48, 200, 7)
_NAMES: Final = {kind: name.lower() for name, kind in vars(_items).items() if name.isupper()}


@attrs.frozen
class Trial:
    """What both decoders are given."""

    number: int
    api: str
    body: bytes
    think_tags: bool
    event_limit: int
    cut: str | None


@attrs.frozen
class Difference:
    """A trial that the decoders do not agree on."""

    trial: Trial
    python: str
    native: str


@attrs.define
class Tally:
    """What was seen."""

    streams: int = 0
    size: int = 0
    by_api: Counter[str] = attrs.field(factory=Counter)
    kinds: Counter[str] = attrs.field(factory=Counter)
    """Streams in which a kind of item came; `error:CODE` for errors."""
    differences: list[Difference] = attrs.field(factory=list)

    def add(self, other: Tally) -> None:
        """Add another one."""
        self.streams += other.streams
        self.size += other.size
        self.by_api += other.by_api
        self.kinds += other.kinds
        self.differences += other.differences


def spoken() -> list[str]:
    """Give the dialects that both engines speak."""
    found = []
    for api in DIALECTS:
        try:
            _alchemy.Decoder(api)
        except ValueError:
            continue
        found.append(api)
    return found


@lru_cache(maxsize=16)
def _seeds(api: str, seed: int) -> Seeds:
    return read_seeds(api, seed)


def make_trial(seed: int, number: int, apis: list[str], chance: random.Random) -> Trial:
    """Give the trial with that number; `chance` is where its pieces come from afterwards."""
    chance.seed((seed << 40) + number)
    api = apis[number % len(apis)]
    return Trial(
        number=number,
        api=api,
        body=make_body(chance, _seeds(api, seed)),
        think_tags=chance.random() < 0.3,
        event_limit=chance.choice(_LIMITS),
        cut=None if chance.random() < 0.7 else "it broke",
    )


def decode(make: Callable[[], Any], pieces: list[bytes], cut: str | None) -> list[Any]:
    """Give all items of a body; of a decoder that fails, how."""
    items: list[Any] = []
    try:
        decoder = make()
        for piece in pieces:
            items += decoder.feed(piece)
        items += decoder.end(cut)
        late = [*decoder.feed(b"data: late\n\n"), *decoder.end(None)]
        if late or not decoder.done:
            items.append(("late", late))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a panic is one
        items.append(("raised", f"{type(error).__name__}: {error}"))
    return items


def decode_both(trial: Trial, ours: list[bytes], theirs: list[bytes]) -> tuple[list[Any], list[Any]]:
    """Give what each decoder says."""
    options: Any = {"think_tags": trial.think_tags, "event_limit": trial.event_limit}
    python = decode(lambda: DIALECTS[trial.api].make_decoder(**options), ours, trial.cut)
    native = decode(lambda: _alchemy.Decoder(trial.api, **options), theirs, trial.cut)
    return python, native


def run_part(seed: int, first: int, count: int) -> Tally:
    """Try bodies from `first` on."""
    tally, apis, chance = Tally(), spoken(), random.Random(0)  # noqa: S311  # no secret
    for number in range(first, first + count):
        trial = make_trial(seed, number, apis, chance)
        python, native = decode_both(trial, cut_body(chance, trial.body), cut_body(chance, trial.body))
        tally.streams += 1
        tally.size += len(trial.body)
        tally.by_api[trial.api] += 1
        for kind in {kind for kind, _ in python}:
            tally.kinds[_NAMES.get(kind, f"kind {kind}")] += 1
        if python[-1][0] == ERROR:
            tally.kinds[f"error:{python[-1][1][0]}"] += 1
        if python != native or python[-1][0] in ("raised", "late"):
            tally.differences.append(Difference(trial, repr(python), repr(native)))
    return tally


def differs(trial: Trial) -> bool:
    """Whether the decoders disagree about a trial, in one piece or byte by byte."""
    body = trial.body
    bytewise = [body[at : at + 1] for at in range(len(body))]
    whole, bits = decode_both(trial, [body], [body]), decode_both(trial, bytewise, bytewise)
    return whole[0] != whole[1] or bits[0] != bits[1] or whole[0] != bits[0]


def minimise(trial: Trial) -> Trial:
    """Give a trial with as little of the body as shows the difference."""
    if not differs(trial):
        return trial  # it takes particular pieces; the whole body is shown
    step = max(1, len(trial.body) // 2)
    while step:
        at = 0
        while at < len(trial.body):
            shorter = attrs.evolve(trial, body=trial.body[:at] + trial.body[at + step :])
            if differs(shorter):
                trial = shorter
            else:
                at += step
        step //= 2
    return trial


def _report(difference: Difference) -> Iterator[str]:
    small = minimise(difference.trial)
    python, native = decode_both(small, [small.body], [small.body])
    if python == native:
        python, native = difference.python, difference.native  # type: ignore[assignment]  # texts, to be shown
    yield f"DIFFERENCE in body {small.number} of {small.api}, think_tags={small.think_tags}, event_limit={small.event_limit}, cut={small.cut!r}"
    yield f"  body:   {small.body!r}"
    yield f"  python: {python}"
    yield f"  native: {native}"


def run(count: int, seed: int, first: int = 0, jobs: int = 1, *, is_told: bool = True) -> Tally:
    """Try `count` bodies in `jobs` processes."""
    parts = [(seed, at, min(PART, first + count - at)) for at in range(first, first + count, PART)]
    total, began = Tally(), time.monotonic()
    if jobs == 1:
        tallies: Iterator[Tally] = (run_part(*part) for part in parts)
        return _sum(tallies, total, began, is_told=is_told)
    with ProcessPoolExecutor(jobs) as pool:
        return _sum(pool.map(run_part, *zip(*parts, strict=True)), total, began, is_told=is_told)


def _sum(tallies: Iterator[Tally], total: Tally, began: float, *, is_told: bool) -> Tally:
    told = began
    for tally in tallies:
        total.add(tally)
        now = time.monotonic()
        if is_told and now - told > 10:
            told = now
            rate = total.streams / (now - began)
            print(f"{total.streams:>9} streams, {rate:.0f}/s, {len(total.differences)} differences", flush=True)
    return total


def main(words: list[str]) -> int:
    """Run; 1 if there is a difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="bodies")
    parser.add_argument("--seed", type=int, help="which bodies; else any, printed")
    parser.add_argument("--first", type=int, default=0, help="the number of the first body")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(words)
    if not _alchemy.AVAILABLE:
        print(f"nothing to compare with: {_alchemy.UNAVAILABLE_REASON}")
        return 1
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(
        f"fuzz: {options.count} bodies from {options.first}, seed {seed}, {options.jobs} processes, {', '.join(spoken())}"
    )
    began, spent = time.monotonic(), os.times()
    total = run(options.count, seed, options.first, options.jobs)
    wall = time.monotonic() - began
    used = os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    cpu -= spent.user + spent.system + spent.children_user + spent.children_system
    print(
        f"{total.streams} streams, {total.size / 1e6:.1f} MB, in {wall:.1f} s: {total.streams / wall:.0f}/s, {total.streams / cpu:.0f}/s of CPU"
    )
    print("dialects: " + ", ".join(f"{api} {count}" for api, count in sorted(total.by_api.items())))
    print("streams with: " + ", ".join(f"{kind} {count}" for kind, count in total.kinds.most_common()))
    for difference in total.differences[:SHOWN]:
        print("\n".join(_report(difference)))
    print(f"{len(total.differences)} differences; seed {seed}")
    return int(bool(total.differences))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
