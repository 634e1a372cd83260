"""The httpx engine: one response over `ShardedTransport`, decoded in Python.

The one module that speaks httpx besides the pool. It works below `httpx.AsyncClient`: what a client adds (redirects,
cookies, decoding of bodies, timeouts per read) either must not happen here or has rules of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from math import inf
from typing import Any, Final, Protocol, cast

import attrs
import httpx
import trio

from tinyagent_actors._redact import redact_text
from tinyagent_actors.providers._certificates import UnreadableRootsError, distrust
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._httpx_pool import AS_IT_COMES, ROUTE, ShardedTransport
from tinyagent_actors.providers._inflate import BrokenBodyError, Inflater
from tinyagent_actors.providers._items import BODY, END, ERROR, HEAD, RAW, RAW_END, Item
from tinyagent_actors.providers._options import Timeouts
from tinyagent_actors.providers._route import Route

MAX_REDIRECTS: Final = 5
MAX_ERROR_BODY: Final = 1024 * 1024
"""Bytes of the body of a response whose status is not 200."""

_OK: Final = 200
_KEPT_METHOD: Final = (307, 308)


class Decoder(Protocol):
    """What the engine needs of a dialect: bytes in, items out."""

    @property
    def done(self) -> bool:
        """Whether `ERROR` or `END` was given."""

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes of the body."""

    def end(self, cut: str | None) -> list[Item]:
        """Say that the body ended; `cut` says what broke it."""


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


@attrs.define(eq=False)
class _RequestBody(httpx.AsyncByteStream):
    """A body in one piece that tells when there is a connection for it, and when it was written: httpcore asks for more then."""

    _content: bytes
    _on_begun: Callable[[], None]
    _on_sent: Callable[[], None] | None
    """Let go once it was told: whoever reads the response keeps it, and by it the request, and so this."""
    _is_begun: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_begun:
            on_sent, self._on_sent = self._on_sent, None
            if on_sent is not None:
                on_sent()
            raise StopAsyncIteration
        self._is_begun = True
        self._on_begun()
        return self._content


