"""Cancelling and leaving: the socket is closed, nothing is left, and the next request works. On every engine."""

from __future__ import annotations

import pytest
import trio

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import ChatRequest, Delivery, Endpoint, Reply, Stall, open_endpoint

FOREVER = Reply(text="word " * 1000, chunk_size=5, delivery=Delivery(delay_between=0.02))
SLOWLY = Reply(text="word " * 1000, chunk_size=5, delivery=Delivery(delay_between=0.5))
"""At a pace that leaves the loop time for hundreds, the endpoint's side as well as ours."""


async def read(endpoint: Endpoint, engine: str) -> str:
    """Read one answer whole."""
    options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
    async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
        return (await stream.result()).text


async def gone(endpoint: Endpoint, count: int = 1) -> None:
    """Wait until the endpoint has seen its clients leave."""
    with trio.fail_after(5):
        await endpoint.wait_for(lambda now: now.disconnects == count and now.open_streams == 0)


@pytest.mark.parametrize("fault", [Stall(), Stall(after_bytes=0), Stall(after_chunks=1)])
async def test_cancel_while_waiting_closes_the_socket(engine: str, fault: Stall) -> None:
    """Before the head, before the body, in the stream: the server sees the client leave; the next request works."""
    async with open_endpoint([Reply(text="hello", fault=fault, framing="chunked"), Reply(text="next")]) as endpoint:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, endpoint, engine)
            with trio.fail_after(5):
                await endpoint.wait_for(lambda now: now.open_streams == 1)
            nursery.cancel_scope.cancel()

        await gone(endpoint)
        assert await read(endpoint, engine) == "next"


async def test_leaving_early_closes_the_socket(engine: str) -> None:
    """A block left after the first event; the message is as far as it came, `aborted`."""
    async with open_endpoint([FOREVER, Reply(text="next")]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            async for event in stream:
                if event.type == "text_delta":
                    break

        await gone(endpoint)
        message = await stream.result()
        assert message.stop_reason == "aborted"
        assert message.text.startswith("word ")
        assert [event async for event in stream] == []
        assert await read(endpoint, engine) == "next"


async def test_leaving_without_reading_sends_nothing_or_leaves(engine: str) -> None:
    """A stream nobody reads is closed like any other."""
    async with open_endpoint([FOREVER, Reply(text="next")]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options):
            pass

        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.open_streams == 0)


async def test_an_exception_in_the_block_closes_the_socket(engine: str) -> None:
    """The body's own error passes, as itself."""
    async with open_endpoint([FOREVER]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
                await anext(stream)
                raise ZeroDivisionError

        await gone(endpoint)


async def test_cancel_of_many_streams_in_flight(engine: str) -> None:
    """200 streams are cancelled at once: the server sees each of them leave."""

    def policy(_: ChatRequest) -> Reply:
        return SLOWLY

    async with open_endpoint(policy) as endpoint:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(read, endpoint, engine)
            with trio.fail_after(20):
                await endpoint.wait_for(lambda now: now.open_streams == 200)
            nursery.cancel_scope.cancel()

        await gone(endpoint, 200)


async def test_a_cancelled_read_keeps_what_came(engine: str) -> None:
    """After a cancel the message as it stands is still there, and the stream can be closed under the cancelled scope."""
    async with open_endpoint(
        [Reply(text="hello", fault=Stall(after_chunks=2), delivery=Delivery(coalesce=False))]
    ) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        with trio.CancelScope() as scope:
            async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
                async for event in stream:
                    if event.type == "stream_start":
                        scope.cancel()

        assert scope.cancelled_caught
        assert stream.message.stop_reason == "aborted"
        await gone(endpoint)


async def test_only_one_task_reads(engine: str) -> None:
    """A second reader is a mistake and is told so; `result` may be awaited beside the reader."""
    async with open_endpoint([FOREVER]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_drain, stream)
                # The reader must be there before `result`, which would read in its place.
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(stream.result)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await stream.next_events()
                nursery.cancel_scope.cancel()


async def _drain(stream: object) -> None:
    async for _ in stream:  # type: ignore[attr-defined]
        pass
