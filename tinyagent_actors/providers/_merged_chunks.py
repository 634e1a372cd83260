"""Merged chunks: what one read of the socket brings of a body, as one chunk of HTTP/1.1.

A provider writes an event, and so a chunk, for each token. Under load one read brings many of them; h11 takes them apart one by
one, and each then goes alone through httpcore and httpx, five generators deep. All that costs several times what it costs to
read the events in them. So the bytes are rewritten before h11 sees them: `ChunkMerger` joins the data of neighbouring chunks
under one size line. Nothing is held back for it: the part of a chunk that has come is a chunk as well.

What is not a plain chunk (an extension, a size that is none, a chunk whose end is not where it says) is given on as it came, and
all that follows too; so h11 stays the judge of what is allowed, and of where the message ends. Refused: an own reader of
chunked bodies in the place of h11's, which would have to judge; joining the events that h11 gives, which is too late: what it
costs to make them is half of it.

httpcore makes its connection of h11 itself, so it is found through names of httpcore, httpx and h11 that are private, in this one
place. Where they are other names, chunks come one by one as ever.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import h11

_WAY: Final = ("_httpcore_stream", "_stream", "_connection", "_h11_state")
"""From the stream of a response, as httpx's transport gives it, to the connection of h11."""
_BUFFER: Final = "_receive_buffer"
"""Where h11 keeps what came after the head."""
_ALL: Final = 1 << 40
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_LONGEST_SIZE: Final = 18
"""Bytes of a size line with its end."""


@attrs.define(eq=False)
class ChunkMerger:
    """Rewrites a chunked body to fewer chunks of the same data."""

    _tail: bytes = attrs.field(default=b"", init=False)
    """The beginning of a size line, or of what ends a chunk: it means nothing yet."""
    _left: int = attrs.field(default=0, init=False)
    """Bytes of the present chunk that are still to come."""
    _is_at_end_of_chunk: bool = attrs.field(default=False, init=False)
    _is_passing: bool = attrs.field(default=False, init=False)
    """Whether the rest is given on as it comes."""

    def feed(self, data: bytes) -> bytes:
        """Give what to give to h11 for `data`; for nothing, which says that the connection has ended, all there is."""
        if self._is_passing or not data:
            data, self._tail = self._tail + data, b""
            return data
        data, self._tail = self._tail + data, b""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._is_at_end_of_chunk = not self._left
                continue
            if self._is_at_end_of_chunk:
                if end - at == 1:
                    break
                if not data.startswith(b"\r\n", at):
                    return self._broken(pieces, data[at:])
                at += 2
                self._is_at_end_of_chunk = False
                continue
            stop = data.find(b"\r\n", at, at + _LONGEST_SIZE)
            if stop < 0 and end - at < _LONGEST_SIZE:
                break
            size = _SIZE.fullmatch(data, at, stop) if stop > 0 else None
            self._left = 0 if size is None else int(size[0], 16)
            if not self._left:
                self._is_passing = True
                break
            at = stop + 2
        rest = data[at:]
        if self._is_passing:
            return _chunk(pieces) + rest
        self._tail = rest
        return _chunk(pieces)

    def _broken(self, pieces: list[bytes], rest: bytes) -> bytes:
        """Give a chunk on that does not end where it says, so that h11 finds it so."""
        self._is_passing = True
        data = b"".join(pieces)
        return b"%x\r\n%b%b" % (len(data), data, rest) if data else b"!" + rest


def _chunk(pieces: list[bytes]) -> bytes:
    data = b"".join(pieces)
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class MergingConnection(h11.Connection):
    """A connection of h11 whose body comes in fewer chunks."""

    _merger: ChunkMerger | None = None

    def begin(self) -> None:
        """Merge the chunks of the body whose head was read, those that have come with it among them."""
        self._merger = ChunkMerger()
        came: Any = getattr(self, _BUFFER).maybe_extract_at_most(_ALL)
        if came:
            self.receive_data(bytes(came))

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket; see h11."""
        if self._merger is None:
            super().receive_data(data)
            return
        merged = self._merger.feed(data)
        if merged:
            super().receive_data(merged)
        if not data:
            super().receive_data(data)

    def start_next_cycle(self) -> None:
        """Be ready for the next request; see h11."""
        self._merger = None
        super().start_next_cycle()


def merge_chunks(stream: object) -> None:
    """Have what comes of a chunked response merged, given its stream. With another httpcore or h11: nothing."""
    found: Any = stream
    for name in _WAY:
        found = getattr(found, name, None)
    if type(found) is h11.Connection and hasattr(found, _BUFFER):
        found.__class__ = MergingConnection
    if isinstance(found, MergingConnection):
        found.begin()
