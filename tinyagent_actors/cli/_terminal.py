"""Terminal: lines and single keys from standard input, in the loop and not in a thread.

A thread that waits in `input()` cannot be cancelled, so standard input is read where it is readable. Between turns the
terminal edits lines by itself, as it does for any program. During a turn it is told to give keys as they are typed, so that Esc
is heard at once, and is set back whatever ends the turn. Where standard input is no terminal there are lines only.
"""

from __future__ import annotations

import os
import stat
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import attrs
import trio

_END: Final = b"\x04"
_CHUNK: Final = 4096
_LONGEST_LINE: Final = 1 << 20
"""Bytes; what is longer is cut into lines of that length."""
_LOCAL_FLAGS: Final = 3
_CONTROLS: Final = 6


@attrs.define(eq=False)
class Terminal:
    """Standard input, read by one task at a time."""

    fd: int = 0
    _unread: bytearray = attrs.field(factory=bytearray, init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    @property
    def is_interactive(self) -> bool:
        """Whether somebody types."""
        return os.isatty(self.fd)

    async def read_line(self) -> str | None:
        """Wait for a line, without its end; None at the end of the input. Cancelling it loses nothing."""
        await trio.lowlevel.checkpoint()
        while True:
            self._take_typed_end()
            end = self._unread.find(b"\n", 0, _LONGEST_LINE)
            if end >= 0 or len(self._unread) >= _LONGEST_LINE or (self._is_over and self._unread):
                cut = len(self._unread[:_LONGEST_LINE]) if end < 0 else end
                line = bytes(self._unread[:cut])
                del self._unread[: cut + (end >= 0)]
                return line.decode("utf-8", "replace").rstrip("\r")
            if self._is_over:
                return None
            await self._read_more()

    async def read_key(self) -> bytes:
        """Wait for a key inside `keys`; nothing at the end of the input. An arrow or the like is one key. Cancelling it loses nothing."""
        await trio.lowlevel.checkpoint()
        if not self._unread and not self._is_over:
            await self._read_more()
        if self._unread[:1] == b"\x1b":  # alone it is Esc; what follows at once belongs to it
            key = bytes(self._unread)
            self._unread.clear()
            return key
        key = bytes(self._unread[:1])
        del self._unread[:1]
        return key

    @contextmanager
    def keys(self) -> Iterator[None]:
        """Have keys as they are typed, and not shown, inside the block. Ctrl-C stays a signal."""
        if not self.is_interactive:
            yield
            return
        before = termios.tcgetattr(self.fd)
        during = termios.tcgetattr(self.fd)
        during[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        during[_CONTROLS][termios.VMIN], during[_CONTROLS][termios.VTIME] = 1, 0
        termios.tcsetattr(self.fd, termios.TCSADRAIN, during)
        try:
            yield
        finally:
            with suppress(termios.error):  # the terminal may have gone
                termios.tcsetattr(self.fd, termios.TCSADRAIN, before)

    def _take_typed_end(self) -> None:
        """Make an end of a Ctrl-D where a line would begin; elsewhere it means nothing.

        The terminal does so by itself, but not with one that was typed as the last key of a turn: that is a byte like others.
        """
        place = self._unread.find(_END) if self.is_interactive else -1
        if place < 0:
            return
        if self._unread[:place].endswith(b"\n") or place == 0:
            self._is_over = True
            del self._unread[place:]
        else:
            del self._unread[place : place + 1]

    async def _read_more(self) -> None:
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):  # a file is always readable, and epoll wants none
            await trio.lowlevel.wait_readable(self.fd)
        try:
            more = os.read(self.fd, _CHUNK)
        except OSError:  # the terminal has gone
            more = b""
        self._unread += more
        self._is_over = not more
