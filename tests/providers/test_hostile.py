"""Streams that mean harm: a typed error, bounded memory, the connection closed, other streams untouched. On every engine.

The client is a process of its own, whose memory is measured; `_measured_client` is its program.
"""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from tests._forks import Forks
from tests.providers.conftest import Ask, read_request
from tinyagent_actors.providers import Timeouts
from tinyagent_actors.providers._framing import Framer
from tinyagent_actors.testing import Delivery, Reply

MIB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\n%s\r\n"
DONE = b"data: [DONE]\n\n"
START = b'data: {"choices": [{"delta": {"content": "'
END = b'"}}]}\n\n'
SMALL = OK % b"" + START + b"hi" + END + DONE

Pieces = Callable[[], Iterator[bytes]]


def plain(*parts: bytes | tuple[bytes, int]) -> Pieces:
    """Give an answer of parts, each a text or a text and how often it comes."""

    def pieces() -> Iterator[bytes]:
        yield OK % b""
        for part in parts:
            text, times = part if isinstance(part, tuple) else (part, 1)
            in_one = max(1, min(times, 65536 // len(text)))
            for _ in range(times // in_one):
                yield text * in_one
            yield text * (times % in_one)

    return pieces


def packed(wbits: int, coding: bytes, *parts: tuple[bytes, int]) -> Pieces:
    """Give a compressed answer."""

    def pieces() -> Iterator[bytes]:
        yield OK % b"content-encoding: %s\r\n" % coding
        packer = zlib.compressobj(wbits=wbits)
        for text, times in parts:
            for _ in range(times):
                yield packer.compress(text)
        yield packer.flush()

    return pieces


def endless_head() -> Iterator[bytes]:
    """Give a head that does not end."""
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"x-filler: nothing at all\r\n" * 1000


def call(arguments: bytes) -> bytes:
    """Give an event with a whole tool call."""
    return (
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "%s"}}]}}]}\n\n'
        % arguments
    )


@attrs.frozen
class Case:
    """What is sent, and what is to come of it."""

    pieces: Pieces
    kind: str | None
    grown: float
    """MiB that it may take: the limit of an event and 32, or five times a legal event."""
    limit: int = 8 * MIB


CASES = {
    "64 MiB without a newline": Case(plain((b"data: ", 1), (b"x", 80 * MIB)), "event_too_large", 64 + 32, 64 * MIB),
    "an event of endless lines": Case(plain((b"data: xy\n", 2 * MIB)), "event_too_large", 8 + 32),
    "a document without an end": Case(plain(b"[", (b" ", 16 * MIB)), "event_too_large", 8 + 32),
    "a page without an end": Case(plain(b"<html>", (b"x", 64 * MIB)), "protocol_error", 32),
    "an event of 16 MiB": Case(plain(START, (b"x", 16 * MIB), END, DONE), None, 5 * 16, 64 * MIB),
    "a million empty events": Case(plain((b"data:\n\n", 1_000_000), DONE), "empty_response", 32),
    "a million comments": Case(plain((b": ping\n\n", 1_000_000), DONE), "empty_response", 32),
    "many events of nothing": Case(plain((b"data: {}\n\n", 200_000), DONE), None, 32),
    "a comment without an end": Case(plain(b":", (b"x", 64 * MIB)), "empty_response", 32),
    "10,000 deep": Case(plain(b"data: ", (b"[", 10_000), (b"]", 10_000), b"\n\n"), "malformed_event", 32),
    "10,000 deep in arguments": Case(plain(call(b"[" * 10_000 + b"]" * 10_000), DONE), None, 32),
    "numbers beyond 64 bits": Case(
        plain(b'data: {"usage": {"prompt_tokens": %s}}\n\n' % (b"9" * 300), START, b"hi", END, DONE), None, 32
    ),
    "a number beyond all": Case(plain(b'data: {"usage": %s}\n\n' % (b"9" * 100_000)), "malformed_event", 32),
    "2 MiB that are no UTF-8": Case(plain(START, (b"\xff\xc3", MIB), END, DONE), None, 32 + 5 * 6),
    "a bomb in gzip": Case(packed(31, b"gzip", (START, 1), (b"x" * MIB, 64)), "event_too_large", 8 + 32),
    "a bomb in deflate": Case(packed(-15, b"deflate", (START, 1), (b"x" * MIB, 64)), "event_too_large", 8 + 32),
    "a bomb of comments": Case(packed(31, b"gzip", (b": ping\n\n" * 100_000, 10), (DONE, 1)), "empty_response", 32),
    "brotli": Case(lambda: iter([OK % b"content-encoding: br\r\n", b"x" * MIB]), "protocol_error", 32),
    "zstd": Case(lambda: iter([OK % b"content-encoding: zstd\r\n", b"x" * MIB]), "protocol_error", 32),
    "gzip in gzip": Case(lambda: iter([OK % b"content-encoding: gzip, gzip\r\n", b"x" * MIB]), "protocol_error", 32),
    "headers without an end": Case(endless_head, "connection_error", 32),
}  # fmt: skip


