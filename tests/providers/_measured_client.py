"""``python -m tests.providers._measured_client ENGINE URL LIMIT``: ask once, and print what came and the memory that it took.

A process of its own, so that neither the server nor what other tests left counts. Another stream goes on meanwhile; what became
of it is printed, too.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import trio

from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import StreamLimits, StreamOptions, open_stream

MIB = 1 << 20


def peak() -> int:
    """Give the largest resident size so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def ask(engine: Any, url: str, limit: int, answers: dict[str, Any], name: str) -> None:
    """Ask, and note what came."""
    options = StreamOptions(engine=engine, limits=StreamLimits(event_bytes=limit))
    events = 0
    async with open_stream(Model("any", base_url=url), Context(messages=[UserMessage("hello")]), options) as stream:
        while taken := await stream.next_events():
            events += len(taken)
        message = await stream.result()
    answers[name] = {
        "kind": None if message.error is None else message.error.kind,
        "text": len(message.text),
        "invalid": [call.reason for call in message.invalid_tool_calls],
        "events": events,
    }


async def main(engine: str, url: str, limit: str) -> None:
    """Warm up, measure, print."""
    answers: dict[str, Any] = {}
    await ask(engine, f"{url}/small", int(limit), answers, "small")
    before = peak()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, engine, f"{url}/slow", int(limit), answers, "other")
        await ask(engine, f"{url}/hostile", int(limit), answers, "hostile")
    sys.stdout.write(json.dumps({**answers, "grown": (peak() - before) / MIB}))


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
