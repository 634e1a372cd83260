"""HTTP as a tool: fetch a page, from the public internet only unless more is allowed, within a size and a time.

A name says nothing of where it leads: it may be resolved to a private address, to another one the next time, and a redirect may lead
anywhere. So nothing is judged by its name. A name is resolved once, each of its addresses is judged, and the connection goes
to the very address that was judged; so it is for every request, redirected or not. There is no proxy, and no environment variable
is read. The exchange itself is a short one, a request and an answer to be read to its end or cut, so it is spoken by h11 on the socket,
and nobody's pool of connections stands between.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import attrs
import h11
import httpx
import trio

from tinyagent_actors._errors import AddressRefusedError, FetchError
from tinyagent_actors.messages import AgentToolResult, TextContent
from tinyagent_actors.tools._result import encodable
from tinyagent_actors.tools._tool import Tool, tool
from tinyagent_actors.tools.library._addresses import Addresses

MOST_BYTES: Final = 1024 * 1024
"""Of a page, after it was unpacked."""
MOST_REDIRECTS: Final = 5
SECONDS: Final = 30.0
"""For a page, redirects and all."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TEXTS: Final = ("text/", "application/json", "application/xml", "application/javascript", "application/x-")
_FIRST_ERROR: Final = 400
_CHUNK: Final = 65_536


@cache
def _ssl_context() -> ssl.SSLContext:
    """Give the one context of all fetches: to make one reads a file of certificates."""
    return httpx.create_ssl_context(trust_env=False)


@attrs.frozen
class _Fetcher:
    """How pages are fetched."""

    addresses: Addresses
    headers: Mapping[str, str] = attrs.field(repr=False)
    most_bytes: int

    async def fetch(self, text: str) -> AgentToolResult:
        """Fetch a page, following redirects.

        Raises:
            AddressRefusedError: It, or what it leads to, must not be fetched from.
            FetchError: It cannot be had.
        """
        url, headers = _to_url(text), self.headers
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._ask(url, headers)
            where = answer.header(b"location")
            if answer.status not in _REDIRECTS or not where:
                return answer.to_result(url)
            following = _to_url(str(url.join(where)))
            if (following.scheme, following.netloc) != (url.scheme, url.netloc):
                headers = {}  # what was given for one server is no other's
            url = following
        raise FetchError(f"more than {MOST_REDIRECTS} redirects")

    async def _ask(self, url: httpx.URL, headers: Mapping[str, str]) -> _Answer:
        """Send one request, and read its answer."""
        stream = await self._connect(url)
        try:
            async with stream:
                return await _Exchange(stream, self.most_bytes).run(url, headers)
        except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
            raise FetchError(f"{url.host} broke off: {error.__cause__ or error}") from error

    async def _connect(self, url: httpx.URL) -> trio.abc.Stream:
        """Resolve a name, judge its addresses, and connect to the first that may be reached and can be."""
        host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FetchError(f"{host} cannot be resolved: {error}") from error
        figures = dict.fromkeys(str(where[0]) for *_, where in found)
        allowed = [one for one in figures if self.addresses.may_reach(one)]
        if not allowed:
            raise AddressRefusedError(host, "leads to a private address")
        failure: OSError | None = None
        for one in allowed:
            try:
                stream = await trio.open_tcp_stream(one, port)
            except OSError as error:
                failure = error
                continue
            if url.scheme == "http":
                return stream
            return trio.SSLStream(
                stream, await trio.to_thread.run_sync(_ssl_context), server_hostname=host, https_compatible=True
            )
        raise FetchError(f"{host} cannot be reached: {failure}") from failure


@attrs.frozen
class _Answer:
    """What came."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    data: bytes = attrs.field(default=b"", repr=False)
    is_cut: bool = False

    def header(self, name: bytes) -> str:
        """Give the value of a header; blank if there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")

    @property
    def media(self) -> str:
        """What it is, without parameters."""
        return self.header(b"content-type").lower().partition(";")[0].strip() or "text/plain"

    def to_result(self, url: httpx.URL) -> AgentToolResult:
        """Give the result of the tool.

        Raises:
            FetchError: It is no text.
        """
        if not (self.media.startswith(_TEXTS) or self.media.endswith(("+json", "+xml"))):
            raise FetchError(f"{url.host} gave {self.media}, which is no text (status {self.status})")
        marker = f"\n[cut: only the first {len(self.data)} bytes were fetched]" if self.is_cut else ""
        text = f"[{self.status} {self.media} {url}]\n{_decoded(self.data, self.header(b'content-type'))}{marker}"
        return AgentToolResult((TextContent(text),), is_error=self.status >= _FIRST_ERROR)


