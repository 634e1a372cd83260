"""HTTP/2 on the native engine, with a server that offers it: streams of one connection, resets, windows, goodbyes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import h2.errors
import pytest
import trio

from tests.providers._h2_server import Answer, Exchange, H2Server, open_h2_server
from tests.providers._relays import Authority
from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers import ProviderStream, StreamOptions, Transport, open_stream

pytestmark = pytest.mark.native

DONE = b"data: [DONE]\n\n"


def delta(text: str) -> bytes:
    """Give an event with a text."""
    return b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % text.encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that has issued the server's certificate."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def serving(authority: Authority, answer: Answer) -> AsyncIterator[H2Server]:
    """Serve; remember whom a client trusts."""
    async with open_h2_server(answer, authority.server()) as server:
        with trio.fail_after(60):
            yield server


def opened(server: H2Server, ca: Path, path: str = "") -> AbstractAsyncContextManager[ProviderStream]:
    """Ask the server."""
    options = StreamOptions(engine="native", transport=Transport(ca=ca))
    return open_stream(Model("any", base_url=server.url + path), CONTEXT, options)


async def read(server: H2Server, ca: Path, path: str = "") -> AssistantMessage:
    """Ask, and read it all."""
    async with opened(server, ca, path) as stream:
        return await stream.result()


async def hello(exchange: Exchange) -> None:
    """Answer well."""
    await exchange.head()
    await exchange.send(delta("hello") + DONE)
    await exchange.end()


async def test_many_streams_share_a_connection(authority: Authority) -> None:
    """W01: where the server has it, HTTP/2 is spoken, and one connection carries what comes one after the other or at once."""
    together = trio.Event()

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) == 1:
            await hello(exchange)
            return
        if len(server.exchanges) == 51:
            together.set()
        await together.wait()
        await hello(exchange)

    texts: list[str] = []

    async def ask() -> None:
        texts.append((await read(server, authority.pem)).text)

    async with serving(authority, answer) as server:
        await ask()
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask)

        assert texts == ["hello"] * 51
        assert server.accepted == 1


async def test_more_streams_than_a_connection_takes(authority: Authority) -> None:
    """W07: a server lets so many streams into a connection; those beyond it wait for nobody, but take another."""
    count, together = 150, trio.Event()

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) == count:
            together.set()
        await together.wait()
        await hello(exchange)

    texts: list[str] = []

    async def ask() -> None:
        texts.append((await read(server, authority.pem)).text)

    async with serving(authority, answer) as server:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(ask)

        assert texts == ["hello"] * count
        assert max(Counter(exchange.connection.number for exchange in server.exchanges).values()) <= 100


async def test_leaving_early_resets_the_stream_alone(authority: Authority) -> None:
    """W02: the server sees `RST_STREAM` with `CANCEL`; the connection serves the next request."""

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) > 1:
            await hello(exchange)
            return
        await exchange.head()
        await exchange.send(delta("a"))

    async with serving(authority, answer) as server:
        async with opened(server, authority.pem) as stream:
            async for event in stream:
                if event.type == "text_delta":
                    break
        await server.wait_for(lambda: bool(server.resets))

        assert server.resets == [(1, h2.errors.ErrorCodes.CANCEL)]
        assert (await read(server, authority.pem)).text == "hello"
        assert server.accepted == 1


async def test_a_reader_that_stops_stops_its_stream_alone(authority: Authority) -> None:
    """W03: its window bounds what comes for it; others on the connection go on; then nothing is missing."""
    piece = delta("x" * 10_000)
    pieces = 1000  # 10 MB

    async def answer(exchange: Exchange) -> None:
        if not exchange.path.startswith("/v1/large"):
            await hello(exchange)
            return
        await exchange.head()
        await exchange.send(piece * pieces + DONE)
        await exchange.end()

    async with serving(authority, answer) as server:
        async with trio.open_nursery() as nursery:
            streams = []
            for number in range(20):  # as many as would fill the window of a connection, were it not above their sum
                stream = await _entered(opened(server, authority.pem, f"/large/{number}"), nursery)
                await anext(stream)
                streams.append(stream)
            await trio.testing.wait_all_tasks_blocked(0.2)
            held = [exchange.sent for exchange in server.exchanges]

            assert max(held) < 1 << 20
            assert (await read(server, authority.pem)).text == "hello"
            assert server.accepted == 1
            assert (await streams[0].result()).text == "x" * 10_000 * pieces
            nursery.cancel_scope.cancel()


async def _entered(block: AbstractAsyncContextManager[ProviderStream], nursery: trio.Nursery) -> ProviderStream:
    """Enter a block in a task of its own, which stays there."""

    async def stay(task_status: trio.TaskStatus[ProviderStream]) -> None:
        async with block as stream:
            task_status.started(stream)
            await trio.sleep_forever()

    entered: ProviderStream = await nursery.start(stay)
    return entered


async def test_a_server_that_says_goodbye(authority: Authority) -> None:
    """W04: after `GOAWAY` what is under way goes on to its end, and the next request takes a new connection."""
    gone = trio.Event()

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) > 1:
            await hello(exchange)
            return
        await exchange.head()
        await exchange.send(delta("a"))
        await exchange.connection.leave(exchange.id)
        await gone.wait()
        await exchange.send(delta("b") + DONE)
        await exchange.end()

    async with serving(authority, answer) as server:
        async with opened(server, authority.pem) as stream:
            async for event in stream:
                if event.type == "text_delta":
                    break
            second = await read(server, authority.pem)
            gone.set()
            first = await stream.result()

        assert (first.text, first.error, second.text) == ("ab", None, "hello")
        assert server.accepted == 2


@pytest.mark.parametrize("how", ["refused", "goodbye"])
async def test_a_request_that_was_not_looked_at_goes_again(authority: Authority, how: str) -> None:
    """W05: `REFUSED_STREAM`, or a goodbye that leaves the request out, says that nothing was done with it: once more."""

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) > 1:
            await hello(exchange)
        elif how == "refused":
            await exchange.reset(h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            await exchange.connection.leave(0)

    async with serving(authority, answer) as server:
        message = await read(server, authority.pem)

        assert (message.text, message.error) == ("hello", None)
        assert len(server.exchanges) == 2


async def test_a_stream_that_the_server_resets(authority: Authority) -> None:
    """W06: before its head a `connection_error`, in the middle `truncated`; it is not asked again by the engine."""

    async def answer(exchange: Exchange) -> None:
        if len(server.exchanges) > 1:
            await exchange.head()
            await exchange.send(delta("a"))
        await exchange.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)

    async with serving(authority, answer) as server:
        before = await read(server, authority.pem)
        middle = await read(server, authority.pem)

        assert before.error is not None
        assert middle.error is not None
        assert (before.error.kind, middle.error.kind, middle.text) == ("connection_error", "truncated", "a")
        assert len(server.exchanges) == 2
