"""A small HTTP server on loopback, for what answers requests without a policy: cassettes, played back or recorded."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, TypeAlias

import attrs
import trio

from tinyagent_actors._redact import redact_text
from tinyagent_actors.providers._cassette import CassetteResponse
from tinyagent_actors.testing._connection import BadRequestError, ClientLeftError, HttpConnection, open_connection
from tinyagent_actors.testing._delivery import Ending
from tinyagent_actors.testing._request import RecordedRequest
from tinyagent_actors.testing._script import error_body
from tinyagent_actors.testing._statistics import Limits

Answerer: TypeAlias = Callable[[HttpConnection, RecordedRequest], Awaitable[Ending]]
"""Answers one request, and gives what becomes of the connection. It is cancelled when the client leaves."""

_BODILESS: Final = (204, 304)


@attrs.frozen
class Loopback:
    """A server that is open."""

    origin: str
    nursery: trio.Nursery
    """For what is to end with the server."""


@asynccontextmanager
async def open_loopback(answer: Answerer) -> AsyncIterator[Loopback]:
    """Answer requests while the block runs. At its end, also after a cancel, every connection is closed.

    What the block raises leaves it as it is, in no group.
    """
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = _Server(answer)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, server.serve, listeners)
            try:
                yield Loopback(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", nursery)
            except Exception as error:  # noqa: BLE001  # raised again below, outside of the nursery, which would wrap it
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        for listener in listeners:
            await trio.aclose_forcefully(listener)
    if failure is not None:
        raise failure


def head_of(response: CassetteResponse) -> bytes:
    """Give the status line and headers of an answer."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in response.headers)]
    if response.status not in _BODILESS:
        framing = {
            "chunked": "transfer-encoding: chunked",
            "length": f"content-length: {response.length}",
            "close": "connection: close",
        }
        lines.append(framing[response.framing])
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def framed(response: CassetteResponse, data: bytes) -> bytes:
    """Give a piece of its body as it goes over the wire."""
    return b"%x\r\n%b\r\n" % (len(data), data) if response.framing == "chunked" else data


def last_of(response: CassetteResponse) -> bytes:
    """Give what ends its body properly."""
    return b"0\r\n\r\n" if response.framing == "chunked" else b""


async def refuse(connection: HttpConnection, status: int, message: str, *, kind: str) -> Ending:
    """Answer with an error, as a provider words it; the connection is closed then."""
    body = error_body(status, redact_text(message), kind=kind)
    headers = (("content-type", "application/json"), ("connection", "close"))
    response = CassetteResponse(status=status, headers=headers, framing="length", length=len(body))
    await connection.write(head_of(response) + body)
    return "close"


@attrs.define(eq=False)
class _Server:
    _answer: Answerer
    _connections: int = attrs.field(default=0, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _requests: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    async def serve(self, stream: trio.SocketStream) -> None:
        limits = Limits()
        self._connections += 1
        try:
            async with open_connection(
                stream, number=next(self._numbers), idle=limits.idle, max_body=limits.body
            ) as connection:
                is_kept = self._connections <= limits.connections
                while is_kept:
                    is_kept = await self._exchange(connection)
        finally:
            self._connections -= 1

    async def _exchange(self, connection: HttpConnection) -> bool:
        """Serve one request; give whether another may follow."""
        ending: Ending = "close"
        try:
            head = await connection.read_head(self._requests)
            if head is None:
                return False
            with connection.answering():
                ending = await self._answer(connection, await connection.read_body(head))
        except BadRequestError as problem:
            ending = await _turn_away(connection, problem)
        except ClientLeftError:
            ending = "close"
        connection.reset = ending == "reset"
        return ending == "keep"


async def _turn_away(connection: HttpConnection, problem: BadRequestError) -> Ending:
    try:
        return await refuse(connection, problem.status, problem.message, kind="invalid_request_error")
    except ClientLeftError:
        return "close"
