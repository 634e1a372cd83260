"""Deadlines of a stream (P72), in real time with short timeouts, on every engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.providers._relays import Authority, join, open_tls_front
from tests.providers.conftest import CONTEXT, Ask
from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, Timeouts, Transport, open_stream
from tinyagent_actors.providers import _clock as clock_module
from tinyagent_actors.testing import Delivery, Reply, Stall, open_endpoint

TEXT = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
FINISH = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
PING = b": keep-alive\n\n"


async def test_no_answer_at_all(ask: Ask) -> None:
    """P72: a server that reads the request and says nothing: `timeout` after `first_byte`."""
    answer = await ask(Reply(text="late", fault=Stall()), timeouts=Timeouts(first_byte=0.2))

    assert (answer.kind, answer.types) == ("timeout", ["stream_end"])
    assert answer.message.error is not None
    assert answer.message.error.retryable


async def test_headers_do_not_stop_the_first_deadline(ask: Ask) -> None:
    """P72: headers come at once, the body does not: still `first_byte`."""
    answer = await ask(Reply(chunks=[TEXT, DONE], fault=Stall(after_bytes=0)), timeouts=Timeouts(first_byte=0.2))

    assert answer.kind == "timeout"


async def test_a_stream_that_falls_silent(ask: Ask) -> None:
    """P72: `idle` after the last byte; what came is kept, its block closed."""
    answer = await ask(Reply(chunks=[TEXT, DONE], fault=Stall(after_chunks=1)), timeouts=Timeouts(idle=0.2))

    assert (answer.kind, answer.text) == ("timeout", "a")
    assert answer.types == ["stream_start", "text_start", "text_delta", "text_end", "stream_end"]


async def test_comments_are_bytes_but_no_progress(ask: Ask) -> None:
    """P72: pings keep `idle` away; `progress` ends a stream of nothing but pings."""
    reply = Reply(chunks=[TEXT, *[PING] * 200, DONE], delivery=Delivery(delay_between=0.05))

    answer = await ask(reply, timeouts=Timeouts(idle=5, progress=2))

    assert (answer.kind, answer.text) == ("timeout", "a")
    assert answer.message.error is not None
    assert "event" in answer.message.error.message


async def test_pings_keep_a_slow_stream_alive(ask: Ask) -> None:
    """P72: with pings, a stream may be silent for longer than `idle`."""
    reply = Reply(chunks=[TEXT, *[PING] * 12, FINISH, DONE], delivery=Delivery(delay_between=0.05))

    answer = await ask(reply, timeouts=Timeouts(idle=0.4))

    assert (answer.kind, answer.text) == (None, "a")


async def test_the_whole_stream_has_a_deadline(ask: Ask) -> None:
    """P72: `turn` ends a stream however busy it is."""
    reply = Reply(chunks=[*[TEXT] * 200, DONE], delivery=Delivery(delay_between=0.02))

    answer = await ask(reply, timeouts=Timeouts(turn=0.3))

    assert answer.kind == "timeout"
    assert answer.text


async def test_a_deadline_after_the_finish_reason_is_a_success(ask: Ask) -> None:
    """P24: a finish reason followed by silence ends well when a deadline passes."""
    answer = await ask(Reply(chunks=[TEXT, FINISH, DONE], fault=Stall(after_chunks=2)), timeouts=Timeouts(idle=0.2))

    assert (answer.kind, answer.text, answer.message.stop_reason) == (None, "a", "stop")


async def test_silence_after_the_finish_reason_is_a_success(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """P24: the end marker is waited for 10 s (here less), then the message is whole without it."""
    monkeypatch.setattr(clock_module, "SILENCE_AFTER_FINISH", 0.2)

    answer = await ask(Reply(chunks=[TEXT, FINISH, DONE], fault=Stall(after_chunks=2)))

    assert (answer.kind, answer.text, answer.message.stop_reason) == (None, "a", "stop")


async def test_a_call_that_was_cut_by_a_deadline_does_not_run(ask: Ask) -> None:
    """P72: its block is closed as invalid."""
    call = b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}}]}\n\n'

    answer = await ask(Reply(chunks=[call, DONE], fault=Stall(after_chunks=1)), timeouts=Timeouts(idle=0.2))

    assert (answer.kind, answer.message.tool_calls) == ("timeout", ())
    assert len(answer.message.invalid_tool_calls) == 1


async def test_clocks_stand_still_while_nobody_waits(engine: str) -> None:
    """P72: a reader that goes away for longer than every timeout has made nobody late."""
    timeouts = Timeouts(first_byte=0.3, idle=0.3, progress=0.3, turn=0.5)
    reply = Reply(chunks=[TEXT, TEXT, FINISH, DONE], delivery=Delivery(delay_between=0.02))
    async with open_endpoint([reply]) as endpoint:
        options = StreamOptions(engine=engine, timeouts=timeouts)  # type: ignore[arg-type]  # one of them
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            await trio.sleep(0.6)
            await anext(stream)
            await trio.sleep(0.6)
            message = await stream.result()

    assert (message.error, message.text) == (None, "aa")


async def test_a_connection_that_does_not_come_about(engine: str) -> None:
    """A listener whose queue is full: `timeout` after `connect`."""
    # A backlog of 0 that is filled by hand; the kernel then leaves further connections without an answer.
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        fillers = [trio.socket.socket() for _ in range(4)]
        try:
            async with trio.open_nursery() as nursery:
                for filler in fillers:
                    nursery.start_soon(_connect, filler, listener.getsockname())
                await trio.sleep(0.1)
                options = StreamOptions(engine=engine, timeouts=Timeouts(connect=0.3))  # type: ignore[arg-type]
                with trio.fail_after(10):
                    async with open_stream(Model("any", base_url=url), CONTEXT, options) as stream:
                        message = await stream.result()
                nursery.cancel_scope.cancel()
        finally:
            for filler in fillers:
                filler.close()

    assert message.error is not None
    assert (message.error.kind, message.error.retryable) == ("timeout", True)


async def _connect(filler: trio.socket.SocketType, address: tuple[str, int]) -> None:
    await filler.connect(address)


async def test_a_caller_s_own_deadline_passes_through(engine: str) -> None:
    """A `move_on_after` around the reading is the caller's: nothing is made of it."""

    async def run_out(scope: trio.CancelScope) -> None:
        await endpoint.wait_for(lambda now: now.requests == 1)
        scope.deadline = trio.current_time()

    async with open_endpoint([Reply(text="late", fault=Stall())]) as endpoint, trio.open_nursery() as nursery:
        with trio.move_on_after(60) as scope:
            nursery.start_soon(run_out, scope)
            async with open_stream(
                Model("any", base_url=endpoint.url),
                CONTEXT,
                StreamOptions(engine=engine),  # type: ignore[arg-type]
            ) as stream:
                await stream.result()

        assert scope.cancelled_caught
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)


