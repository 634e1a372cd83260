"""Inflating compressed bodies in bounded steps: a small body may hold a huge one."""

from __future__ import annotations

import zlib
from typing import Final

import attrs

STEP: Final = 64 * 1024
"""Bytes that one step gives at most."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 47
_RAW_DEFLATE: Final = -15


class BrokenBodyError(Exception):
    """The compressed body is damaged. Stays inside the engine."""


@attrs.define(eq=False)
class Inflater:
    """Turns compressed pieces into plain ones: gzip (of several members too), zlib, or deflate without a header."""

    _machine: zlib._Decompress | None = attrs.field(default=None, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)
    _is_full: bool = attrs.field(default=False, init=False)
    """The last step gave all it may, so zlib may hold more."""

    @property
    def has_more(self) -> bool:
        """Whether another step may give bytes without being fed."""
        return self._is_full

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._rest += piece

    def step(self) -> bytes:
        """Give the next bytes, `STEP` at most; none if it must be fed first.

        Raises:
            BrokenBodyError: What came is not what the header said.
        """
        pieces: list[bytes] = []
        room = STEP
        try:
            while room and self._is_ready():
                piece = self._machine.decompress(self._rest, room)  # type: ignore[union-attr]  # made by _is_ready
                self._rest = self._machine.unused_data or self._machine.unconsumed_tail  # type: ignore[union-attr]
                pieces.append(piece)
                room -= len(piece)
                if not piece and not self._machine.eof:  # type: ignore[union-attr]
                    break
        except zlib.error:
            raise BrokenBodyError("the compressed body is damaged") from None
        self._is_full = not room
        return b"".join(pieces)

    def close(self) -> None:
        """Say that the body ended.

        Raises:
            BrokenBodyError: It ended in the middle.
        """
        if self._machine is None and not self._rest:
            return
        if self._machine is None or not self._machine.eof:
            raise BrokenBodyError("the compressed body ended in the middle")

    def _is_ready(self) -> bool:
        """Whether there is a machine with something to do; two bytes tell which one it must be."""
        if self._machine is not None and not self._machine.eof:
            return True
        if len(self._rest) < 2:  # noqa: PLR2004
            return False
        if self._machine is not None and not self._rest.startswith(_GZIP_MAGIC):
            self._rest = b""  # Padding behind the last member.
            return False
        self._machine = zlib.decompressobj(_GZIP_OR_ZLIB if _has_header(self._rest) else _RAW_DEFLATE)
        return True


def _has_header(start: bytes) -> bool:
    return start.startswith(_GZIP_MAGIC) or (start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0)  # noqa: PLR2004
