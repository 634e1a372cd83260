"""Recording a cassette: a server on loopback that passes everything on to a provider, and keeps what it says.

It stands between, so that any client can be recorded, of any engine, by its base URL; and so that what is kept is what came
over the wire, piece by piece, with its times. It changes nothing but the names of the hosts, and asks for a body that is not
compressed. What it cannot keep it passes on all the same, and says so at the end of the block.

The provider is read by a task of its own, which the client cannot cancel: most clients leave as soon as they have seen the
marker at the end, and a moment before the body's own end comes. So an answer has `GRACE` seconds to end after its client has
left, or the block has; only then it is noted as one that nobody read further.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final
from urllib.parse import urlsplit

import attrs
import trio

from tinyagent_actors._errors import CassetteError, SpecError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.providers._capturing_source import parsed
from tinyagent_actors.providers._cassette import (
    Cassette,
    CassetteExchange,
    CassetteRequest,
    CassetteResponse,
    Chunk,
    End,
)
from tinyagent_actors.providers._cassette_file import format_cassette
from tinyagent_actors.providers._cassette_secrets import Secrets, kept_headers, kept_request
from tinyagent_actors.providers._route import Route, find_route
from tinyagent_actors.providers._transport import Transport
from tinyagent_actors.testing._connection import HttpConnection
from tinyagent_actors.testing._delivery import Ending
from tinyagent_actors.testing._loopback import framed, head_of, last_of, open_loopback, refuse
from tinyagent_actors.testing._request import RecordedRequest

if TYPE_CHECKING:
    import httpx

    from tinyagent_actors.providers._httpx_pool import ShardedTransport

CONNECT_SECONDS: Final = 30.0
SILENT_SECONDS: Final = 900.0
"""How long the provider may send nothing; longer than any client should wait."""
GRACE: Final = 1.0
_AHEAD: Final = 64
"""Pieces that the provider may be ahead of the client."""
_UNAVAILABLE: Final = 502
_NOT_PASSED_ON: Final = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that belong to one connection, in either direction."""
_SCHEMES: Final = ("http", "https")


@attrs.define(eq=False)
class _Making:
    """An exchange in the making."""

    request: CassetteRequest
    secrets: Secrets
    began: float
    response: CassetteResponse | None = None
    chunks: list[Chunk] = attrs.field(factory=list)
    size: int = 0
    last: float = 0.0
    """When the piece before came."""
    end: End | None = None
    end_after: float = 0.0
    passed_end: End = "left"
    """How the provider ended it, whether that was kept or not."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Of the task that reads the provider."""

    def hurry(self) -> None:
        """Let it end within the grace."""
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + GRACE)

    def waited(self) -> float:
        """Give the seconds since the piece before."""
        now = trio.current_time()
        waited, self.last = now - self.last, now
        return waited

    def close(self, end: End) -> None:
        """Note how it ended; what is kept of it ends the first time."""
        self.passed_end = end
        if self.end is None:
            self.end, self.end_after = end, self.waited()


