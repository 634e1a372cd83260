"""Think tags: thinking that stands in the text, between `<think>` and `</think>`."""

from __future__ import annotations

import re
from typing import Final

import attrs

from tinyagent_actors.providers._items import TEXT, THINKING, Item

_CLOSE: Final = "</think>"
_ANY: Final = re.compile("</?think>")
_PREFIXES: Final = {
    False: tuple(tag[:size] for size in range(7, 0, -1) for tag in (_CLOSE, "<think>") if size < len(tag)),
    True: tuple(_CLOSE[:size] for size in range(7, 0, -1)),
}
"""What may be the beginning of a tag that matters, outside and inside; the longest first."""


@attrs.define(eq=False)
class ThinkTags:
    """Text in, text and thinking out. What may be half a tag is held back."""

    _is_inside: bool = attrs.field(default=False, init=False)
    _held: str = attrs.field(default="", init=False)

    def push(self, piece: str, items: list[Item]) -> None:
        """Take a piece of text; add what it gives."""
        text = self._held + piece
        begin = 0
        while True:
            tag_begin, tag_end = self._find(text, begin)
            if tag_begin < 0:
                break
            self._give(text[begin:tag_begin], items)
            self._is_inside = text[tag_begin + 1] != "/"
            begin = tag_end
        rest = text[begin:]
        self._held = next((prefix for prefix in _PREFIXES[self._is_inside] if rest.endswith(prefix)), "")
        self._give(rest[: len(rest) - len(self._held)], items)

    def release(self, items: list[Item]) -> None:
        """Add what is held back, as what it stands in."""
        held, self._held = self._held, ""
        self._give(held, items)

    def _find(self, text: str, begin: int) -> tuple[int, int]:
        """Give where the next tag that matters begins and ends, or -1."""
        if self._is_inside:
            found = text.find(_CLOSE, begin)
            return found, found + len(_CLOSE)
        match = _ANY.search(text, begin)
        return match.span() if match else (-1, -1)

    def _give(self, text: str, items: list[Item]) -> None:
        if text:
            items.append((THINKING if self._is_inside else TEXT, text))