@attrs.define(eq=False)
class _Exchange:
    """One request and its answer, on a connection of its own."""

    stream: trio.abc.Stream
    most: int
    _connection: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT), init=False)

    async def run(self, url: httpx.URL, headers: Mapping[str, str]) -> _Answer:
        """Ask, and read the answer to its end, or as much as is wanted."""
        request = h11.Request(method="GET", target=url.raw_path, headers=_headers(url, headers))
        await self.stream.send_all(
            (self._connection.send(request) or b"") + (self._connection.send(h11.EndOfMessage()) or b"")
        )
        response = await self._next()
        while isinstance(response, h11.InformationalResponse):
            response = await self._next()
        if not isinstance(response, h11.Response):
            raise FetchError(f"{url.host} closed the connection")
        answer = _Answer(response.status_code, tuple(response.headers))
        if answer.status in _REDIRECTS:
            return answer
        unpacker = _Unpacker.of(answer.header(b"content-encoding"))
        data = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            data += unpacker.unpack(bytes(event.data), self.most + 1)
            if len(data) > self.most:
                return attrs.evolve(answer, data=bytes(data[: self.most]), is_cut=True)
        return attrs.evolve(answer, data=bytes(data))

    async def _next(self) -> object:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            self._connection.receive_data(bytes(await self.stream.receive_some(_CHUNK)))
        return event


@attrs.define
class _Unpacker:
    """Unpacks a body that is packed though that was not asked for; piece by piece, so that a small one cannot become a huge one."""

    _inflate: object = None

    @classmethod
    def of(cls, packing: str) -> _Unpacker:
        """Give what unpacks that.

        Raises:
            FetchError: Nothing does.
        """
        name = packing.lower().strip()
        if name in ("gzip", "x-gzip", "deflate"):
            return cls(zlib.decompressobj(wbits=47))
        if name not in ("", "identity"):
            raise FetchError(f"it is packed by {name}, which was not asked for")
        return cls()

    def unpack(self, data: bytes, most: int) -> bytes:
        """Give so many bytes at most of what they are.

        Raises:
            FetchError: They are not packed as it was said.
        """
        if self._inflate is None:
            return data
        try:
            return self._inflate.decompress(data, most)  # type: ignore[attr-defined, no-any-return]  # its type has no name
        except zlib.error as error:
            raise FetchError(f"it is not packed as it says: {error}") from error


def _to_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise AddressRefusedError("that", "is no address of the web") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefusedError(url.scheme or "that", "is no address of the web: it begins with http:// or https://")
    if url.userinfo:
        raise AddressRefusedError(url.host, "must be given without user and password")
    return url.copy_with(fragment=None)


def _headers(url: httpx.URL, given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    own = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "tinyagent-actors"}
    headers = own | {name.lower(): value for name, value in given.items()}
    headers |= {"host": url.netloc.decode("ascii"), "connection": "close"}
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _decoded(data: bytes, kind: str) -> str:
    _, _, after = kind.partition("charset=")
    charset = after.partition(";")[0].strip("\"' ") or "utf-8"
    try:
        return encodable(data.decode(charset, "replace"))
    except (LookupError, UnicodeError):
        return encodable(data.decode("utf-8", "replace"))


def fetch_tool(
    *,
    allow: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
    seconds: float = SECONDS,
) -> Tool:
    """Make a tool that fetches a page by HTTP.

    Private addresses (loopback, local networks, link-local as of a cloud's metadata) are refused, by whatever name or redirect
    they are reached; so is what is no text.

    Args:
        allow: Networks that may be fetched from all the same, such as ``127.0.0.1/32``.
        headers: Sent to the server that is asked for, and to no other that it redirects to.
        most_bytes: Of a page.
        seconds: For a page, redirects and all.

    Raises:
        SpecError: `allow` is no list of networks.
    """
    fetcher = _Fetcher(Addresses(allow), dict(headers or {}), most_bytes)

    @tool(effect="read", timeout=seconds + 5)
    async def fetch_url(url: str) -> AgentToolResult:
        """Fetch a page of the web and give its text as it is.

        Args:
            url: Its address, beginning with http:// or https://.
        """
        try:
            with trio.fail_after(seconds):
                return await fetcher.fetch(url)
        except trio.TooSlowError:
            raise FetchError(f"it took longer than {seconds:g} s") from None

    return fetch_url
