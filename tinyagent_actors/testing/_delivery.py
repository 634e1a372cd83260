"""From a reply to the steps that a connection takes: write these bytes, wait so long, break off. Pure.

The head and the framing of HTTP are written here by hand, for a server that must be able to promise a body and not give it.
Every piece of a body is one HTTP chunk (where the body is chunked) and one write. A fault inside a piece strikes inside its
HTTP chunk: the size that was announced is the whole piece's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import pairwise
from typing import Final, Literal

import attrs

from tinyagent_actors.testing._script import Delivery, Fault, Reply, Reset, Stall

Ending = Literal["keep", "close", "reset"]
"""What becomes of the connection after an answer."""

MAX_WRITE: Final = 64 * 1024
_BODILESS: Final = (204, 304)


@attrs.frozen
class Write:
    """Write these bytes at once."""

    data: bytes


@attrs.frozen
class Wait:
    """Wait so many seconds; ``None``: until the client leaves."""

    seconds: float | None


@attrs.frozen
class BreakOff:
    """End the connection in the middle of the answer."""

    ending: Ending


Step = Write | Wait | BreakOff


@attrs.frozen(kw_only=True)
class Exchange:
    """What of the request decides how an answer is written."""

    number: int
    method: str = "POST"
    http_version: str = "1.1"
    close: bool = False
    """Whether the client wants the connection closed."""


def ending(reply: Reply, exchange: Exchange) -> Ending:
    """Give what becomes of the connection after a whole answer."""
    by_end = _framing(reply, exchange) == "close" and not _bodiless(reply, exchange)
    return "close" if by_end or reply.close or exchange.close else "keep"


def plan(reply: Reply, chunks: Sequence[bytes], exchange: Exchange, *, content_type: str) -> Iterator[Step]:
    """Give the steps of an answer.

    Args:
        reply: Its HTTP side, delivery and fault.
        chunks: Its body, before encoding.
        exchange: The request's side.
        content_type: What the body is, unless the reply's own headers say.

    Raises:
        SpecError: The fault lies outside of the body.
    """
    chunks = _gzip(chunks) if reply.encoding == "gzip" else chunks
    fault = reply.fault
    place = None if fault is None or fault.before_head else fault.place([len(chunk) for chunk in chunks])
    framing = _framing(reply, exchange)
    head = _head(reply, exchange, framing, sum(map(len, chunks)), content_type)
    bodiless = _bodiless(reply, exchange)
    body = _Body(pieces=() if bodiless else _pieces(reply, chunks), chunked=framing == "chunked" and not bodiless)
    steps = _steps(head, body, reply.delivery, fault, place)
    return steps if _exact(reply) else _merged(steps)


def _bodiless(reply: Reply, exchange: Exchange) -> bool:
    return reply.status in _BODILESS or exchange.method == "HEAD"


def _framing(reply: Reply, exchange: Exchange) -> str:
    framing = reply.framing
    if framing == "auto":
        framing = "chunked" if reply.body is None and reply.status < HTTPStatus.BAD_REQUEST else "length"
    return "close" if framing == "chunked" and exchange.http_version < "1.1" else framing


def _exact(reply: Reply) -> bool:
    delivery = reply.delivery
    return bool(reply.chunks is not None or delivery.split_at or delivery.split_every or not delivery.coalesce)


def _gzip(chunks: Sequence[bytes]) -> list[bytes]:
    """Compress, so that each chunk can be read when it has come."""
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks]
    return [*packed[:-1], packed[-1] + packer.flush()] if packed else [packer.flush()]


def _pieces(reply: Reply, chunks: Sequence[bytes]) -> Sequence[bytes]:
    """Cut the body into what is written at once."""
    delivery = reply.delivery
    if delivery.split_at or delivery.split_every:
        body = b"".join(chunks)
        step = delivery.split_every
        marks = [0, *(range(step, len(body), step) if step else delivery.split_at), len(body)]
        return [body[start:end] for start, end in pairwise(marks) if body[start:end]]
    if delivery.delay_between or _exact(reply):
        return [chunk for chunk in chunks if chunk]
    return list(_coalesced(chunks))


def _coalesced(chunks: Sequence[bytes]) -> Iterator[bytes]:
    group: list[bytes] = []
    size = 0
    for chunk in chunks:
        if group and size + len(chunk) > MAX_WRITE:
            yield b"".join(group)
            group, size = [], 0
        group.append(chunk)
        size += len(chunk)
    if size:
        yield b"".join(group)


def _head(reply: Reply, exchange: Exchange, framing: str, length: int, content_type: str) -> bytes:
    headers = {
        "content-type": content_type,
        "cache-control": "no-cache",
        "server": "tinyagent-fake-endpoint",
        "x-request-id": f"req_{exchange.number}",
    }
    own = {name.lower() for name, _ in reply.headers}
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in own]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.retry_after is not None:
        lines.append(f"retry-after: {_seconds(reply.retry_after)}")
    if reply.encoding == "gzip":
        lines.append("content-encoding: gzip")
    if framing == "length" and reply.status not in _BODILESS:
        lines.append(f"content-length: {length}")
    elif framing == "chunked" and reply.status not in _BODILESS:
        lines.append("transfer-encoding: chunked")
    if ending(reply, exchange) == "close":
        lines.append("connection: close")
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    return "\r\n".join([f"HTTP/1.1 {reply.status} {phrase}", *lines, "", ""]).encode("ascii")


def _seconds(retry_after: float | str) -> str:
    return retry_after if isinstance(retry_after, str) else f"{retry_after:g}"


@attrs.frozen
class _Body:
    pieces: Sequence[bytes]
    chunked: bool


def _steps(head: bytes, body: _Body, delivery: Delivery, fault: Fault | None, place: int | None) -> Iterator[Step]:
    """Give the steps. `place` is the byte of the body before which the fault strikes, if it strikes in the body."""
    if fault is not None and fault.before_head:
        yield _strike(fault)
    yield Wait(delivery.delay_head)
    yield Write(head)
    offset = 0
    for piece in body.pieces:
        start, stop = (b"%x\r\n" % len(piece), b"\r\n") if body.chunked else (b"", b"")
        inside = -1 if place is None else place - offset
        if fault is not None and inside == 0:
            yield _strike(fault)
        yield Wait(delivery.delay_between if offset else delivery.delay_body)
        if fault is not None and 0 < inside < len(piece):
            yield Write(start + piece[:inside])
            yield _strike(fault)
            yield Write(piece[inside:] + stop)
        else:
            yield Write(start + piece + stop)
        offset += len(piece)
    if fault is not None and place == offset:
        yield _strike(fault)
    if body.chunked:
        yield Write(b"0\r\n\r\n")


def _strike(fault: Fault) -> Step:
    if isinstance(fault, Stall):
        return Wait(fault.seconds)
    return BreakOff("reset" if isinstance(fault, Reset) else "close")


def _merged(steps: Iterator[Step]) -> Iterator[Step]:
    """Join neighbouring writes up to `MAX_WRITE`, and drop waits of no time."""
    pending = b""
    for step in steps:
        if isinstance(step, Wait) and step.seconds == 0:
            continue
        if isinstance(step, Write) and len(pending) + len(step.data) <= MAX_WRITE:
            pending += step.data
            continue
        if pending:
            yield Write(pending)
        pending = step.data if isinstance(step, Write) else b""
        if not isinstance(step, Write):
            yield step
    if pending:
        yield Write(pending)