@asynccontextmanager
async def open_hostile_server(hostile: Pieces) -> AsyncIterator[tuple[str, trio.Event]]:
    """Serve the hostile answer, a small one, and a slow one that ends once the client has left the hostile one."""
    left = trio.Event()

    async def serve(connection: trio.SocketStream) -> None:
        try:
            head = await read_request(connection)
            if b"/small/" in head:
                await connection.send_all(SMALL)
            elif b"/slow/" in head:
                await connection.send_all(OK % b"" + START + b"h" + END)
                await left.wait()
                await connection.send_all(START + b"i" + END + DONE)
            else:
                await _send(connection, hostile)
                left.set()
        except trio.BrokenResourceError:
            pass
        await connection.aclose()

    async def _send(connection: trio.SocketStream, pieces: Pieces) -> None:
        try:
            for piece in pieces():
                await connection.send_all(piece)
        except trio.BrokenResourceError:
            pass  # It has left in the middle.

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", left
        nursery.cancel_scope.cancel()


async def measure(forks: Forks, engine: str, case: Case) -> dict[str, Any]:
    """Ask in a process of its own."""
    async with open_hostile_server(case.pieces) as (url, left):
        with trio.fail_after(300):
            printed = await forks.run("tests.providers._measured_client", engine, url, str(case.limit))
            await left.wait()
    told: dict[str, Any] = json.loads(printed)
    return told


@pytest.mark.process
@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_stream(forks: Forks, engine: str, name: str) -> None:
    """H01: it ends typed, within its memory, with its connection closed, and another stream goes on as if nothing were."""
    case = CASES[name]

    told = await measure(forks, engine, case)

    assert told["hostile"]["kind"] == case.kind
    assert told["grown"] <= case.grown
    assert told["other"] == {"kind": None, "text": 2, "invalid": [], "events": told["other"]["events"]}


async def test_deep_arguments_do_not_run(ask: Ask) -> None:
    """H02: a call whose arguments are 10,000 levels deep is invalid, and nothing breaks over it."""
    answer = await ask.raw(OK % b"" + call(b'{\\"a\\":' * 10_000 + b"1" + b"}" * 10_000) + DONE)

    assert (answer.kind, answer.message.tool_calls) == (None, ())
    assert len(answer.message.invalid_tool_calls) == 1


async def test_a_byte_now_and_then(ask: Ask) -> None:
    """H03: a server that sends a byte of a comment now and then keeps `idle` away, and ends by `progress`."""
    reply = Reply(chunks=[b":", *[b"x"] * 1000], delivery=Delivery(delay_between=0.05))

    answer = await ask(reply, timeouts=Timeouts(first_byte=5, idle=5, progress=0.5))

    assert answer.kind == "timeout"
    assert answer.message.error is not None
    assert answer.message.error.message == "no event came for 0.5 s"


@pytest.mark.parametrize("start", [b"data: ", b"["])
def test_single_bytes_cost_no_more_than_many(start: bytes) -> None:
    """H04: what comes one byte at a time takes the memory of its bytes, not of its pieces."""
    count = 200_000
    framing = Framer(limit=64 * MIB)
    framing.feed(start)
    tracemalloc.start()
    try:
        for _ in range(count):
            framing.feed(b"x")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 4 * count


def test_short_lines_cost_no_more_than_long_ones() -> None:
    """H04: neither do the lines of one event."""
    framing = Framer(limit=64 * MIB)
    lines = b"data: xy\n" * 100
    tracemalloc.start()
    try:
        for _ in range(1000):
            framing.feed(lines)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 2 * 1000 * len(lines)
