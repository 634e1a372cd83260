"""Assembling tool calls: to which call a piece belongs."""

from __future__ import annotations

from typing import Final

import attrs

from tinyagent_actors.providers._json_profile import Json, canonical, counter, is_text
from tinyagent_actors.providers._surrogates import Channel, settle

_KNOWN: Final = frozenset({"id", "index", "type", "function"})


@attrs.define(eq=False)
class CallInProgress:
    """What was told of one call so far."""

    ordinal: int
    id: str
    name: str = ""
    arguments: Channel = attrs.field(factory=Channel)
    extra: dict[str, Json] = attrs.field(factory=dict)
    """Members that we do not know."""

    def take_name(self, name: Json) -> None:
        """Take a name: the known one again is a repeat, another is its continuation."""
        if is_text(name) and settle(name) != self.name:
            self.name += settle(name)

    def take_extra(self, entry: dict[str, Json]) -> None:
        """Keep the members of an entry that we do not know."""
        for name, value in entry.items():
            if name not in _KNOWN and value is not None:
                self.extra[name] = value

    def payload(self) -> tuple[int, str, str, str | None]:
        """Give the payload of its `CALL`."""
        return self.ordinal, self.id, self.name, canonical(self.extra) if self.extra else None


@attrs.define(eq=False)
class ToolCallAssembly:
    """The calls of one message, in the order in which they were first seen."""

    calls: list[CallInProgress] = attrs.field(factory=list, init=False)
    _by_id: dict[str, CallInProgress] = attrs.field(factory=dict, init=False)
    _by_index: dict[int, CallInProgress] = attrs.field(factory=dict, init=False)
    """The call last opened at each index."""
    _touched: CallInProgress | None = attrs.field(default=None, init=False)

    def locate(self, entry: dict[str, Json]) -> CallInProgress | None:
        """Give the call that an entry of `tool_calls` belongs to; None: it must be opened."""
        identity = entry.get("id")
        index = counter(entry.get("index"))
        if is_text(identity) and identity:
            call = self._by_id.get(settle(identity))
        elif index is not None:
            call = self._by_index.get(index)
        else:
            call = self._touched
        self._touched = call
        return call

    def locate_index(self, index: int) -> CallInProgress | None:
        """Give the call last opened at an index, to which an entry without an id belongs."""
        call = self._by_index.get(index)
        if call is not None:
            self._touched = call
        return call

    def open(self, entry: dict[str, Json]) -> CallInProgress:
        """Open the call of an entry."""
        identity = entry.get("id")
        call = CallInProgress(len(self.calls), settle(identity) if is_text(identity) else "")
        self.calls.append(call)
        if call.id:
            self._by_id[call.id] = call
        index = counter(entry.get("index"))
        if index is not None:
            self._by_index[index] = call
        self._touched = call
        return call
