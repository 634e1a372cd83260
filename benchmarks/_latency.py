"""From the server's write to the Trio task: each token's text is the time of its write; microseconds, the median."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks._agents import make_model
from benchmarks._child import run_timed
from benchmarks._reference import make_client, read_texts
from tinyagent_actors import Context, StreamOptions, UserMessage, open_stream, open_system


def _median(taken: list[int]) -> dict[str, float]:
    # The first ones carry the warming up of everything.
    return {"p50": statistics.median(taken[len(taken) // 4 :]) / 1000}


async def ours(base_url: str, engine: Any) -> None:
    """Read one idle stream."""

    async def timed() -> dict[str, float]:
        taken: list[int] = []
        context = Context("", (UserMessage("Go."),))
        async with open_stream(make_model(base_url), context, StreamOptions(engine=engine)) as stream:
            while events := await stream.next_events():
                now = time.time_ns()
                texts = "".join(event.text for event in events if event.type == "text_delta")
                taken += [now - int(stamp) for stamp in texts.split()]
        return _median(taken)

    async with open_system():
        await run_timed(timed)


async def reference(base_url: str) -> None:
    """Read the same stream straight."""
    body = {"model": "bench", "messages": [{"role": "user", "content": "Go."}], "stream": True}

    async def timed() -> dict[str, float]:
        taken: list[int] = []
        async with make_client() as client:
            async for text in read_texts(client, f"{base_url}/chat/completions", body):
                taken += [time.time_ns() - int(stamp) for stamp in text.split()]
        return _median(taken)

    await run_timed(timed)
