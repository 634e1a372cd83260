"""What stands between a client and a fake endpoint: TLS with certificates of our own, and a forward proxy."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs
import trio
import trustme

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define(eq=False)
class Authority:
    """A private certificate authority, and the file that a client trusts it by."""

    ca: trustme.CA
    pem: Path

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """Make one whose certificate lies in `folder`."""
        ca = trustme.CA()
        pem = folder / "private-ca.pem"
        ca.cert_pem.write_to_path(str(pem))
        return cls(ca, pem)

    def server(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """Give the context of a server with these names, or for this machine."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = self.ca.issue_cert(*(names or ("127.0.0.1", "localhost", "provider.test")), not_after=not_after)
        issued.configure_cert(context)
        return context

    def expired(self) -> ssl.SSLContext:
        """Give the context of a server whose certificate has expired."""
        return self.server(not_after=datetime(2020, 1, 1, tzinfo=UTC))


@attrs.define(eq=False)
class Relay:
    """A relay that is open."""

    port: int = 0
    accepted: int = 0
    """Connections, in all; of the TLS front, those whose handshake was done."""
    seen: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)
    """Of the proxy: the first line of each request, and its headers with names in lower case."""


async def _pump(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some(65536):
            await target.send_all(data)
    except _GONE:
        pass
    finally:
        scope.cancel()


async def _close(*streams: trio.abc.Stream) -> None:
    with trio.CancelScope(shield=True):
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def join(one: trio.abc.Stream, other: trio.abc.Stream) -> None:
    """Carry bytes both ways until either side ends; then close both at once."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pump, one, other, nursery.cancel_scope)
            nursery.start_soon(_pump, other, one, nursery.cancel_scope)
    finally:
        await _close(one, other)


@asynccontextmanager
async def open_tls_front(port: int, context: ssl.SSLContext) -> AsyncIterator[Relay]:
    """Speak TLS before a server of this machine that does not."""
    front = Relay()

    async def serve(connection: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await connection.do_handshake()
            front.accepted += 1
            await join(connection, await trio.open_tcp_stream("127.0.0.1", port))
        except _GONE:
            pass
        finally:
            await _close(connection)

    async with trio.open_nursery() as nursery:
        serving = partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1", https_compatible=True)
        listeners = await nursery.start(serving)
        front.port = listeners[0].transport_listener.socket.getsockname()[1]
        yield front
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_proxy(
    port: int, *, refuse: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Relay]:
    """A forward proxy behind which every host is a port of this machine. `refuse`: the status that all requests get."""
    proxy = Relay()

    async def serve(connection: trio.abc.Stream) -> None:
        proxy.accepted += 1
        received = b""
        try:
            while b"\r\n\r\n" not in received:
                data = await connection.receive_some(65536)
                if not data:
                    return
                received += data
            head, _, rest = received.partition(b"\r\n\r\n")
            first, *lines = head.decode("ascii").split("\r\n")
            proxy.seen.append((first, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}))
            if refuse is not None:
                await connection.send_all(f"HTTP/1.1 {refuse}\r\ncontent-length: 0\r\n\r\n".encode())
                return
            server = await trio.open_tcp_stream("127.0.0.1", port)
            if first.startswith("CONNECT "):
                await connection.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                method, url, version = first.split(" ")
                path = "/" + url.split("/", 3)[3]
                await server.send_all("\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode() + rest)
            await join(connection, server)
        except _GONE:
            pass
        finally:
            await _close(connection)

    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            proxy.port = listeners[0].socket.getsockname()[1]
        else:
            listeners = await nursery.start(partial(trio.serve_ssl_over_tcp, serve, 0, tls, host="127.0.0.1"))
            proxy.port = listeners[0].transport_listener.socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()
