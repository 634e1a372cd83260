"""StraightBody: the body of a response, taken from httpcore's connection itself.

httpx, its transport, httpcore's pool and its stream hand every piece of a body on, each through a generator of its own. So each
token comes up through all of them, and a cancel goes up as well: each catches it, and shields, closes and raises again. Here what h11
has read is asked for where it is read. A cancel then loses nothing and closes nothing: whoever reads closes the socket, which is all
there is to close.

That way leads through private names of httpcore and httpx, in this one place. Where they are other names, the body comes as ever.
Refused: reading the socket past h11, which is the judge of where the message ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import h11
import httpcore
import httpx

_WAY: Final = ("_httpcore_stream", "_stream", "_connection")
"""From the stream of a response, as httpx's transport gives it, to the connection."""
_ERRORS: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


@attrs.define(eq=False)
class StraightBody:
    """An iterator over what has come. Cancelling it loses nothing, and leaves the connection as it is."""

    _receive: Callable[[], Awaitable[Any]]
    """Gives the next event of h11."""

    def __aiter__(self) -> StraightBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            event = await self._receive()
        except _ERRORS as error:
            translated: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
            raise translated(str(error)) from error
        if type(event) is h11.Data:
            return bytes(event.data)
        raise StopAsyncIteration


def straight_body(stream: object) -> StraightBody | None:
    """Give the way straight to the body of a response, given its stream; None with another httpcore or httpx."""
    connection: Any = stream
    for name in _WAY:
        connection = getattr(connection, name, None)
    receive = getattr(connection, "_receive_event", None)
    is_known = isinstance(getattr(connection, "_h11_state", None), h11.Connection)
    return StraightBody(receive) if is_known and receive is not None else None
