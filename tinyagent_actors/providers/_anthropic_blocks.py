"""Content blocks of `anthropic-messages` in the making: what has come of one between its start and its stop."""

from __future__ import annotations

from typing import Final

import attrs

from tinyagent_actors.providers._items import BLOCK, BLOCK_OPEN, BLOCK_PIECE, Item
from tinyagent_actors.providers._json_profile import Json, MalformedJsonError, canonical, is_text, parse_exact
from tinyagent_actors.providers._surrogates import Channel, settle

STREAMED: Final = {"text": "text", "thinking": "thinking", "tool_use": "input"}
"""The types whose content is given out in pieces -> the member of the block that holds it."""


@attrs.define(eq=False)
class StreamedBlock:
    """A text, thinking or a tool call: its pieces are items as they come."""

    ordinal: int
    type: str
    members: dict[str, Json] = attrs.field(factory=dict)
    """All but its type and its content; what is null is not told."""
    channel: Channel = attrs.field(factory=Channel, init=False)
    has_pieces: bool = attrs.field(default=False, init=False)
    _input: Json = attrs.field(default=None, init=False)
    """The input in the start of a call, which counts only if no piece comes."""

    @classmethod
    def begin(cls, ordinal: int, kind: str, start: dict[str, Json], items: list[Item]) -> StreamedBlock:
        """Open a block; what its start holds of the content counts."""
        known = ("type", STREAMED[kind])
        members: dict[str, Json] = {
            name: value for name, value in start.items() if name not in known and value is not None
        }
        block = cls(ordinal, kind, members)
        items.append((BLOCK_OPEN, (ordinal, kind)))
        content = start.get(STREAMED[kind])
        if kind == "tool_use":
            block._input = content
        elif is_text(content) and content:
            block.push(content, items)
        return block

    def push(self, piece: str, items: list[Item]) -> None:
        """Take a piece that is not empty."""
        self.has_pieces = True
        settled = self.channel.push(piece)
        if settled:
            items.append((BLOCK_PIECE, (self.ordinal, settled)))

    def cite(self, citation: Json) -> None:
        """Take one more of its citations."""
        known = self.members.get("citations")
        if not isinstance(known, list):
            known = self.members["citations"] = []
        known.append(citation)

    def close(self, items: list[Item]) -> None:
        """Say what is told at its end."""
        rest = self.channel.release()
        if not self.has_pieces and self._input not in (None, "", {}):
            rest = canonical(self._input)
        if rest:
            items.append((BLOCK_PIECE, (self.ordinal, rest)))
        items.append((BLOCK, (self.ordinal, canonical(self.members))))


@attrs.define(eq=False)
class WholeBlock:
    """A block of any other type: given out in one, when it is complete."""

    ordinal: int
    members: dict[str, Json]
    _pieces: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """The pieces of members that are texts: joined once, at the end."""
    _input: list[str] = attrs.field(factory=list, init=False)
    """The pieces of the JSON text of its input."""

    @classmethod
    def begin(cls, ordinal: int, start: dict[str, Json], items: list[Item]) -> WholeBlock:
        """Open a block."""
        items.append((BLOCK_OPEN, (ordinal, "")))
        return cls(ordinal, start)

    def take(self, delta: dict[str, Json]) -> None:
        """Take a delta of any type: texts join, anything else that is not null replaces."""
        if delta.get("type") == "input_json_delta":
            piece = delta.get("partial_json")
            if is_text(piece):
                self._input.append(piece)
            return
        for name, value in delta.items():
            known = self.members.get(name)
            if name == "type" or value is None:
                continue
            if is_text(value) and is_text(known):
                self._pieces.setdefault(name, [known]).append(value)
            else:
                self.members[name] = value
                self._pieces.pop(name, None)

    def close(self, items: list[Item]) -> None:
        """Give the block; an input that is no JSON stands in it as a text."""
        for name, pieces in self._pieces.items():
            self.members[name] = "".join(pieces)
        text = settle("".join(self._input))
        if text.strip(" \t\r\n"):
            try:
                self.members["input"] = parse_exact(text)
            except MalformedJsonError:
                self.members["input"] = text
        items.append((BLOCK, (self.ordinal, canonical(self.members))))


Block = StreamedBlock | WholeBlock