@attrs.define(eq=False)
class HttpxSource:
    """One response. See `Source`."""

    _transport: ShardedTransport
    _endpoint: Endpoint
    _route: Route
    _content: bytes = attrs.field(repr=False)
    _decoder: Decoder
    _timeouts: Timeouts
    _is_captured: bool = False
    """Whether the bytes of the body are handed over too, as they come."""
    on_sent: Callable[[], None] | None = None
    _began: float = attrs.field(default=0.0, init=False)
    _response: httpx.Response | None = attrs.field(default=None, init=False)
    _body: AsyncIterator[bytes] | None = attrs.field(default=None, init=False)
    _inflater: Inflater | None = attrs.field(default=None, init=False)
    _is_ok: bool = attrs.field(default=True, init=False)
    _error_bytes: int = attrs.field(default=0, init=False)
    """Bytes of the body of a response that is not ok."""
    _is_exhausted: bool = attrs.field(default=False, init=False)
    _is_over: bool = attrs.field(default=False, init=False)
    _is_drainable: bool = attrs.field(default=False, init=False)
    """The message ended properly before its body did."""

    def request_age(self) -> float:
        """See `Source.request_age`."""
        return inf

    async def receive(self) -> list[Item]:
        """Send the request, the first time; then read. See `Source.receive`."""
        if self._body is None:
            return await self._open()
        try:
            if self._inflater is None:
                return self._take(await anext(self._body))
            return await self._receive_inflated(self._inflater)
        except StopAsyncIteration:
            self._is_exhausted = True
            return self._end(None)
        except BrokenBodyError as error:
            return self._end(str(error))
        except httpx.TransportError as error:
            return self._end(_words(error))

    async def _receive_inflated(self, inflater: Inflater) -> list[Item]:
        if not inflater.has_more:
            try:
                inflater.feed(await anext(cast("AsyncIterator[bytes]", self._body)))
            except StopAsyncIteration:
                inflater.close()
                raise
        plain = inflater.step()
        return self._take(plain) if plain else []

    async def finish(self, cut: str) -> list[Item]:
        """See `Source.finish`."""
        if self._is_over:
            return []
        if self._response is None:
            return self._failed("timeout", cut)
        return self._end(cut)

    async def aclose(self) -> None:
        """See `Source.aclose`. A rest of the body is read by a task of its own, so that its end is not waited for."""
        response, self._response = self._response, None
        self.on_sent = None
        if response is None:
            return
        if self._is_drainable and not self._is_exhausted:
            self._transport.drain(response)
        else:
            await response.aclose()

    async def _open(self) -> list[Item]:
        self._began = trio.current_time()
        url = _parsed(self._endpoint.url)
        try:
            response = await self._send(url)
            for _ in range(MAX_REDIRECTS):
                target = _target_within(url, response)
                if target is None:
                    break
                await response.aclose()
                response = await self._send(target)
        except (httpx.ConnectTimeout, trio.TooSlowError):
            return self._failed("timeout", f"no connection to {url.host} within {self._timeouts.connect:g} s")
        except httpx.WriteTimeout:
            return self._failed("timeout", f"the request could not be written within {self._timeouts.first_byte:g} s")
        except httpx.TransportError as error:
            reason = distrust(error)
            if reason is not None:
                return self._failed("untrusted", f"{url.host}: the certificate is not trusted: {reason}")
            return self._failed("connection_error", f"{url.host}: {_words(error)}")
        except UnreadableRootsError as error:
            return self._failed("misconfigured", f"the trusted certificates cannot be read: {error}")
        self._response = response
        self._body = aiter(response.stream)  # type: ignore[arg-type]  # of an asynchronous transport
        self._is_ok = response.status_code == _OK
        headers = [(name.lower(), value) for name, value in response.headers.multi_items()]
        head: Item = (HEAD, (response.status_code, headers))
        return [head, *self._choose_coding(response.headers.get("content-encoding", ""))]

    async def _send(self, url: httpx.URL) -> httpx.Response:
        headers = [("host", url.netloc.decode("ascii")), *self._endpoint.headers]
        headers.append(("content-length", str(len(self._content))))
        limit = inf if self._timeouts.connect is None else self._timeouts.connect
        # One limit for all that a connection takes: the name, TCP, a proxy, TLS. httpcore has one for each.
        with trio.fail_after(limit) as scope:

            def has_connection() -> None:
                scope.deadline = inf

            extensions: dict[str, Any] = {"timeout": {"write": self._timeouts.first_byte}, ROUTE: self._route}
            if self._is_captured:
                extensions[AS_IT_COMES] = True
            request = httpx.Request(
                "POST",
                url,
                headers=headers,
                stream=_RequestBody(self._content, has_connection, self._was_sent),
                extensions=extensions,
            )
            return await self._transport.handle_async_request(request)

    def _was_sent(self) -> None:
        if self.on_sent is not None:
            self.on_sent()

    def _choose_coding(self, coding: str) -> list[Item]:
        named = coding.strip().lower()
        if named in ("", "identity"):
            return []
        if named in ("gzip", "x-gzip", "deflate"):
            self._inflater = Inflater()
            return []
        return self._failed("protocol_error", f"the body is encoded as {named[:40]!r}, which was not asked for")

    def _take(self, data: bytes) -> list[Item]:
        if self._is_ok:
            items = [*self._raw(data), *self._decoder.feed(data)] if self._is_captured else self._decoder.feed(data)
            if self._decoder.done:
                self._is_over = True
                self._is_drainable = items[-1][0] == END
            return items
        piece = data[: MAX_ERROR_BODY - self._error_bytes]
        self._error_bytes += len(piece)
        items = [*self._raw(piece), (BODY, piece)] if piece else []
        return items + self._end(None) if self._error_bytes >= MAX_ERROR_BODY else items

    def _end(self, cut: str | None) -> list[Item]:
        self._is_over = True
        items = self._decoder.end(cut) if self._is_ok else [(END, None)]
        return [(RAW_END, (self._seconds(), cut)), *items] if self._is_captured else items

    def _raw(self, data: bytes) -> list[Item]:
        return [(RAW, (self._seconds(), data))] if self._is_captured else []

    def _seconds(self) -> float:
        return trio.current_time() - self._began

    def _failed(self, code: str, text: str) -> list[Item]:
        self._is_over = True
        return [(ERROR, (code, text))]


def _words(error: httpx.TransportError) -> str:
    return redact_text(str(error)) or type(error).__name__


def _target_within(url: httpx.URL, response: httpx.Response) -> httpx.URL | None:
    """Give where a redirect leads, if it keeps the method and stays within the origin."""
    if response.status_code not in _KEPT_METHOD:
        return None
    location = response.headers.get("location", "")
    if "\\" in location:
        return None  # Some take it for a slash, which may begin another host.
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError):
        return None
    is_within = (target.scheme, target.host, target.port) == (url.scheme, url.host, url.port)
    return target if is_within and "location" in response.headers else None
