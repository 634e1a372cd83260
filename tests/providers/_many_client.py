"""``python -m tests.providers._many_client ENGINE URL COUNT``: so many streams at once, twice; print what they took of the process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import trio

from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, Timeouts, open_stream

_OF_THIS_PROCESS = Path("/proc/self")
KEPT = 5
"""So many descriptors an engine may keep for the next run."""


def taken() -> dict[str, int]:
    """Count threads and descriptors."""
    return {name: len(list((_OF_THIS_PROCESS / name).iterdir())) for name in ("task", "fd")}


async def main(engine: Any, url: str, count: str) -> None:
    """Ask in two rounds; each stream waits, with its first event read, until all have theirs."""
    begun = 0
    all_begun = trio.Event()
    texts: list[str] = []
    most: dict[str, int] = {}

    async def one() -> None:
        nonlocal begun
        options = StreamOptions(engine=engine, timeouts=Timeouts(connect=None))  # the machine may be busy
        async with open_stream(Model("any", base_url=url), Context(messages=[UserMessage("hello")]), options) as stream:
            await anext(stream)
            begun += 1
            if begun == int(count):
                most.update(taken())
                all_begun.set()
            await all_begun.wait()
            message = await stream.result()
            texts.append(message.text if message.error is None else str(message.error))

    async def a_round() -> None:
        nonlocal begun, all_begun
        begun, all_begun = 0, trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(int(count)):
                nursery.start_soon(one)

    await a_round()
    first = dict(most)
    await trio.sleep(1)  # the ends of bodies are read behind; this is not what is measured
    await a_round()
    sys.stdout.write(json.dumps({"first": first, "second": most, "texts": len(texts), "distinct": sorted(set(texts))}))


if __name__ == "__main__":
    before = taken()
    trio.run(main, *sys.argv[1:])
    deadline = time.monotonic() + 30
    while (after := taken())["fd"] > before["fd"] + KEPT and time.monotonic() < deadline:
        time.sleep(0.05)  # threads of the engine may still be closing
    sys.stdout.write("\n" + json.dumps({"before": before, "after": after}))
