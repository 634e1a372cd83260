"""How much a Python decoder does, as a number that neither a slow machine nor a busy one changes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from tests.providers._streams import decode

_CHEAP = frozenset({"startswith", "endswith", "clear"})
"""Methods that look at no more than their argument, however long what they belong to is."""


def work_of(decoder: Any, pieces: Iterable[bytes], cut: str | None = None) -> int:
    """Give calls, and bytes that calls look at: of a method of bytes or text its own, of a `join` all that is held."""
    work = 0

    def count(_frame: FrameType, event: str, function: Any) -> None:
        nonlocal work
        if event in ("call", "c_call"):
            work += 1
        if event == "c_call":
            owner = getattr(function, "__self__", None)
            if isinstance(owner, bytes | bytearray | str) and function.__name__ not in _CHEAP:
                work += len(owner)
                if function.__name__ == "join":
                    work += held_by(decoder)

    listed = list(pieces)
    sys.setprofile(count)
    try:
        decode(decoder, listed, cut)
    finally:
        sys.setprofile(None)
    return work


def held_by(decoder: Any) -> int:
    """Give how many bytes of the body a decoder keeps."""
    kept = (getattr(decoder._framer, name) for name in ("_tail", "_data", "_whole"))
    return sum(len(part) if isinstance(part, bytes | bytearray) else sum(map(len, part)) for part in kept)
