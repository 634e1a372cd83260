"""Faults, clients that leave, and bad HTTP, on real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
import trio

from tinyagent_actors.testing import Cut, Delivery, Endpoint, Limits, Reply, Reset, Script, Stall, open_endpoint

QUESTION = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True})
CHUNKS = (b"data: one\n\n", b"data: two\n\n", b"data: three\n\n")
BODY = b"".join(CHUNKS)


def post(body: bytes = QUESTION, *headers: str, target: str = "/v1/chat/completions", version: str = "1.1") -> bytes:
    """Give a request for a completion, as bytes."""
    lines = [f"POST {target} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def connect(endpoint: Endpoint) -> trio.SocketStream:
    """Open a bare connection."""
    return await trio.open_tcp_stream("127.0.0.1", endpoint.port)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """Read till the endpoint closes."""
    data = b""
    with trio.fail_after(10):
        while piece := await stream.receive_some():
            data += piece
    return data


async def read_until(stream: trio.SocketStream, mark: bytes) -> bytes:
    """Read till these bytes have come."""
    data = b""
    with trio.fail_after(10):
        while mark not in data:
            piece = await stream.receive_some()
            assert piece, data
            data += piece
    return data


def is_quiet(now: Any) -> bool:
    """Whether nothing is being worked on."""
    return bool(now.requests == now.served + now.disconnects + now.faulted and now.open_streams == 0)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Cut(after_bytes=0), b""),
        (Cut(after_bytes=5), BODY[:5]),
        (Cut(after_chunks=1), CHUNKS[0]),
        (Cut(after_chunks=-1), BODY[: -len(CHUNKS[2])]),
        (Cut(after_bytes=-1), BODY[:-1]),
        (Cut(after_chunks=3), BODY),
    ],
)
async def test_a_cut_ends_the_answer_at_its_byte(
    client: httpx.AsyncClient, framing: Any, fault: Cut, arrived: bytes
) -> None:
    """What stands before a cut arrives, then the connection ends in order; the client can tell where HTTP lets it."""
    received = b""
    async with open_endpoint([Reply(chunks=CHUNKS, framing=framing, fault=fault)]) as endpoint:
        whole = framing == "close" or (framing == "length" and arrived == BODY)
        async with client.stream("POST", f"{endpoint.url}/chat/completions", content=QUESTION) as response:
            try:
                async for piece in response.aiter_raw():
                    received += piece
                seen_whole = True
            except httpx.RemoteProtocolError:
                seen_whole = False
        now = await endpoint.wait_for(is_quiet)

    assert (received, seen_whole) == (arrived, whole)
    assert (now.faulted, now.served, now.disconnects) == (1, 0, 0)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("after_chunks", [0, 1, 2])
async def test_a_reset_tears_the_connection_down(client: httpx.AsyncClient, encoding: Any, after_chunks: int) -> None:
    """A reset is an error on the client's socket, not an end; the next request finds a connection of its own."""
    reset = Reply(chunks=CHUNKS, encoding=encoding, fault=Reset(after_chunks=after_chunks))
    async with open_endpoint([reset, Reply(chunks=CHUNKS)]) as endpoint:
        url = f"{endpoint.url}/chat/completions"
        with pytest.raises(httpx.ReadError):
            await client.post(url, content=QUESTION)
        assert (await client.post(url, content=QUESTION)).content == BODY
        now = await endpoint.wait_for(is_quiet)

    assert (now.faulted, now.served, now.accepted) == (1, 1, 2)


@pytest.mark.parametrize("fault", [Cut(), Reset()])
async def test_a_fault_before_the_head_sends_nothing(fault: Cut | Reset) -> None:
    """Without a position the connection ends before a status line."""
    async with open_endpoint([Reply(fault=fault)]) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(post())
        if isinstance(fault, Reset):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        else:
            assert await read_to_end(stream) == b""


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Stall(), b""),
        (Stall(after_bytes=0), b"\r\n\r\n"),
        (Stall(after_bytes=8), b"b\r\ndata: on"),
        (Stall(after_chunks=2), b"data: two\n\n\r\n"),
        (Stall(after_chunks=3), b"data: three\n\n\r\n"),
    ],
)
async def test_a_stall_lasts_until_the_client_leaves(fault: Stall, seen: bytes) -> None:
    """What stands before a stall arrives and nothing after it; a client that leaves then is counted at once."""
    async with open_endpoint([Reply(chunks=CHUNKS, fault=fault)]) as endpoint:
        async with await connect(endpoint) as stream:
            await stream.send_all(post())
            data = await read_until(stream, seen) if seen else b""
            await endpoint.wait_for(lambda now: now.open_streams == 1)
            assert data.endswith(seen)
        with trio.fail_after(10):
            now = await endpoint.wait_for(is_quiet)

    assert (now.disconnects, now.served, now.faulted) == (1, 0, 0)


