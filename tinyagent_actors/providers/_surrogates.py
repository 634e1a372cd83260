"""Surrogates: halves of a character that JSON can hold and UTF-8 cannot."""

from __future__ import annotations

import re
from typing import Final

import attrs

REPLACEMENT: Final = "\ufffd"

_SURROGATES: Final = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff]")


def settle(text: str) -> str:
    """Give `text` with halves that stand side by side joined, and every lone one replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(_settled, text)
    return text


def _settled(match: re.Match[str]) -> str:
    high, low = match.groups()
    return REPLACEMENT if low is None else chr(0x10000 + ((ord(high) & 0x3FF) << 10) + (ord(low) & 0x3FF))


@attrs.define(eq=False)
class Channel:
    """Pieces of one text, of which a last high half waits for its other half in the next piece."""

    held: str = attrs.field(default="", init=False)
    """A high half, or nothing."""

    def push(self, piece: str) -> str:
        """Take a piece; give what of it, and of what was held, can go on."""
        text = self.held + piece
        if "\ud800" <= text[-1:] <= "\udbff":
            self.held = text[-1]
            text = text[:-1]
        else:
            self.held = ""
        return settle(text)

    def release(self) -> str:
        """Give what is held up: U+FFFD for a half, else nothing."""
        if not self.held:
            return ""
        self.held = ""
        return REPLACEMENT
