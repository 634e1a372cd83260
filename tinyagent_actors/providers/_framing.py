"""Framing: from the bytes of a body to its events, by the WHATWG's rules for Server-Sent Events and a few of our own.

The extras are for what endpoints really send under that name: bare JSON, web pages, and a field called ``error``.
`docs/explanation/engine-boundary.md` says all of it. Every byte is looked at a bounded number of times, however the
body is split, and what is kept of one event is bounded by `limit`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

BLANKS: Final = b" \t\r\n"
PAGE_BYTES: Final = 4096
"""How much of a page is waited for before it is reported."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANK_LINE: Final = b"\n\n"
_PREFIX: Final = b"data: "
_NAME: Final = b"event: "
_ERROR_NAME: Final = b"event: error"


@attrs.frozen
class NamedEvent:
    """An event that says by its name, or by a field, that it is an error. Other names tell nothing."""

    data: bytes
    event: bytes = b""
    error: bytes = b""
    """The value of a field ``error``."""


Frame: TypeAlias = bytes | NamedEvent
"""A dispatched event: its data alone, or with the other fields it had."""


@attrs.define(eq=False)
class Framer:
    """Bytes in, events out; a state between the two."""

    limit: int
    """Bytes of one event."""
    is_too_large: bool = attrs.field(default=False, init=False)
    """An event was larger than `limit`; nothing can follow."""
    is_json: bool = attrs.field(default=False, init=False)
    """The whole body is one JSON document."""
    is_page: bool = attrs.field(default=False, init=False)
    """The body is a web page."""
    _is_begun: bool = attrs.field(default=False, init=False)
    """The first byte that is not white space was seen."""
    _is_past_bom: bool = attrs.field(default=False, init=False)
    _whole: bytearray = attrs.field(factory=bytearray, init=False)
    """A body that is no stream of events, or the first bytes of a BOM."""
    _tail: bytearray = attrs.field(factory=bytearray, init=False)
    """A line that has not ended; of a comment only its first piece."""
    _is_after_cr: bool = attrs.field(default=False, init=False)
    """The last read ended in CR: an LF that comes first now belongs to it."""
    _is_cr_counted: bool = attrs.field(default=False, init=False)
    """The line of that CR counts for its event."""
    _data: bytearray = attrs.field(factory=bytearray, init=False)
    """The lines of data, joined; lists of pieces would take many times their bytes."""
    _has_data: bool = attrs.field(default=False, init=False)
    _event: bytes = attrs.field(default=b"", init=False)
    _error: bytes = attrs.field(default=b"", init=False)
    _size: int = attrs.field(default=0, init=False)
    """Bytes of the lines of the event in the making."""
    _is_unframed: bool = attrs.field(default=False, init=False)
    """The lines of this event are JSON as they stand."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes of the body; give the events that they end."""
        frames: list[Frame] = []
        if not data:
            return frames
        if self._is_begun:
            self._read(data, frames)
        else:
            self._begin(data, frames)
        return frames

    def close(self) -> Frame | None:
        """Say that the body ended; give the event that had no end of its own. Whether it counts is the caller's to judge."""
        if not self._is_past_bom:
            self._is_past_bom = True
            self._read_lines(bytes(self._whole), [])
        line = bytes(self._tail)
        if line and not (line.startswith(b":") and not self._is_unframed):
            self._take_line(line)
        return self._dispatch()

    def whole(self) -> bytes:
        """Give the body as it came, from its first byte that is not white space, if it is a page or JSON."""
        return bytes(self._whole)

    @property
    def is_page_ready(self) -> bool:
        """Whether enough of a page has come."""
        return self.is_page and len(self._whole) >= PAGE_BYTES

    def _begin(self, data: bytes, frames: list[Frame]) -> None:
        """Look what the body is."""
        if not self._is_past_bom:
            data = bytes(self._whole) + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._whole = bytearray(data)
                return
            self._whole.clear()
            self._is_past_bom = True
            data = data.removeprefix(_BOM)
        body = data.lstrip(BLANKS)
        if not body:
            self._read_lines(data, frames)
            return
        self._is_begun = True
        self.is_json = body.startswith((b"{", b"["))
        self.is_page = body.startswith(b"<")
        self._read(body if self.is_json or self.is_page else data, frames)

    def _read(self, data: bytes, frames: list[Frame]) -> None:
        if self.is_json or self.is_page:
            self._read_whole(data)
            return
        if len(data) > self.limit:
            self._read_lines(data, frames)
            return
        begin = 0
        if self._tail or self._size or self._is_after_cr:
            begin = data.find(_BLANK_LINE) + 2
            if begin == 1:
                self._read_lines(data, frames)
                return
            self._read_lines(data[:begin], frames)
            if self.is_too_large:
                return
        end = data.rfind(_BLANK_LINE, begin) + 2
        if end > 1:
            self._read_events(data[begin:end], frames)
            begin = end
        if begin < len(data):
            self._read_lines(data[begin:], frames)

    def _read_whole(self, data: bytes) -> None:
        if self.is_page:
            data = data[: PAGE_BYTES - len(self._whole)]
        self._whole += data
        if self.is_json and len(self._whole) > self.limit:
            self.is_too_large = True

    def _read_events(self, data: bytes, frames: list[Frame]) -> None:
        """Read whole events: between two of them, and before and after all of them, nothing is open."""
        if b"\r" in data:
            self._read_lines(data, frames)
            return
        for event in data[:-2].split(_BLANK_LINE):
            if event.startswith(_PREFIX) and b"\n" not in event:
                frames.append(event[6:])
                continue
            name, _, rest = event.partition(b"\n")
            if rest.startswith(_PREFIX) and b"\n" not in rest and name.startswith(_NAME) and name != _ERROR_NAME:
                frames.append(rest[6:])
            elif event:
                self._read_lines(event + _BLANK_LINE, frames)

    def _read_lines(self, data: bytes, frames: list[Frame]) -> None:
        if self._is_after_cr and data.startswith(b"\n"):
            data = data[1:]
            if self._is_cr_counted and not self._count(1):
                return
        lines = data.splitlines(keepends=True)
        if lines and self._tail and lines[0].endswith((b"\n", b"\r")):
            self._tail += lines[0]
            lines[0] = bytes(self._tail)
            self._tail.clear()
        for line in lines:
            self._read_line(line, frames)
            if self.is_too_large:
                return
        self._is_after_cr = data.endswith(b"\r")

    def _read_line(self, line: bytes, frames: list[Frame]) -> None:
        """Read a line with its end, or the beginning of one."""
        text = line.rstrip(b"\r\n")
        if len(text) == len(line):
            self._keep_tail(line)
            return
        self._is_cr_counted = bool(text) and not self._is_comment(text)
        if self._is_cr_counted:
            if self._count(len(line)):
                self._take_line(text)
        elif not text:
            frame = self._dispatch()
            if frame is not None:
                frames.append(frame)

    def _keep_tail(self, piece: bytes) -> None:
        if self._tail and self._is_comment(self._tail):
            return
        self._tail += piece
        if not self._is_comment(self._tail):
            self.is_too_large = self._size + len(self._tail) > self.limit

    def _is_comment(self, line: bytes | bytearray) -> bool:
        return line.startswith(b":") and not self._is_unframed

    def _count(self, size: int) -> bool:
        """Add to the size of the event; give whether it may be that large."""
        self._size += size
        self.is_too_large = self._size > self.limit
        return not self.is_too_large

    def _take_line(self, line: bytes) -> None:
        """Take a line without its end, not empty and no comment."""
        if self._is_unframed or line.startswith((b"{", b"[")):
            self._is_unframed = True
            self._add(line)
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value
        elif name == b"error":
            self._error = value

    def _add(self, line: bytes) -> None:
        if self._has_data:
            self._data += b"\n"
        self._has_data = True
        self._data += line

    def _dispatch(self) -> Frame | None:
        data = bytes(self._data)
        event, error = self._event, self._error
        if self._size:
            self._data.clear()
            self._has_data = False
            self._event = self._error = b""
            self._size = 0
            self._is_unframed = False
        if event == b"error" or error:
            return NamedEvent(data, event, error)
        return data or None
