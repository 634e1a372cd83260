"""Assembling tool calls: to which call a piece belongs."""

from __future__ import annotations

import re
from typing import Final

import attrs

from tinyagent_actors.providers._json_profile import Json, canonical, counter, is_text
from tinyagent_actors.providers._surrogates import Channel, settle

_KNOWN: Final = frozenset({"id", "index", "type", "function"})
_MARKS: Final = re.compile(r'\\.|["{}]', re.DOTALL)


@attrs.define(eq=False)
class ObjectScan:
    """Whether pieces of a text amount to an object. They are looked at only when somebody asks, and each once."""

    _unread: list[str] = attrs.field(factory=list, init=False)
    _depth: int = attrs.field(default=0, init=False)
    _is_in_string: bool = attrs.field(default=False, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)

    def push(self, piece: str) -> None:
        """Take a piece."""
        self._unread.append(piece)

    def is_whole(self) -> bool:
        """Whether every brace that was opened is closed, and there was one."""
        text = "".join(self._unread)
        is_cut = (len(text) - len(text.rstrip("\\"))) % 2
        self._unread = ["\\"] if is_cut else []
        for mark in _MARKS.findall(text[: len(text) - is_cut]):
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif mark in "{}" and not self._is_in_string:
                self._depth += 1 if mark == "{" else -1
                self._has_begun = True
        return self._has_begun and self._depth == 0 and not self._is_in_string


@attrs.define(eq=False)
class CallInProgress:
    """What was told of one call so far."""

    ordinal: int
    id: str
    index: int | None
    """Where it was opened."""
    name: str = ""
    arguments: Channel = attrs.field(factory=Channel)
    scan: ObjectScan = attrs.field(factory=ObjectScan)
    """What came of the arguments."""
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
            if call is not None and _is_another(call, index, entry):
                call = None
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
        index = counter(entry.get("index"))
        call = CallInProgress(len(self.calls), settle(identity) if is_text(identity) else "", index)
        self.calls.append(call)
        if call.id:
            self._by_id[call.id] = call
        if index is not None:
            self._by_index[index] = call
        self._touched = call
        return call


def _is_another(call: CallInProgress, index: int | None, entry: dict[str, Json]) -> bool:
    """Whether an entry with a call's id is a call of its own: one that is named at another index when that call is whole."""
    if index is None or call.index is None or index == call.index:
        return False
    function = entry.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return is_text(name) and bool(name) and call.scan.is_whole()
