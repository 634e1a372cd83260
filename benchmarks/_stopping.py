"""Readers that stop: for a while behind a server at full speed, and for good, five hundred at a time."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import trio

from benchmarks._agents import make_model
from benchmarks._child import run_timed
from benchmarks._endpoint import until_nobody_is_answered
from tinyagent_actors import Context, StreamOptions, UserMessage, open_stream, open_system

_CONTEXT = Context("", (UserMessage("Go."),))


def _resident_mb() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found is not None else 0.0


async def stopped_reader(base_url: str, engine: Any, seconds: str, tokens: str) -> None:
    """Read a little, stop for so long, read on: by how many MB the memory grew meanwhile, and how many tokens are missing."""

    async def timed() -> dict[str, float]:
        async with open_stream(make_model(base_url), _CONTEXT, StreamOptions(engine=engine)) as stream:
            seen = "".join(event.text for event in await stream.next_events() if event.type == "text_delta")
            before, grown = _resident_mb(), 0.0
            until = trio.current_time() + float(seconds)
            while trio.current_time() < until:
                await trio.sleep(0.2)
                grown = max(grown, _resident_mb() - before)
            while events := await stream.next_events():
                seen += "".join(event.text for event in events if event.type == "text_delta")
            message = await stream.result()
        assert message.error is None, message.error
        expected = "".join(f"word{number % 1000} " for number in range(int(tokens)))
        return {"grown": grown, "lost": float(len(expected) - len(seen)) if seen != expected else 0.0}

    async def nothing() -> None:
        pass

    async with open_system():
        await run_timed(timed, warm_up=nothing)


async def cancelled_streams(base_url: str, engine: Any, at_once: str) -> None:
    """Open so many streams, wait until each has its first event, cancel them all.

    How long until all are closed on our side, how long after that until the server has seen it, and whether the pool works then.
    """

    async def timed() -> dict[str, float]:
        begun = 0
        all_begun = trio.Event()

        async def one() -> None:
            nonlocal begun
            async with open_stream(make_model(base_url), _CONTEXT, StreamOptions(engine=engine)) as stream:
                await stream.next_events()
                begun += 1
                if begun == int(at_once):
                    all_begun.set()
                while await stream.next_events():
                    pass

        async with trio.open_nursery() as nursery:
            for _ in range(int(at_once)):
                nursery.start_soon(one)
            await all_begun.wait()
            cancelled_at = time.perf_counter()
            nursery.cancel_scope.cancel()
        closed_at = time.perf_counter()
        seen_after = await until_nobody_is_answered(base_url)
        async with open_stream(make_model(base_url), _CONTEXT, StreamOptions(engine=engine)) as stream:
            assert await stream.next_events()
        return {"closed_after": closed_at - cancelled_at, "seen_after": seen_after}

    async with open_system():
        await run_timed(timed)
