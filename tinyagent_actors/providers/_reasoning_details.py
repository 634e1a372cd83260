"""Reasoning details: objects that come in pieces, to be sent back whole."""

from __future__ import annotations

from typing import Final

import attrs

from tinyagent_actors.providers._json_profile import Json, canonical, counter, is_text

_JOINED: Final = ("text", "summary")
_SAID: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}
"""Which member of a detail is thinking, by its type."""


@attrs.define(eq=False)
class _GrowingText:
    """A text in pieces: joined when somebody has to see it whole, so that time stays linear."""

    _pieces: list[str]
    _size: int = attrs.field(init=False)
    _is_cumulative: bool = attrs.field(default=False, init=False)
    """A piece held all of the text before it."""

    def __attrs_post_init__(self) -> None:
        self._size = sum(map(len, self._pieces))

    def add(self, piece: str) -> str:
        """Put a piece to the end."""
        self._pieces.append(piece)
        self._size += len(piece)
        return piece

    def add_tail(self, piece: str) -> str:
        """Put that to the end which a piece, perhaps the whole text so far and more, says anew; give it."""
        if len(piece) < self._size or not self._size or not piece.startswith(self.text()):
            return self.add(piece)
        tail = piece[self._size :]
        if not tail:  # the whole text once more; or, where pieces are no wholes, a word said twice
            return "" if self._is_cumulative else self.add(piece)
        self._is_cumulative = True
        return self.add(tail)

    def text(self) -> str:
        """Give the whole."""
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


@attrs.define(eq=False)
class ReasoningDetails:
    """The merged list, and which of its entries has which index."""

    is_minimax: bool = attrs.field(default=False, kw_only=True)
    """A text may be all that was said so far, a type may be missing, and the place in the list stands for a missing index."""
    _entries: list[dict[str, Json]] = attrs.field(factory=list, init=False)
    _by_index: dict[int, dict[str, Json]] = attrs.field(factory=dict, init=False)
    _growing: dict[tuple[int, str], _GrowingText] = attrs.field(factory=dict, init=False)
    """The texts that go on, by the identity of their entry and their name."""

    def take(self, details: list[dict[str, Json]]) -> str:
        """Take the details of one chunk; give the thinking that they add."""
        return "".join(self._take_one(place, detail) for place, detail in enumerate(details))

    def _take_one(self, place: int, detail: dict[str, Json]) -> str:
        kind = detail.get("type")
        said = _SAID.get(kind) if is_text(kind) else "text" if kind is None and self.is_minimax else None
        index = counter(detail.get("index"))
        if index is None and self.is_minimax:
            index = place
        entry = None if index is None else self._by_index.get(index)
        if entry is not None:
            return self._merge(entry, detail, said)
        self._entries.append(detail)
        if index is not None:
            self._by_index[index] = detail
        told = None if said is None else detail.get(said)
        return told if is_text(told) else ""

    def _merge(self, entry: dict[str, Json], detail: dict[str, Json], said: str | None) -> str:
        """Put a detail to its entry; give what that adds to the member that is thinking."""
        thinking = ""
        for name, value in detail.items():
            known = entry.get(name)
            if name in _JOINED and is_text(value) and is_text(known):
                growing = self._growing.get((id(entry), name))
                if growing is None:
                    growing = self._growing[id(entry), name] = _GrowingText([known])
                added = growing.add_tail(value) if self.is_minimax else growing.add(value)
            elif value is not None:
                entry[name] = value
                self._growing.pop((id(entry), name), None)
                added = value if is_text(value) else ""
            else:
                continue
            if name == said:
                thinking = added
        return thinking

    def text(self) -> str | None:
        """Give the canonical JSON text of the list, if there is anything in it."""
        if not self._entries:
            return None
        for entry in self._entries:
            for name in _JOINED:
                growing = self._growing.get((id(entry), name))
                if growing is not None:
                    entry[name] = growing.text()
        return canonical(list(self._entries))