@asynccontextmanager
async def slow_tunnel(port: int, seconds: float) -> AsyncIterator[str]:
    """A proxy that takes its time to connect; gives its URL."""

    async def serve(connection: trio.SocketStream) -> None:
        await connection.receive_some()
        await trio.sleep(seconds)
        server = await trio.open_tcp_stream("127.0.0.1", port)
        await connection.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        await join(connection, server)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_connecting_is_not_in_the_first_deadline(ask: Ask, tmp_path: Path) -> None:
    """P72: `first_byte` and `progress` run from the request sent; a slow way there is `connect`'s business."""
    authority = Authority.make(tmp_path)
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        async with open_tls_front(endpoint.port, authority.server()) as front, slow_tunnel(front.port, 1.5) as proxy:
            transport = Transport(ca=authority.pem, proxy=proxy)
            timeouts = Timeouts(first_byte=1, progress=1)
            answer = await ask.url("https://provider.test/v1", api_key="k", transport=transport, timeouts=timeouts)

    assert (answer.text, answer.kind) == ("hello", None)


async def test_the_first_deadline_runs_after_a_slow_connection(ask: Ask, tmp_path: Path) -> None:
    """P72: after it the deadline holds as ever."""
    authority = Authority.make(tmp_path)
    async with open_endpoint([Reply(text="late", fault=Stall())]) as endpoint:
        async with open_tls_front(endpoint.port, authority.server()) as front, slow_tunnel(front.port, 0.5) as proxy:
            transport = Transport(ca=authority.pem, proxy=proxy)
            timeouts = Timeouts(first_byte=0.3)
            answer = await ask.url("https://provider.test/v1", api_key="k", transport=transport, timeouts=timeouts)

    assert answer.message.error is not None
    assert answer.message.error.message == "nothing came for 0.3 s after the request was sent"


async def test_a_proxy_that_never_connects(ask: Ask) -> None:
    """P72: `connect` bounds the whole way: the name, TCP, the proxy, TLS."""
    async with slow_tunnel(9, 3600) as proxy:
        transport, timeouts = Transport(proxy=proxy), Timeouts(connect=0.3)
        answer = await ask.url("https://provider.test/v1", api_key="k", transport=transport, timeouts=timeouts)

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.message) == ("timeout", "no connection to provider.test within 0.3 s")


async def test_a_server_that_does_not_take_the_request(ask: Ask) -> None:
    """P72: a request that cannot be written is late after `first_byte`, too."""

    async def serve(connection: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        options = StreamOptions(engine=ask.engine, timeouts=Timeouts(first_byte=0.5))  # type: ignore[arg-type]
        large = Context(messages=[UserMessage("x" * (32 << 20))])
        with trio.fail_after(30):
            async with open_stream(Model("any", base_url=url), large, options) as stream:
                message = await stream.result()
        nursery.cancel_scope.cancel()

    assert message.error is not None
    assert (message.error.kind, message.error.retryable) == ("timeout", True)