async def test_a_stall_of_some_seconds_goes_on() -> None:
    """A stall with an end is followed by the rest; the answer is whole."""
    fault = Stall(after_bytes=8, seconds=0.01)
    async with open_endpoint([Reply(chunks=CHUNKS, framing="close", fault=fault)]) as endpoint:
        async with await connect(endpoint) as stream:
            await stream.send_all(post())
            data = await read_to_end(stream)
        now = await endpoint.wait_for(is_quiet)

    assert data.partition(b"\r\n\r\n")[2] == BODY
    assert (now.served, now.faulted) == (1, 0)


async def _left_in_policy(endpoint: Endpoint) -> bytes:
    endpoint.use(lambda _request: trio.sleep_forever())  # noqa: ASYNC105  # the endpoint awaits it
    return b""


async def _left_in_delay(endpoint: Endpoint) -> bytes:
    endpoint.use([Reply(delivery=Delivery(delay_head=3600))])
    return b""


async def _left_in_stream(endpoint: Endpoint) -> bytes:
    endpoint.use([Reply(text="x" * 99, delivery=Delivery(delay_between=3600))])
    return b"assistant"


async def _left_in_flood(endpoint: Endpoint) -> bytes:
    endpoint.use([Reply(chunks=[b"data: " + b"x" * 65536 + b"\n\n"] * 2000)])
    return b"data: "


@pytest.mark.parametrize("ways", [_left_in_policy, _left_in_delay, _left_in_stream, _left_in_flood])
@pytest.mark.parametrize("how", ["close", "eof"])
async def test_a_client_that_leaves_is_seen_at_once(ways: Callable[[Endpoint], Any], how: str) -> None:
    """Whether the endpoint decides, waits, or writes to somebody who does not read: a client that leaves ends it."""
    async with open_endpoint() as endpoint:
        mark = await ways(endpoint)
        stream = await connect(endpoint)
        await stream.send_all(post())
        await read_until(stream, mark)
        await endpoint.wait_for(lambda now: now.open_streams == 1)
        if how == "eof":
            await stream.send_eof()
        else:
            await stream.aclose()
        with trio.fail_after(10):
            now = await endpoint.wait_for(is_quiet)
        await stream.aclose()

    assert (now.disconnects, now.served) == (1, 0)


async def test_every_client_that_leaves_is_counted() -> None:
    """100 of 200 clients leave their streams half read: exactly those are counted as left, and nothing stays open."""
    stalled, whole = Reply(chunks=CHUNKS, fault=Stall(after_chunks=-1)), Reply(chunks=CHUNKS)

    async def one(endpoint: Endpoint, name: str) -> None:
        async with await connect(endpoint) as stream:
            await stream.send_all(post(orjson.dumps({"model": name, "messages": [{"role": "user"}]})))
            await read_until(stream, b"two" if name == "left" else b"0\r\n\r\n")

    async with open_endpoint(lambda request: stalled if request.model == "left" else whole) as endpoint:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(200):
                    nursery.start_soon(one, endpoint, "left" if number % 2 else "whole")
            now = await endpoint.wait_for(lambda now: is_quiet(now) and now.connections == 0)

    assert (now.disconnects, now.served, now.accepted) == (100, 100, 200)


async def test_a_client_that_leaves_in_its_own_request() -> None:
    """A client that leaves in the middle of its body is counted, and its request is not recorded."""
    async with open_endpoint([Reply()]) as endpoint:
        async with await connect(endpoint) as stream:
            await stream.send_all(post()[:-5])
            await endpoint.wait_for(lambda now: now.requests == 1)
        now = await endpoint.wait_for(is_quiet)

    assert now.disconnects == 1
    assert endpoint.requests == ()


async def test_a_client_that_leaves_between_requests_is_no_disconnect() -> None:
    """A connection that is closed when no request is on it counts nowhere, nor does half a head."""
    async with open_endpoint([Reply()]) as endpoint:
        for start in (b"", b"POST /v1/chat"):
            async with await connect(endpoint) as stream:
                await stream.send_all(start)
        now = await endpoint.wait_for(lambda now: now.accepted == 2 and now.connections == 0)

    assert (now.requests, now.disconnects, now.malformed) == (0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000,
    ],
)
async def test_what_is_no_request_gets_a_400(data: bytes) -> None:
    """What cannot be read as a request is answered 400 (or 431), and the connection is closed in order."""
    async with open_endpoint() as endpoint:
        async with await connect(endpoint) as stream:
            await stream.send_all(data)
            answer = await read_to_end(stream)
        now = await endpoint.wait_for(lambda now: now.malformed == 1)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert b'"type":"invalid_request_error"' in answer
    assert now.requests == 0


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_gets_a_413(announced: bool) -> None:  # noqa: FBT001  # a parameter
    """A body that says it is too long, or is, gets a 413 that the client can read though it is still sending."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    body = b"x" * 1_000_000
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    async with open_endpoint(limits=Limits(body=1000)) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(post(body) if announced else chunked)
        answer = await read_to_end(stream)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert endpoint.statistics().served == 1


async def test_a_chunked_body_is_read() -> None:
    """A request may be chunked; bad framing in it is a 400."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    good = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (QUESTION[:7], QUESTION[7:])) + b"0\r\n\r\n"
    async with open_endpoint([Reply(text="read")]) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(head + good)
        assert b"read" in await read_until(stream, b"[DONE]\n\n\r\n0\r\n\r\n")
        await stream.send_all(head + b"zz\r\n")
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 400 ")


