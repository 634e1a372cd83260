"""The engine `alchemy`: when the server sees that a cancelled stream has gone, and what a call costs."""

from __future__ import annotations

import time
from functools import partial

import trio

from benchmarks import _endpoint
from benchmarks._child import measure_in_child, run_timed
from benchmarks._row import ENGINES, Row
from tinyagent_actors import Context, Model, StreamOptions, UserMessage, _alchemy, open_stream, open_system

IN_TIME = 0.5
"""Seconds."""
_ANSWER = b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices": [{"delta": {"content": "a"}}]}\n\n'


async def closes(count: str) -> None:
    """Cancel so many streams in flight at once; count those whose socket the server sees closed in time."""
    gone: list[float] = []
    all_gone = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(_ANSWER)
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            gone.append(time.perf_counter())
            if len(gone) == int(count):
                all_gone.set()

    async def timed() -> dict[str, float]:
        begun, all_begun = 0, trio.Event()

        async def one(url: str) -> None:
            nonlocal begun
            context, options = Context("", [UserMessage("Go.")]), StreamOptions(engine="alchemy")
            async with open_stream(Model("m", base_url=url), context, options) as stream:
                await stream.next_events()
                begun += 1
                if begun == int(count):
                    all_begun.set()
                while await stream.next_events():
                    pass

        async with trio.open_nursery() as servers:
            listeners = await servers.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
            async with trio.open_nursery() as nursery:
                for _ in range(int(count)):
                    nursery.start_soon(one, url)
                await all_begun.wait()
                cancelled_at = time.perf_counter()
                nursery.cancel_scope.cancel()
            await all_gone.wait()
            servers.cancel_scope.cancel()
        waited = [seen - cancelled_at for seen in gone]
        return {"in_time": sum(seconds <= IN_TIME for seconds in waited), "worst": max(waited)}

    async with open_system():
        await run_timed(timed, warm_up=trio.lowlevel.checkpoint)


def bench_alchemy() -> list[Row]:
    """The published crate: sockets closed after a cancel, and what a call costs before it says a word."""
    if not _alchemy.ALCHEMY_AVAILABLE:
        return []
    closed = measure_in_child("_alchemy", "closes", 50).extra
    with _endpoint.running(tokens=1) as url:
        calls = {
            engine: measure_in_child("_agents", "streams", url, engine, 20, 3).cpu / 60 * 1e3
            for engine in (*ENGINES, "alchemy")
        }
    note = ", ".join(f"{engine} {ms:.2f} ms" for engine, ms in calls.items())
    last = f"the last after {closed['worst']:.3f} s"
    return [
        Row("alchemy: of 50 closed within 0.5 s", closed["in_time"], ">= 50", last),
        Row("alchemy: ms CPU a call", calls["alchemy"], "<= 200", note),
    ]
