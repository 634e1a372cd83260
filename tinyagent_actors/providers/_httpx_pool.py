"""The connections of the httpx engine: many small transports behind one.

httpcore's pool looks at every connection for every request, so one pool for hundreds of streams is quadratic, and a
bounded one makes agents that wait for each other wait for ever. Here each connection has a transport of its own (a
*shard*), and what is idle lies on a stack per origin: taking and giving back are constant, the connection used last is
used next, and no request waits for another. Idle connections are bounded in number and age; those in use are as many
as there are streams.

One of these serves a runtime, so that certificates are loaded once, and only when the first https request is made.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeAlias, cast

import attrs
import httpx
import trio

from tinyagent_actors.actors import current_runtime
from tinyagent_actors.providers._certificates import TRUST_NOBODY, Certificates
from tinyagent_actors.providers._merged_chunks import merge_chunks
from tinyagent_actors.providers._route import STRAIGHT, Route
from tinyagent_actors.providers._straight_body import StraightBody, straight_body

MAX_IDLE: Final = 512
"""Connections kept open in all though nobody uses them."""
IDLE_SECONDS: Final = 30.0
"""How long each is kept."""

DRAIN_BYTES: Final = 64 * 1024
DRAIN_SECONDS: Final = 0.25
_TICKS_TO_DRAIN: Final = 4
"""Turns that a drain, just begun, needs to give back a connection whose end has come already."""
ROUTE: Final = "tinyagent_actors.route"
"""The name under which the extensions of a request hold its `Route`."""

AS_IT_COMES: Final = "tinyagent_actors.as_it_comes"
"""The extension of a request whose answer is to come in the chunks that the server made, for whoever keeps them."""

_Origin: TypeAlias = tuple[str, str, int | None, Route]
_ONE_CONNECTION: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS)


@attrs.define(eq=False)
class _Shard:
    """A transport with at most one connection, of one origin by one route."""

    origin: _Origin
    transport: httpx.AsyncHTTPTransport
    idle_since: float = 0.0


@attrs.define(eq=False)
class ShardedTransport(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, and keeps what may be used again."""

    _idle: dict[_Origin, list[_Shard]] = attrs.field(factory=dict, init=False)
    """Stacks; the last one was used last. All together at most `MAX_IDLE`."""
    _idle_count: int = attrs.field(default=0, init=False)
    _active: int = attrs.field(default=0, init=False)
    _draining: int = attrs.field(default=0, init=False)
    _opened: int = attrs.field(default=0, init=False)
    _requests: int = attrs.field(default=0, init=False)
    _certificates: Certificates = attrs.field(factory=Certificates, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's stream gives its connection back when it is closed.

        Cancelling closes the connection.

        Raises:
            httpx.TransportError: Of any kind.
            UnreadableRootsError: There is nobody to trust.
        """
        url = request.url
        origin = (url.scheme, url.host, url.port, request.extensions.get(ROUTE, STRAIGHT))
        shard = self._take(origin) or await self._take_drained(origin)
        connecting = _Connecting()
        if shard is None:
            shard = self._make(origin)
            request.extensions["trace"] = connecting.note
        self._active += 1
        self._requests += 1
        try:
            response = await shard.transport.handle_async_request(request)
        except BaseException:
            self._active -= 1  # httpcore has closed the connection, so nothing is left of the shard.
            await connecting.close()
            raise
        request.extensions.pop("trace", None)
        body = cast("httpx.AsyncByteStream", response.stream)
        is_chunked = response.headers.get("transfer-encoding", "").lower() == "chunked"
        if is_chunked and AS_IT_COMES not in request.extensions:
            merge_chunks(body)
        response.stream = _ShardStream(self, shard, body, response.extensions["network_stream"])
        return response

    def drain(self, response: httpx.Response) -> None:
        """Close a response whose message has ended, once the rest of its body was read; nobody waits for that.

        At most `DRAIN_BYTES` and `DRAIN_SECONDS`; then the connection is closed, not kept.
        """
        self._draining += 1
        current_runtime().start_detached(self._drain, response, name="tinyagent_actors: drain a response")

    async def _drain(self, response: httpx.Response) -> None:
        rest = DRAIN_BYTES
        try:
            with trio.move_on_after(DRAIN_SECONDS):
                async for piece in cast("httpx.AsyncByteStream", response.stream):
                    rest -= len(piece)
                    if rest < 0:
                        break
        except httpx.TransportError:
            pass
        finally:
            self._draining -= 1
            await response.aclose()

    def statistics(self) -> Mapping[str, int]:
        """Count transports made, requests sent, responses open and connections idle."""
        return {
            "opened": self._opened,
            "requests": self._requests,
            "active": self._active,
            "idle": self._idle_count,
        }

    async def aclose(self) -> None:
        """Close what is idle; what is in use is closed by who uses it. Later requests still work, and keep nothing."""
        self._closed = True
        stacks, self._idle, self._idle_count = list(self._idle.values()), {}, 0
        for stack in stacks:
            for shard in stack:
                await shard.transport.aclose()

    def _take(self, origin: _Origin) -> _Shard | None:
        stack = self._idle.get(origin)
        if not stack:
            return None
        self._idle_count -= 1
        return stack.pop()

    async def _take_drained(self, origin: _Origin) -> _Shard | None:
        """Give a connection that is free in a moment, if any may be."""
        for _ in range(_TICKS_TO_DRAIN if self._draining else 0):
            await trio.lowlevel.checkpoint()
            shard = self._take(origin)
            if shard is not None:
                return shard
        return None

    def _make(self, origin: _Origin) -> _Shard:
        scheme, _, _, route = origin
        is_proxy_tls = route.proxy is not None and route.proxy.startswith("https")
        context = self._certificates.context(route) if scheme == "https" or is_proxy_tls else TRUST_NOBODY
        proxy = None
        if route.proxy is not None:
            proxy = httpx.Proxy(route.proxy, ssl_context=context if is_proxy_tls else None)
        transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_ONE_CONNECTION, proxy=proxy)
        self._opened += 1
        return _Shard(origin, transport)

    async def give_back(self, shard: _Shard, *, is_reusable: bool) -> None:
        """Take a shard back from a response that is closed."""
        self._active -= 1
        if not is_reusable:
            return
        if self._closed:
            await shard.transport.aclose()
            return
        shard.idle_since = trio.current_time()
        self._idle.setdefault(shard.origin, []).append(shard)
        self._idle_count += 1
        for spare in self._spare(shard.idle_since):
            await spare.transport.aclose()

    def _spare(self, now: float) -> list[_Shard]:
        """Take off the stacks what is too old or too many; stacks are in order of age, so only their bottoms count."""
        spare: list[_Shard] = []
        for origin, stack in list(self._idle.items()):
            while stack and now - stack[0].idle_since > IDLE_SECONDS:
                spare.append(stack.pop(0))
            if not stack:
                del self._idle[origin]
        while self._idle_count - len(spare) > MAX_IDLE:
            oldest = min((stack for stack in self._idle.values() if stack), key=lambda stack: stack[0].idle_since)
            spare.append(oldest.pop(0))
        self._idle_count -= len(spare)
        return spare


@attrs.define(eq=False)
class _Connecting:
    """The socket of a connection that is being made: httpcore leaves it open where it is cancelled in a TLS handshake."""

    _socket: trio.abc.AsyncResource | None = None

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear what httpcore does: its trace."""
        if event == "connection.connect_tcp.complete":
            self._socket = info["return_value"]

    async def close(self) -> None:
        """Close it, if it was opened. Waits for nobody."""
        if self._socket is not None:
            with trio.CancelScope(shield=True) as scope:
                scope.cancel()
                await self._socket.aclose()


@attrs.define(eq=False)
class _ShardStream(httpx.AsyncByteStream):
    """The body of a response, and the connection under it."""

    _owner: ShardedTransport
    _shard: _Shard
    _body: httpx.AsyncByteStream
    _network: trio.abc.AsyncResource
    """httpcore's stream over the socket; only its `aclose` is used."""
    _iterator: AsyncIterator[bytes] | None = attrs.field(default=None, init=False)
    _straight: StraightBody | None = attrs.field(init=False)
    """The iterator, if it is httpcore's connection that is read, and none of the generators around it."""
    _is_exhausted: bool = attrs.field(default=False, init=False)
    _is_unwound: bool = attrs.field(default=False, init=False)
    """Whether an exception has passed through all of httpcore's generators, a cancel for one: it has closed the connection then."""
    _is_closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._straight = straight_body(self._body)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._straight or aiter(self._body)
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            self._is_exhausted = True
            raise
        except BaseException:
            self._is_unwound = self._straight is None
            raise

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end; else close it at once. Closing twice is allowed."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_unwound:
            await self._owner.give_back(self._shard, is_reusable=False)
            return
        if not self._is_exhausted:
            await self._abandon()
            if self._straight is not None:  # the shard, which nobody holds any more, was no more than that socket
                await self._owner.give_back(self._shard, is_reusable=False)
                return
        with trio.CancelScope(shield=True):
            # httpcore asks the sockets of idle connections whether they are readable, also one that was just closed.
            with contextlib.suppress(ValueError):
                await self._body.aclose()
            await self._owner.give_back(self._shard, is_reusable=self._is_exhausted)

    async def _abandon(self) -> None:
        """Close the socket, and unwind httpcore's nested generators by letting the innermost one fail.

        Closing the outermost alone would leave the others to the garbage collector. In a scope that is cancelled
        already nothing in here can wait, not even for TLS to say goodbye.
        """
        parts = (self._network.aclose, self._exhaust) if self._straight is None else (self._network.aclose,)
        for part in parts:
            with trio.CancelScope(shield=True) as scope:
                scope.cancel()
                await part()

    async def _exhaust(self) -> None:
        if self._iterator is not None:
            with contextlib.suppress(httpx.TransportError):
                async for _ in self._iterator:
                    pass