async def test_a_body_can_be_asked_for() -> None:
    """A client that sends ``Expect: 100-continue`` is told to go on before it sends its body."""
    async with open_endpoint([Reply(text="went on")]) as endpoint, await connect(endpoint) as stream:
        request = post(QUESTION, "Expect: 100-continue")
        await stream.send_all(request[: -len(QUESTION)])
        assert await read_until(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(QUESTION)
        assert b"went on" in await read_until(stream, b"[DONE]")


async def test_requests_may_be_sent_ahead() -> None:
    """Requests that were sent before the answers came are answered in order."""
    async with open_endpoint([Reply(text=text) for text in ("one", "two", "three")]) as endpoint:
        async with await connect(endpoint) as stream:
            await stream.send_all(post() * 2 + post(QUESTION, "Connection: close"))
            answer = await read_to_end(stream)

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b'"one"') < answer.index(b'"two"') < answer.index(b'"three"')
    assert [request.number for request in endpoint.requests] == [1, 2, 3]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_old_clients_are_answered_to_the_end_of_the_connection(version: str) -> None:
    """HTTP/1.0 gets a body that the end of the connection ends; `Connection: close` is kept to."""
    async with open_endpoint([Reply(chunks=CHUNKS)]) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(post(QUESTION, "Connection: close", version=version))
        head, _, body = (await read_to_end(stream)).partition(b"\r\n\r\n")

    assert (b"transfer-encoding" in head) is (version == "1.1")
    assert body == BODY if version == "1.0" else body.endswith(b"0\r\n\r\n")


async def test_an_upgrade_is_not_made() -> None:
    """A client that offers another protocol is answered in this one, and may go on."""
    async with open_endpoint(Script([Reply(text="plain")], repeat=True)) as endpoint, await connect(endpoint) as stream:
        for _ in range(2):
            await stream.send_all(post(QUESTION, "Upgrade: h2c", "Connection: Upgrade"))
            assert b"plain" in await read_until(stream, b"0\r\n\r\n")


async def test_connections_have_a_bound() -> None:
    """A connection over the limit is answered 503 and closed; when one ends there is room again."""
    async with open_endpoint([Reply(text="room")], limits=Limits(connections=2)) as endpoint:
        async with await connect(endpoint) as first, await connect(endpoint):
            await endpoint.wait_for(lambda now: now.connections == 2)
            async with await connect(endpoint) as third:
                assert (await read_to_end(third)).startswith(b"HTTP/1.1 503 ")
            assert endpoint.statistics().refused == 1
            await endpoint.wait_for(lambda now: now.connections == 2)
            await first.send_all(post())
            assert b"room" in await read_until(first, b"[DONE]")
        await endpoint.wait_for(lambda now: now.connections == 0)


async def test_silence_has_a_bound() -> None:
    """A client that is silent for the idle time: between requests it is closed, in a body it gets a 408."""
    async with open_endpoint(limits=Limits(idle=0.05)) as endpoint:
        async with await connect(endpoint) as silent:
            assert await read_to_end(silent) == b""
        async with await connect(endpoint) as slow:
            await slow.send_all(post()[:-1])
            assert (await read_to_end(slow)).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_does_not_read_has_a_bound() -> None:
    """A client that takes nothing for the idle time is let go, and counted as one that left."""
    flood = Reply(chunks=[b"data: " + b"x" * 65536 + b"\n\n"] * 2000)
    async with open_endpoint([flood], limits=Limits(idle=0.05)) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(post())
        with trio.fail_after(10):
            now = await endpoint.wait_for(lambda now: now.disconnects == 1)

    assert now.open_streams == 0


async def test_pieces_arrive_one_by_one() -> None:
    """Pieces with a wait between them are separate reads for the client, split where they were told to be."""
    body = "data: \u00e9\u4e2d\U0001f600\n\n".encode()
    delivery = Delivery(split_every=1, delay_between=0.001)
    async with open_endpoint([Reply(body=body, delivery=delivery)]) as endpoint, await connect(endpoint) as stream:
        await stream.send_all(post())
        await read_until(stream, b"\r\n\r\n")
        reads = [await stream.receive_some() for _ in range(3)]

    assert all(len(data) < len(body) for data in reads)
