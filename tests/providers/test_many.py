"""Many streams at once: what they take of the process, and that none is in another's way. On every engine."""

from __future__ import annotations

import json

import pytest
import trio

from tests._forks import Forks
from tests.providers._many_client import KEPT
from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import ChatRequest, Delivery, Reply, Stall, open_endpoint

COUNT = 300
TEXT = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
FOUR = [TEXT, TEXT, TEXT, b"data: [DONE]\n\n"]


@pytest.mark.process
async def test_three_hundred_streams(forks: Forks, engine: str) -> None:
    """M01: few threads, a descriptor each, all given back, and the connections used again."""
    reply = Reply(chunks=FOUR, framing="length", delivery=Delivery(delay_between=0.05))
    async with open_endpoint(lambda _: reply) as endpoint:
        with trio.fail_after(300):
            printed = await forks.run("tests.providers._many_client", engine, endpoint.url, str(COUNT))
        accepted = endpoint.statistics().accepted

    told, around = map(json.loads, printed.splitlines())
    assert (told["texts"], told["distinct"]) == (2 * COUNT, ["aaa"])
    for a_round in (told["first"], told["second"]):
        assert a_round["task"] <= 10
        assert a_round["fd"] <= COUNT + 50
    assert around["after"]["fd"] <= around["before"]["fd"] + KEPT
    assert accepted <= COUNT * 1.1


async def test_a_stalled_stream_delays_no_other(engine: str) -> None:
    """M02: one whose server is silent, one whose reader has stopped, and the others go on."""

    def policy(request: ChatRequest) -> Reply:
        path = request.request.path
        if path.startswith("/silent"):
            return Reply(chunks=FOUR, fault=Stall(after_chunks=1))
        if path.startswith("/unread"):
            return Reply(text="x" * 2_000_000, chunk_size=10_000)
        return Reply(chunks=FOUR)

    async with open_endpoint(policy) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them

        def model(name: str) -> Model:
            return Model("any", base_url=f"{endpoint.origin}/{name}/v1")

        async with open_stream(model("silent"), CONTEXT, options) as silent:
            await anext(silent)
            async with open_stream(model("unread"), CONTEXT, options) as unread:
                await anext(unread)
                with trio.fail_after(60):
                    for _ in range(20):
                        async with open_stream(model("other"), CONTEXT, options) as other:
                            assert (await other.result()).text == "aaa"
                    assert len((await unread.result()).text) == 2_000_000


async def test_closing_five_hundred_streams(engine: str) -> None:
    """M03: all of them cancelled in flight: the server sees each leave, and the pool works."""
    count = 500
    endless = Reply(chunks=[TEXT] * 3, delivery=Delivery(delay_between=3600))

    def policy(request: ChatRequest) -> Reply:
        return Reply(chunks=FOUR) if request.request.path.startswith("/next") else endless

    async def one() -> None:
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            await stream.result()

    async with open_endpoint(policy) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)
            with trio.fail_after(120):
                await endpoint.wait_for(lambda now: now.open_streams == count)
            nursery.cancel_scope.cancel()

        with trio.fail_after(120):
            await endpoint.wait_for(lambda now: now.disconnects == count and now.open_streams == 0)
            async with open_stream(Model("any", base_url=f"{endpoint.origin}/next/v1"), CONTEXT, options) as stream:
                assert (await stream.result()).text == "aaa"
