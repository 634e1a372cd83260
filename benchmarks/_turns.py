"""Turns in flight, each with a tool that runs and a stream that the tool reads, cancelled all at once; against bare sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

from benchmarks._agents import make_model, one_stream
from benchmarks._child import run_timed
from benchmarks._endpoint import until_nobody_is_answered
from tinyagent_actors import (
    AgentRef,
    AgentSpec,
    Context,
    StreamOptions,
    SupervisorRef,
    System,
    TinyAgentError,
    UserMessage,
    open_stream,
    open_system,
    supervisor,
    tool,
)

SETTLING = 15.0
"""Seconds for threads that have been told to end."""

_CONTEXT = Context("", (UserMessage("Go."),))
_BODY = b'{"model":"bench","messages":[{"role":"user","content":"Go."}],"stream":true}'


def _held() -> tuple[int, int, int]:
    """Count tasks, descriptors and threads."""
    living = trio.lowlevel.current_statistics().tasks_living
    return living, len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir()))


async def cancelled_turns(calls_url: str, slow_url: str, engine: Any, at_once: str, rounds: str) -> None:
    """Have so many agents in the middle of a turn, stop them all, again and again.

    What it gives: the worst and the mean time until all is closed on our side, the worst until the server has seen it, and how
    many more tasks, descriptors and threads there are when the system is closed than before it was opened. While it is open, its
    engine keeps connections for the next requests, as many as were in use at once.
    """
    begun = 0
    all_begun = trio.Event()
    options = StreamOptions(engine=engine, max_in_flight=None)

    @tool(timeout=600)
    async def count_words(text: str) -> int:
        """Read a stream that does not end.

        Args:
            text: Anything.
        """
        nonlocal begun
        async with open_stream(make_model(slow_url), _CONTEXT, options) as stream:
            await stream.next_events()
            begun += 1
            if begun == int(at_once):
                all_begun.set()
            while await stream.next_events():
                pass
        return len(text)

    async def ask(agent: AgentRef) -> None:
        try:
            await agent.ask("Count.")
        except TinyAgentError:
            return

    async def a_round(system: System) -> tuple[float, float]:
        nonlocal begun, all_begun
        begun, all_begun = 0, trio.Event()
        spec = supervisor("team", strategy="dynamic")
        team: SupervisorRef = await system.start_child(spec)
        async with trio.open_nursery() as nursery:
            for number in range(int(at_once)):
                agent = AgentSpec(str(number), model=make_model(calls_url), tools=[count_words], options=options)
                nursery.start_soon(ask, await team.start_child(agent))
            await all_begun.wait()
            began = time.perf_counter()
            await team.stop()
            closed = time.perf_counter() - began
        await system.delete_child("team")
        return closed, await until_nobody_is_answered(slow_url)

    async def timed() -> dict[str, float]:
        first = _held()
        async with open_system() as system:
            taken = [await a_round(system) for _ in range(int(rounds))]
        with trio.move_on_after(SETTLING):
            while any(now > before for now, before in zip(_held(), first, strict=True)):  # noqa: ASYNC110  # threads end
                await trio.sleep(0.05)
        last = _held()
        closed, seen = zip(*taken, strict=True)
        return {
            "closed": sum(closed) / len(closed),
            "worst": max(closed),
            "seen": max(seen),
            **{
                name: float(last[place] - first[place])
                for place, name in enumerate(("tasks", "descriptors", "threads"))
            },
        }

    async def first_of_all() -> None:
        async with open_system():  # what the engine makes once for the process, and keeps
            await one_stream(calls_url, engine)

    await run_timed(timed, warm_up=first_of_all)


async def closed_sockets(slow_url: str, at_once: str, rounds: str) -> None:
    """Read so many sockets, cancel it, again and again: the mean time until all are closed."""
    where = urlsplit(slow_url)
    head = (
        f"POST {where.path}/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-length: {len(_BODY)}\r\n\r\n"
    )

    async def a_round() -> float:
        begun = 0
        all_begun = trio.Event()

        async def read() -> None:
            nonlocal begun
            async with await trio.open_tcp_stream(where.hostname or "", where.port or 80) as stream:
                await stream.send_all(head.encode() + _BODY)
                await stream.receive_some()
                begun += 1
                if begun == int(at_once):
                    all_begun.set()
                while await stream.receive_some():
                    pass

        async with trio.open_nursery() as nursery:
            for _ in range(int(at_once)):
                nursery.start_soon(read)
            await all_begun.wait()
            began = time.perf_counter()
            nursery.cancel_scope.cancel()
        closed = time.perf_counter() - began
        await until_nobody_is_answered(slow_url)
        return closed

    async def timed() -> dict[str, float]:
        taken = [await a_round() for _ in range(int(rounds))]
        return {"closed": sum(taken) / len(taken)}

    async def nothing() -> None:
        pass

    await run_timed(timed, warm_up=nothing)
