"""A server that speaks HTTP/2 over TLS, one function for each request, and writes down what its clients do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import trio

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define(eq=False)
class Connection:
    """One connection of a client."""

    stream: trio.SSLStream[trio.SocketStream]
    number: int
    state: h2.connection.H2Connection
    windows: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    """Where those wait whose windows are full."""
    lock: trio.Lock = attrs.field(factory=trio.Lock)

    async def flush(self) -> None:
        """Write what there is to write."""
        async with self.lock:
            data = self.state.data_to_send()
            if data:
                await self.stream.send_all(data)

    async def leave(self, last: int) -> None:
        """Say that no request after this one will be answered."""
        self.state.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=last)
        # h2 takes its own goodbye for the end of everything; the protocol lets streams go on.
        self.state.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        await self.flush()


@attrs.define(eq=False)
class Exchange:
    """One request and its answer."""

    connection: Connection
    id: int
    path: str
    sent: int = 0

    async def head(self) -> None:
        """Send the status."""
        headers = [(":status", "200"), ("content-type", "text/event-stream")]
        self.connection.state.send_headers(self.id, headers)
        await self.connection.flush()

    async def send(self, data: bytes) -> None:
        """Send bytes of the body, as the client's windows let them through."""
        state = self.connection.state
        while data:
            room = min(state.local_flow_control_window(self.id), state.max_outbound_frame_size)
            if room <= 0:
                await self.connection.windows.park()
                continue
            piece, data = data[:room], data[room:]
            state.send_data(self.id, piece)
            self.sent += len(piece)
            await self.connection.flush()

    async def end(self) -> None:
        """End the body."""
        self.connection.state.end_stream(self.id)
        await self.connection.flush()

    async def reset(self, code: h2.errors.ErrorCodes) -> None:
        """Break the stream off."""
        self.connection.state.reset_stream(self.id, code)
        await self.connection.flush()


Answer = Callable[[Exchange], Awaitable[None]]


@attrs.define(eq=False)
class H2Server:
    """A server that is open."""

    answer: Answer
    port: int = 0
    accepted: int = 0
    exchanges: list[Exchange] = attrs.field(factory=list)
    resets: list[tuple[int, int]] = attrs.field(factory=list)
    """The streams that a client reset: connection and code."""
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"https://localhost:{self.port}/v1"

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Wait until what was written down satisfies a condition."""
        with trio.fail_after(20):
            while not predicate():
                await self.changed.park()

    async def serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        """Serve one connection."""
        self.accepted += 1
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection = Connection(stream, self.accepted, state)
        try:
            state.initiate_connection()
            await connection.flush()
            async with trio.open_nursery() as nursery:
                while data := await stream.receive_some(65536):
                    for event in state.receive_data(data):
                        self._take(connection, event, nursery)
                    await connection.flush()
                nursery.cancel_scope.cancel()
        except* _GONE:
            pass

    def _take(self, connection: Connection, event: h2.events.Event, nursery: trio.Nursery) -> None:
        if isinstance(event, h2.events.RequestReceived):
            path = dict(event.headers)[b":path"].decode()
            exchange = Exchange(connection, event.stream_id, path)
            self.exchanges.append(exchange)
            nursery.start_soon(self._run, exchange)
        elif isinstance(event, h2.events.DataReceived):
            connection.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append((connection.number, int(event.error_code)))
        connection.windows.unpark_all()
        self.changed.unpark_all()

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self.answer(exchange)
        except (h2.exceptions.ProtocolError, *_GONE):
            pass  # The client has left.
        self.changed.unpark_all()


@asynccontextmanager
async def open_h2_server(answer: Answer, context: ssl.SSLContext) -> AsyncIterator[H2Server]:
    """Serve HTTP/2 while the block runs."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = H2Server(answer)
    async with trio.open_nursery() as nursery:
        serving = partial(trio.serve_ssl_over_tcp, server.serve, 0, context, host="127.0.0.1")
        listeners = await nursery.start(serving)
        server.port = listeners[0].transport_listener.socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()
