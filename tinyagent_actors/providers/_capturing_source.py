"""A source that keeps what passes through it.

The engines hand over the bytes of a body as items of their own (`RAW`, `RAW_END`), only where that was asked for, under the
same credit as everything else; a stream that does not ask pays for one comparison. They are taken out here, between the
engine and the stream, which never sees them. Refused: a tee in each engine that writes by itself (two writers, one of them
in Rust, and a file under the lock of the hub).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import orjson

from tinyagent_actors.providers._capture import Capture
from tinyagent_actors.providers._cassette import CassetteExchange, CassetteResponse, Chunk, End
from tinyagent_actors.providers._cassette_secrets import kept_headers, kept_request
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._items import ACTIVITY, END, ERROR, HEAD, RAW, RAW_END, Item
from tinyagent_actors.providers._source import Source

_SUFFIXES: Final = ("/chat/completions", "/messages")
"""What the client itself puts behind a base URL."""
_TORN: Final = ("reset", "ReadError")
"""Words of the engines for a connection that was torn down."""


@attrs.define(eq=False)
class CapturingSource:
    """One response on its way, and kept. See `Source`."""

    _source: Source
    _capture: Capture
    _endpoint: Endpoint
    _content: bytes = attrs.field(repr=False)
    _head: tuple[int, list[tuple[str, str]]] | None = attrs.field(default=None, init=False)
    _pieces: list[tuple[float, bytes]] = attrs.field(factory=list, init=False)
    _size: int = attrs.field(default=0, init=False)
    _end: tuple[float, End] | None = attrs.field(default=None, init=False)
    """When and how the body ended, as soon as it is known."""
    _is_kept: bool = attrs.field(default=False, init=False)

    @property
    def on_sent(self) -> Callable[[], None] | None:
        """See `Source.on_sent`."""
        return self._source.on_sent

    @on_sent.setter
    def on_sent(self, function: Callable[[], None] | None) -> None:
        self._source.on_sent = function

    def request_age(self) -> float:
        """See `Source.request_age`."""
        return self._source.request_age()

    async def receive(self) -> list[Item]:
        """See `Source.receive`."""
        return self._look(await self._source.receive())

    async def finish(self, cut: str) -> list[Item]:
        """See `Source.finish`."""
        self._end_with("left")
        return self._look(await self._source.finish(cut))

    async def aclose(self) -> None:
        """See `Source.aclose`. Then the exchange is put into the file."""
        await self._source.aclose()
        if self._is_kept or self._head is None:
            return
        self._is_kept = True
        exchange, base = self._exchange(*self._head)
        await self._capture.keep(exchange, base)

    def _look(self, items: list[Item]) -> list[Item]:
        """Note what is to be kept; give what goes on."""
        passed: list[Item] = []
        for item in items:
            kind, payload = item
            if kind == RAW:
                self._take(*payload)
                passed.append((ACTIVITY, None))
            elif kind == RAW_END:
                self._end = self._end or (payload[0], _end_of(payload[1]))
            else:
                if kind == HEAD:
                    self._head = payload
                elif kind == END:
                    self._end_with("clean")  # where the end marker came, the rest of the body is read by nobody
                elif kind == ERROR:
                    self._end_with("left")
                passed.append(item)
        return passed

    def _take(self, seconds: float, data: bytes) -> None:
        if self._size + len(data) > self._capture.max_bytes:
            if self._end is None:
                self._capture.tell(f"a body has more than {self._capture.max_bytes} bytes; the rest of it is not kept")
                self._end_with("left")
        elif self._end is None:
            self._size += len(data)
            self._pieces.append((seconds, data))

    def _end_with(self, end: End) -> None:
        self._end = self._end or (self._pieces[-1][0] if self._pieces else 0.0, end)

    def _exchange(self, status: int, headers: list[tuple[str, str]]) -> tuple[CassetteExchange, str]:
        url = urlsplit(self._endpoint.url)
        target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        request, secrets = kept_request("POST", target, self._endpoint.headers, self._content, parsed(self._content))
        times = [seconds for seconds, _ in self._pieces]
        data = secrets.pieces([data for _, data in self._pieces])
        ended, end = self._end or (times[-1] if times else 0.0, "left")
        waits = [now - before for now, before in zip(times, [times[0] if times else 0.0, *times], strict=False)]
        response = CassetteResponse(
            status=status,
            # What is kept is the body as the decoder has it.
            headers=kept_headers([pair for pair in headers if pair[0] != "content-encoding"], secrets),
            after=times[0] if times else ended,
            chunks=tuple(map(Chunk, data, waits)),
            end=end,
            end_after=max(0.0, ended - times[-1]) if times else 0.0,
        )
        base = next((url.path.removesuffix(suffix) for suffix in _SUFFIXES if url.path.endswith(suffix)), url.path)
        return CassetteExchange(request=request, response=response), base


def parsed(content: bytes) -> Any:
    """Give a body as JSON knows it, or None where it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _end_of(cut: str | None) -> End:
    if cut is None:
        return "clean"
    return "reset" if any(word in cut for word in _TORN) else "cut"
