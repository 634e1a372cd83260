"""ProxyDecoder: the stream of a proxy server, from bytes to items.

The server speaks Server-Sent Events whose data is JSON with members in camel case, one event of a stream function each:
``start``, ``text_start``, ``text_delta``, ``text_end``, the same of ``thinking`` and ``toolcall``, and as the last one
``done`` or ``error``. A body that ends before either is `truncated`, whatever came before: the proxy's own connection to the model
may have broken.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from tinyagent_actors.providers._framing import BLANKS, Frame, Framer, NamedEvent
from tinyagent_actors.providers._items import (
    CALL,
    CALL_ARGS,
    CALL_OPEN,
    END,
    ERROR,
    FINISH,
    TEXT,
    THINKING,
    USAGE,
    Item,
    UsageCounters,
)
from tinyagent_actors.providers._json_profile import (
    Json,
    MalformedJsonError,
    amount,
    canonical,
    counter,
    is_text,
    json_string,
    parse_exact,
)
from tinyagent_actors.providers._surrogates import Channel

SHOWN_CHARACTERS: Final = 200
"""How much of what could not be read an error shows."""

_WORDS: Final = {"toolUse": "tool_use", "tooluse": "tool_use"}
"""Reasons in camel case, in the words of everybody else."""
_TRUNCATED: Final = "the proxy's stream ended before its message did"


@attrs.define(eq=False)
class _Block:
    """A block in the making."""

    kind: int
    ordinal: int = 0
    """Of a tool call."""
    id: str = ""
    name: str = ""
    channel: Channel = attrs.field(factory=Channel, init=False)


@attrs.define(eq=False)
class ProxyDecoder:
    """Bytes in, items out. No I/O, no clock."""

    event_limit: int = attrs.field(default=64 * 1024 * 1024, kw_only=True)
    """Bytes of one event."""
    done: bool = attrs.field(default=False, init=False)
    """`ERROR` or `END` was given; nothing follows."""
    _framer: Framer = attrs.field(init=False)
    _items: list[Item] = attrs.field(factory=list, init=False)
    _blocks: dict[int, _Block] = attrs.field(factory=dict, init=False)
    """By content index."""
    _calls: list[_Block] = attrs.field(factory=list, init=False)
    _usage: UsageCounters | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._framer = Framer(self.event_limit)

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes of the body; give the items that they make."""
        if self.done:
            return []
        for frame in self._framer.feed(data):
            self._take_frame(frame)
            if self.done:
                return self._taken()
        if self._framer.is_too_large:
            self._fail("event_too_large", str(self.event_limit))
        elif self._framer.is_page_ready:
            self._fail("protocol_error", _shown(self._framer.whole()))
        return self._taken()

    def end(self, cut: str | None) -> list[Item]:
        """Say that the body ended, by itself or because of `cut`; give the last items."""
        if self.done:
            return []
        if self._framer.is_page:
            self._fail("protocol_error", _shown(self._framer.whole()))
        elif self._framer.is_json:
            self._take_body(self._framer.whole(), cut)
        else:
            frame = self._framer.close()
            if frame is not None and _parse(_data_of(frame)) is not None:
                self._take_frame(frame)
        if not self.done:
            self._fail("truncated", cut or _TRUNCATED)
        return self._taken()

    def _taken(self) -> list[Item]:
        items, self._items = self._items, []
        return items

    def _take_body(self, body: bytes, cut: str | None) -> None:
        """Take a body that is one JSON document: no stream, so at best an error."""
        value = _parse(body)
        if value is None:
            self._fail("truncated" if cut else "malformed_event", cut or _shown(body))
        else:
            self._fail("in_band", canonical(value))

    def _take_frame(self, frame: Frame) -> None:
        data = _data_of(frame)
        if not data or data == b"[DONE]":
            return
        event = _parse(data)
        if event is None:
            self._fail("malformed_event", _shown(data))
        elif isinstance(event, dict):
            self._take(_text(event, "type"), event)

    def _take(self, kind: str, event: dict[str, Json]) -> None:
        """Take an event; one of an unknown kind is passed over."""
        match kind:
            case "text_start" | "thinking_start":
                self._block(event, TEXT if kind == "text_start" else THINKING)
            case "text_delta" | "thinking_delta":
                block = self._block(event, TEXT if kind == "text_delta" else THINKING)
                self._give(block, block.channel.push(_text(event, "delta")))
            case "text_end" | "thinking_end" | "toolcall_end" | "tool_call_end":
                block = self._blocks.pop(_index(event), _Block(TEXT))
                self._give(block, block.channel.release())
            case "toolcall_start" | "tool_call_start":
                block = self._block(event, CALL_OPEN)
                block.id = _text(event, "id") or block.id
                block.name = _text(event, "toolName") or block.name
            case "toolcall_delta" | "tool_call_delta":
                block = self._block(event, CALL_OPEN)
                self._give(block, block.channel.push(_text(event, "delta")))
            case "done":
                self._note_usage(event)
                reason = _text(event, "reason")
                self._close((END, None), _WORDS.get(reason, reason))
            case "error":
                self._note_usage(event)
                self._fail("in_band", _error_of(event))

    def _block(self, event: dict[str, Json], kind: int) -> _Block:
        """Give the block that an event belongs to; one of another kind at its index is over."""
        index = _index(event)
        block = self._blocks.get(index)
        if block is None or block.kind != kind:
            if block is not None:
                self._give(block, block.channel.release())
            block = self._blocks[index] = _Block(kind)
            if kind == CALL_OPEN:
                block.ordinal = len(self._calls)
                self._calls.append(block)
                self._items.append((CALL_OPEN, block.ordinal))
        return block

    def _give(self, block: _Block, text: str) -> None:
        if text:
            self._items.append((CALL_ARGS, (block.ordinal, text)) if block.kind == CALL_OPEN else (block.kind, text))

    def _note_usage(self, event: dict[str, Json]) -> None:
        usage = event.get("usage")
        if not isinstance(usage, dict):
            return
        told = [counter(usage.get(name)) for name in ("input", "output", "cacheRead", "cacheWrite")]
        if not any(told):
            return
        fresh, output, read, written = told
        cost = usage.get("cost")
        billed = amount(cost.get("total")) if isinstance(cost, dict) else None
        # `input` leaves cached tokens out; a prompt has them.
        prompt = (fresh or 0) + (read or 0) + (written or 0)
        self._usage = (prompt, output, None, read, written, None, billed or None)

    def _fail(self, code: str, text: str) -> None:
        self._close((ERROR, (code, text)))

    def _close(self, last: Item, reason: str = "") -> None:
        for block in self._blocks.values():
            self._give(block, block.channel.release())
        self._items += [(CALL, (call.ordinal, call.id, call.name, None)) for call in self._calls]
        if self._usage is not None:
            self._items.append((USAGE, self._usage))
        if reason:
            self._items.append((FINISH, reason))
        self._items.append(last)
        self.done = True


def _data_of(frame: Frame) -> bytes:
    return (frame.data if isinstance(frame, NamedEvent) else frame).strip(BLANKS)


def _parse(data: bytes) -> Json:
    """Give the value; None for what is no JSON."""
    try:
        return parse_exact(data)
    except MalformedJsonError:
        return None


def _index(event: dict[str, Json]) -> int:
    return counter(event.get("contentIndex")) or 0


def _text(members: dict[str, Json], name: str) -> str:
    value: Any = members.get(name)
    return str(value) if is_text(value) else ""


def _error_of(event: dict[str, Json]) -> str:
    """Give the canonical JSON of what went wrong, in the words of an error inside of a stream."""
    said = _text(event, "errorMessage") or f"the proxy broke off: {_text(event, 'reason') or 'no reason given'}"
    return f'{{"message":{json_string(said)}}}'


def _shown(data: bytes) -> str:
    return data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")[:SHOWN_CHARACTERS]
