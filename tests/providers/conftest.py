"""What the tests of providers share: one question to a real endpoint on loopback, and the whole answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from tinyagent_actors.events import StreamEnd, StreamEvent
from tinyagent_actors.messages import AssistantMessage, Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import Reply, open_endpoint

CONTEXT = Context(messages=[UserMessage("hello")])


@pytest.fixture(autouse=True)
def no_certificates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `alchemy` trust nobody, but where TLS is what is tested: for each stream it reads all certificates of the machine."""
    parameters = getattr(request.node, "callspec", None)
    engine = None if parameters is None else parameters.params.get("engine")
    if engine not in ("httpx", "native") and "authority" not in request.fixturenames:
        monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@attrs.frozen
class Answer:
    """One answer, read to its end."""

    events: list[StreamEvent]
    message: AssistantMessage

    @property
    def text(self) -> str:
        """The text of the message."""
        return self.message.text

    @property
    def kind(self) -> str | None:
        """The kind of its error, if it has one."""
        return None if self.message.error is None else self.message.error.kind

    @property
    def types(self) -> list[str]:
        """The types of the events, neighbouring equal ones once."""
        types = [event.type for event in self.events]
        return [name for name, before in zip(types, [None, *types], strict=False) if name != before]


@attrs.frozen
class Ask:
    """Asks once, and reads all of the answer: ``await ask(reply)``. Keywords are fields of `StreamOptions`."""

    engine: str
    api: str = "openai-completions"

    async def __call__(self, reply: Reply, **options: Any) -> Answer:
        """Ask a fake endpoint that gives this reply."""
        async with open_endpoint([reply]) as endpoint:
            return await self.url(endpoint.url, **options)

    async def raw(self, answer: bytes, **options: Any) -> Answer:
        """Ask a server that sends these bytes, whatever they are, and closes."""
        async with open_raw_server(answer) as url:
            return await self.url(url, **options)

    async def url(self, url: str, **options: Any) -> Answer:
        """Ask what listens there."""
        model = Model("any", api=self.api, base_url=url)
        with trio.fail_after(30):
            async with open_stream(model, CONTEXT, StreamOptions(engine=self.engine, **options)) as stream:  # type: ignore[arg-type]  # one of them
                events = [event async for event in stream]
                message = await stream.result()
        last = events[-1]
        assert isinstance(last, StreamEnd)
        assert last.message is message
        return Answer(events, message)


@pytest.fixture
def ask(engine: str) -> Ask:
    """Ask on the engine that the test runs on."""
    return Ask(engine)


async def read_request(stream: trio.SocketStream) -> bytes:
    """Read a request to its end. Who closes a socket with bytes unread in it resets it, and takes the answer along.

    The greeting of TLS is none, and has no end that could be seen here.
    """
    request = b""
    while b"\r\n\r\n" not in request and not request.startswith(b"\x16"):
        piece = await stream.receive_some()
        if not piece:
            return request
        request += piece
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) - len(body) if lengths else 0
    while left > 0 and (piece := await stream.receive_some()):
        request, left = request + piece, left - len(piece)
    return request


@asynccontextmanager
async def open_raw_server(answer: bytes) -> AsyncIterator[str]:
    """Serve bytes as they are, after the first bytes of a request; gives the base URL."""

    async def serve(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await read_request(stream)
            await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        nursery.cancel_scope.cancel()
