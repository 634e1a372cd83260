"""Reasoning details: objects that come in pieces, to be sent back whole."""

from __future__ import annotations

from typing import Final

import attrs

from tinyagent_actors.providers._json_profile import Json, canonical, counter, is_text

_JOINED: Final = ("text", "summary")


@attrs.define(eq=False)
class ReasoningDetails:
    """The merged list, and which of its entries has which index."""

    _entries: list[dict[str, Json]] = attrs.field(factory=list, init=False)
    _by_index: dict[int, dict[str, Json]] = attrs.field(factory=dict, init=False)
    _pieces: dict[tuple[int, str], list[str]] = attrs.field(factory=dict, init=False)
    """The pieces of a text, by the identity of its entry and its name: joined once, at the end."""

    def take(self, details: list[Json]) -> None:
        """Take the details of one chunk."""
        for detail in details:
            if isinstance(detail, dict):
                self._take_one(detail)

    def _take_one(self, detail: dict[str, Json]) -> None:
        index = counter(detail.get("index"))
        entry = None if index is None else self._by_index.get(index)
        if entry is not None:
            self._merge(entry, detail)
            return
        self._entries.append(detail)
        if index is not None:
            self._by_index[index] = detail

    def _merge(self, entry: dict[str, Json], detail: dict[str, Json]) -> None:
        for name, value in detail.items():
            known = entry.get(name)
            if name in _JOINED and is_text(value) and is_text(known):
                self._pieces.setdefault((id(entry), name), [known]).append(value)
            elif value is not None:
                entry[name] = value
                self._pieces.pop((id(entry), name), None)

    def text(self) -> str | None:
        """Give the canonical JSON text of the list, if there is anything in it."""
        if not self._entries:
            return None
        for entry in self._entries:
            for name in _JOINED:
                if (id(entry), name) in self._pieces:
                    entry[name] = "".join(self._pieces[id(entry), name])
        return canonical(list(self._entries))
