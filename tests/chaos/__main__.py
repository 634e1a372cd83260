"""``python -m tests.chaos``: a long storm; prints its seed first, and what came of it."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import trio

from tests.chaos import _real, _virtual
from tests.chaos._laws import Ledger


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("kind", choices=["real", "virtual"], help="real parts, or hours of virtual time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--seconds", type=float, default=60.0, help="of the real one")
    parser.add_argument("--hours", type=float, default=6.0, help="of the virtual one")
    parser.add_argument("--agents", type=int, default=50, help="of the real one")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    if chosen.kind == "real":
        with tempfile.TemporaryDirectory() as folder:
            seconds, agents = chosen.seconds, chosen.agents

            async def run() -> Ledger:
                return await _real.storm(chosen.seed, seconds, Path(folder), agents=agents)

            seen = trio.run(run)
    else:
        seen = _virtual.storm(chosen.seed, chosen.hours)
    print(
        f"{seen.runs} runs, {sum(seen.turns.values())} turns, {seen.calls} calls: every call has one result, nothing is left"
    )
    print(", ".join(f"{kind} {number}" for kind, number in sorted(seen.events.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
