"""One HTTP/1.1 connection of the fake endpoint.

One task, the pump, does all the reading, always: so a client that leaves is seen at once, whatever the other side of the
connection is busy with. What it read waits in a bounded inbox for the task that serves. h11 reads the requests, a fresh
parser for each; answers are written as bytes, because h11 refuses to write what is wrong on purpose.

A client that closes its sending side counts as one that left: TCP does not say the difference.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import attrs
import h11
import trio

from tinyagent_actors.testing._request import RecordedRequest

_READ_SIZE: Final = 128 * 1024
_INBOX_SIZE: Final = 512 * 1024
_MAX_HEAD: Final = 64 * 1024
_LINGER_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.001

if sys.platform == "linux":
    import fcntl
    import termios

    def _unsent(stream: trio.SocketStream) -> int:
        """Give how many bytes the peer's system has not acknowledged."""
        (count,) = struct.unpack("i", fcntl.ioctl(stream.socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        return int(count)

else:

    def _unsent(stream: trio.SocketStream) -> int:  # noqa: ARG001  # it is not told here
        """Give 0: this system does not tell."""
        return 0


class ClientLeftError(Exception):
    """The client closed its side, or took nothing for too long. Never leaves this package."""


@attrs.define(slots=False, eq=False)
class BadRequestError(Exception):
    """The request cannot be read on; the client is told why, and the connection is closed. Never leaves this package."""

    status: int
    message: str


@attrs.define(eq=False)
class HttpConnection:
    """A connection, as the endpoint uses it: a head, a body, then an answer; again, while both sides keep it."""

    number: int
    """From 1, in the order of acceptance."""
    _stream: trio.SocketStream
    _idle: float
    _max_body: int
    _parser: h11.Connection = attrs.field(init=False)
    _inbox: deque[bytes] = attrs.field(init=False, factory=deque)
    _waiting: int = attrs.field(init=False, default=0)
    """Bytes in the inbox."""
    _arrived: trio.lowlevel.ParkingLot = attrs.field(init=False, factory=trio.lowlevel.ParkingLot)
    _taken: trio.lowlevel.ParkingLot = attrs.field(init=False, factory=trio.lowlevel.ParkingLot)
    _gone: bool = attrs.field(init=False, default=False)
    _answering: trio.CancelScope | None = attrs.field(init=False, default=None)
    _discard: bool = attrs.field(init=False, default=False)
    """Whether what comes in is thrown away."""
    reset: bool = attrs.field(init=False, default=False)
    """Set to end with RST in place of FIN."""

    def __attrs_post_init__(self) -> None:
        self._parser = _parser()

    async def read_head(self, numbers: Iterator[int]) -> RecordedRequest | None:
        """Read a head; the body is still to come. ``None`` where the client left or sent nothing for the idle time.

        Args:
            numbers: Gives the request its number, when the head has come.

        Raises:
            BadRequestError: It is not HTTP/1.x.
        """
        rest, ended = self._parser.trailing_data
        self._parser = _parser()
        if rest:
            self._parser.receive_data(rest)
        if ended:
            return None
        try:
            event = await self._next_event()
        except (ClientLeftError, trio.TooSlowError):
            return None
        if not isinstance(event, h11.Request):
            return None
        return RecordedRequest(
            number=next(numbers),
            connection=self.number,
            method=event.method.decode("ascii"),
            target=event.target.decode("latin-1"),
            headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers),
            http_version=event.http_version.decode("ascii"),
        )

    async def read_body(self, head: RecordedRequest) -> RecordedRequest:
        """Give the request with its body.

        Raises:
            BadRequestError: It is longer than allowed, badly framed, or stopped coming.
            ClientLeftError: The client left in the middle of it.
        """
        announced = head.header("content-length")
        if announced is not None and int(announced) > self._max_body:
            raise BadRequestError(413, f"the body has {announced} bytes; at most {self._max_body} are taken")
        if self._parser.they_are_waiting_for_100_continue:
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts: list[bytes] = []
        size = 0
        try:
            while isinstance(event := await self._next_event(), h11.Data):
                size += len(event.data)
                if size > self._max_body:
                    raise BadRequestError(413, f"the body has more than {self._max_body} bytes")
                parts.append(bytes(event.data))
        except trio.TooSlowError:
            raise BadRequestError(408, f"the body did not come within {self._idle:g} s") from None
        return attrs.evolve(head, body=b"".join(parts)) if parts else head

    @contextmanager
    def answering(self) -> Iterator[trio.CancelScope]:
        """Work on an answer in a scope that is cancelled when the client leaves."""
        with trio.CancelScope() as scope:
            self._answering = scope
            if self._gone:
                scope.cancel()
            try:
                yield scope
            finally:
                self._answering = None

    async def write(self, data: bytes) -> None:
        """Write bytes at once.

        Raises:
            ClientLeftError: Nobody takes them.
        """
        try:
            with trio.fail_after(self._idle):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.TooSlowError):
            raise ClientLeftError from None

    async def wait_taken(self) -> None:
        """Wait until the client's system has all that was written, for at most a second; where this system can tell (Linux).

        A reset throws away what is still on its way.
        """
        with trio.move_on_after(_LINGER_SECONDS):
            while _unsent(self._stream):  # noqa: ASYNC110  # nothing tells when it is
                await trio.sleep(_LOOK_SECONDS)

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                if self._parser.trailing_data[1]:
                    raise ClientLeftError from None
                raise BadRequestError(error.error_status_hint, f"not a request: {error}") from None
            if isinstance(event, h11.Event) or event is h11.PAUSED:
                return event
            for data in await self._receive():
                self._parser.receive_data(data)

    async def _receive(self) -> list[bytes]:
        """Take what has come; one empty piece at the end."""
        if not self._inbox and not self._gone:
            with trio.fail_after(self._idle):
                while not self._inbox and not self._gone:
                    await self._arrived.park()
        data = list(self._inbox) or [b""]
        self._inbox.clear()
        self._waiting = 0
        self._taken.unpark_all()
        return data

    async def pump(self) -> None:
        """Read till the client leaves."""
        while not self._gone:
            while self._waiting >= _INBOX_SIZE:
                await self._taken.park()
            try:
                data = bytes(await self._stream.receive_some(_READ_SIZE))
            except trio.BrokenResourceError:
                data = b""
            if not data:
                self._gone = True
                if self._answering is not None:
                    self._answering.cancel()
            elif not self._discard:
                self._inbox.append(data)
                self._waiting += len(data)
            self._arrived.unpark_all()

    async def linger(self) -> None:
        """Close in order: say so, then let the client read on and close its side, for at most a second.

        A socket that is closed with bytes unread in it sends RST, which can destroy what the client has not read yet.
        """
        self._discard = True
        self._inbox.clear()
        self._waiting = 0
        self._taken.unpark_all()
        try:
            await self._stream.send_eof()
        except trio.BrokenResourceError:
            return
        with trio.move_on_after(_LINGER_SECONDS):
            while not self._gone:
                await self._arrived.park()

    def arm_reset(self) -> None:
        """Make the coming close send RST."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _parser() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)


@asynccontextmanager
async def open_connection(
    stream: trio.SocketStream, *, number: int, idle: float, max_body: int
) -> AsyncIterator[HttpConnection]:
    """Serve one accepted socket; it is closed at the end, also after a cancel (then at once)."""
    connection = HttpConnection(number=number, stream=stream, idle=idle, max_body=max_body)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.pump)
            yield connection
            if not connection.reset:
                await connection.linger()
            nursery.cancel_scope.cancel()
    finally:
        if connection.reset:
            connection.arm_reset()
        await trio.aclose_forcefully(stream)