@final
@attrs.define(eq=False, repr=False)
class Recorder:
    """A cassette that is being recorded. Made by `record_cassette` alone."""

    url: str
    """The base URL for a client, in place of the provider's."""
    file: str
    upstream: str
    _max_bytes: int
    _transport: ShardedTransport
    _route: Route
    _made: list[_Making] = attrs.field(factory=list, init=False)
    _problems: list[str] = attrs.field(factory=list, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    """Where providers are read."""
    _reading: set[_Making] = attrs.field(factory=set, init=False)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be recorded, and why."""
        return tuple(self._problems)

    @property
    def recorded(self) -> int:
        """How many exchanges there are so far."""
        return sum(making.response is not None for making in self._made)

    async def answer(self, connection: HttpConnection, request: RecordedRequest) -> Ending:
        """Pass a request on, and its answer back."""
        import httpx

        kept, secrets = kept_request(
            request.method, request.target, request.headers, request.body, parsed(request.body)
        )
        now = trio.current_time()
        making = _Making(kept, secrets, now, last=now)
        self._made.append(making)
        try:
            response = await self._transport.handle_async_request(self._request(request))
        except httpx.TransportError as error:
            words = f"{type(error).__name__}: {secrets.text(str(error))}"
            self._problems.append(f"{kept.place}: the provider gave no answer: {words}")
            return await refuse(
                connection, _UNAVAILABLE, f"the provider gave no answer: {words}", kind="upstream_error"
            )
        passed = self._head(making, response)
        send, receive = trio.open_memory_channel[bytes](_AHEAD)
        assert self._nursery is not None
        self._reading.add(making)
        self._nursery.start_soon(self._read, making, response, send)
        try:
            with receive:
                return await _pass_back(connection, making, passed, receive)
        finally:
            making.hurry()

    async def wait_idle(self) -> None:
        """Wait until every answer has ended, for at most the grace."""
        for making in self._reading:
            making.hurry()
        while self._reading:
            await self._changed.park()

    def _request(self, request: RecordedRequest) -> httpx.Request:
        import httpx

        from tinyagent_actors.providers._httpx_pool import AS_IT_COMES, ROUTE

        origin = urlsplit(self.upstream)
        url = httpx.URL(f"{origin.scheme}://{origin.netloc}{request.target}")
        headers = [(name, value) for name, value in request.headers if name not in _NOT_PASSED_ON]
        headers.append(("accept-encoding", "identity"))
        timeouts = {"connect": CONNECT_SECONDS, "write": CONNECT_SECONDS, "read": SILENT_SECONDS}
        return httpx.Request(
            request.method,
            url,
            headers=headers,
            content=request.body,
            extensions={"timeout": timeouts, ROUTE: self._route, AS_IT_COMES: True},
        )

    def _head(self, making: _Making, response: httpx.Response) -> CassetteResponse:
        """Give the head of an answer as it goes on to the client; keep it, if the body can be."""
        passed = _head(making, response)
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding in ("", "identity"):
            making.response = attrs.evolve(passed, headers=kept_headers(passed.headers, making.secrets))
        else:
            self._problems.append(
                f"{making.request.place}: the body came as {coding[:40]!r}, though that was not asked for"
            )
        return passed

    async def _read(self, making: _Making, response: httpx.Response, send: trio.MemorySendChannel[bytes]) -> None:
        """Read what the provider says, keep it, and lay it before the client while there is one."""
        import httpx

        try:
            with send, making.scope:
                async for piece in cast("httpx.AsyncByteStream", response.stream):
                    if piece:
                        self._keep(making, piece)
                        with contextlib.suppress(trio.BrokenResourceError):
                            await send.send(piece)
                making.close("clean")
        except httpx.TransportError as error:
            making.close("reset" if isinstance(error, httpx.ReadError) else "cut")
        finally:
            if making.end is None:
                making.close("left")
            await response.aclose()
            self._reading.discard(making)
            self._changed.unpark_all()

    def _keep(self, making: _Making, piece: bytes) -> None:
        if making.end is not None:
            return
        making.size += len(piece)
        if making.size > self._max_bytes:
            self._problems.append(f"{making.request.place}: the rest of a body of more than {self._max_bytes} bytes")
            making.close("left")
        else:
            making.chunks.append(Chunk(piece, making.waited()))

    def cassette(self, about: Mapping[str, Any]) -> Cassette:
        """Give what was recorded."""
        exchanges = [_exchange(making, making.response) for making in self._made if making.response is not None]
        return Cassette(exchanges=tuple(exchanges), base=urlsplit(self.upstream).path.rstrip("/"), about=about)

    def __repr__(self) -> str:
        return f"<Recorder {self.file!r} {self.url} recorded={self.recorded}>"


async def _pass_back(
    connection: HttpConnection, making: _Making, passed: CassetteResponse, pieces: trio.MemoryReceiveChannel[bytes]
) -> Ending:
    await connection.write(head_of(passed))
    async for piece in pieces:
        await connection.write(framed(passed, piece))
    if making.passed_end == "clean":
        await connection.write(last_of(passed))
        return "close" if passed.framing == "close" else "keep"
    if making.passed_end == "reset":
        await connection.wait_taken()
        return "reset"
    return "close"


def _head(making: _Making, response: httpx.Response) -> CassetteResponse:
    """Give the head of an answer as it goes on to the client."""
    headers = [(name.lower(), value) for name, value in response.headers.multi_items()]
    announced = response.headers.get("content-length", "")
    length = int(announced) if announced.isdecimal() else None
    return CassetteResponse(
        status=response.status_code,
        headers=tuple((name, value) for name, value in headers if name not in _NOT_PASSED_ON),
        framing="chunked" if length is None else "length",
        length=length,
        after=making.waited(),
    )


def _exchange(making: _Making, response: CassetteResponse) -> CassetteExchange:
    data = making.secrets.pieces([chunk.data for chunk in making.chunks])
    chunks = tuple(attrs.evolve(chunk, data=piece) for chunk, piece in zip(making.chunks, data, strict=True))
    end = making.end or "left"
    response = attrs.evolve(response, chunks=chunks, end=end, end_after=making.end_after)
    return CassetteExchange(request=making.request, response=response)


def _check_upstream(upstream: str) -> None:
    url = urlsplit(upstream)
    if url.scheme not in _SCHEMES or not url.hostname:
        raise SpecError("upstream", "must be the base URL of a provider, http or https")
    if url.query or url.fragment or url.username is not None:
        raise SpecError("upstream", "must have no query, fragment or user: what a client needs of them it sends itself")


@asynccontextmanager
async def record_cassette(
    path: str | PathLike[str],
    *,
    upstream: str,
    about: Mapping[str, Any] | None = None,
    max_bytes: int = 64 * 1024 * 1024,
) -> AsyncIterator[Recorder]:
    """Pass requests on to a provider while the block runs, and write what was said to a file at its end.

    The file is written also where the block raises, but not where nothing was recorded. A cancelled block writes it too.

    Args:
        path: The file; one that is there is replaced, at once.
        upstream: The provider's base URL. Its path is part of the recorder's, so that requests look as they would.
        about: What the file says of itself.
        max_bytes: Of one body; what comes behind them is passed on and not kept.

    Yields:
        The recorder; `url` is the base URL for a model. The key goes with the model as always: it is passed on and not
        written.

    Raises:
        SpecError: `upstream` is no base URL.
        ProviderError: The environment names a proxy that is none.
        CassetteError: The file cannot be written, nothing was recorded, or something could not be.

    Example:
        ::

            async with record_cassette("paris.jsonl", upstream="https://api.openai.com/v1") as recorder:
                agent = Agent()
                agent.set_model(Model("gpt-5.4-mini", provider="openai", base_url=recorder.url))
                await agent.prompt_text("The capital of France?")
    """
    from tinyagent_actors.providers._httpx_pool import ShardedTransport  # loads httpx, which is slow

    _check_upstream(upstream)
    route = find_route(upstream, Transport(), os.environ)
    recorder = Recorder("", fspath(path), upstream.rstrip("/"), max_bytes, ShardedTransport(), route)
    try:
        async with open_loopback(recorder.answer) as loopback:
            recorder.url = f"{loopback.origin}{urlsplit(recorder.upstream).path}"
            recorder._nursery = loopback.nursery  # noqa: SLF001  # it is this function's
            try:
                yield recorder
            finally:
                with trio.CancelScope(shield=True):
                    await recorder.wait_idle()
    finally:
        with trio.CancelScope(shield=True):
            await recorder._transport.aclose()  # noqa: SLF001  # it is this function's
            if recorder.recorded:
                await trio.to_thread.run_sync(_write, recorder.file, recorder.cassette(about or {}))
    if recorder.problems:
        raise CassetteError(recorder.file, 0, "", f"was not recorded as it is: {'; '.join(recorder.problems)}")
    if not recorder.recorded:
        raise CassetteError(recorder.file, 0, "", "nothing was recorded: no request came")


def _write(file: str, cassette: Cassette) -> None:
    new = Path(f"{file}.new")
    try:
        new.write_bytes(format_cassette(cassette))
        new.replace(file)
    except OSError as error:
        raise CassetteError(file, 0, "", redact_text(f"cannot be written: {error.strerror}")) from None
