"""AnthropicDecoder: the stream of `anthropic-messages`, from bytes to items.

A message is a list of content blocks, each with a start, deltas and a stop, told apart by their index. Endpoints that
imitate the dialect leave out starts and stops, or give every block the same index; so a delta that has no block it fits
opens one, and what is open at the end is closed then.

As with the other decoder there are two ways through it: a delta that continues an open block is taken at a glance, on
the fast parser; any other event goes the long way, on the exact one.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from tinyagent_actors.providers._anthropic_blocks import STREAMED, Block, StreamedBlock, WholeBlock
from tinyagent_actors.providers._anthropic_usage import read_usage, with_cached
from tinyagent_actors.providers._event_decoder import EventDecoder, in_band_error
from tinyagent_actors.providers._items import BLOCK_PIECE, FINISH, META, USAGE
from tinyagent_actors.providers._json_profile import MAX_DEPTH, NESTED_BYTES, Json, canonical, counter, is_text
from tinyagent_actors.providers._surrogates import settle
from tinyagent_actors.providers._usage_counters import UsageTally

_META_MEMBERS: Final = {"id": "response_id", "model": "model"}
_DELTAS: Final = {
    "text_delta": ("text", "text"),
    "citations_delta": ("text", "citation"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
"""Types of deltas -> the type of block that they belong to, and the member that counts."""
_PIECES: Final = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "tool_use": ("input_json_delta", "partial_json")}  # fmt: skip


@attrs.define(eq=False)
class AnthropicDecoder(EventDecoder):
    """Bytes in, items out. No I/O, no clock. Tags in the text are never thinking here: the dialect has blocks for it."""

    _open: dict[int | None, Block] = attrs.field(factory=dict, init=False)
    """The block that is open at each index; None is the index of events that have none."""
    _opened: int = attrs.field(default=0, init=False)
    """How many blocks were opened so far."""
    _usage: UsageTally = attrs.field(factory=lambda: UsageTally(read_usage), init=False)
    _untold: dict[str, str] = attrs.field(factory=_META_MEMBERS.copy, init=False)
    """The members that make `META` and have not come yet."""

    def _take_quickly(self, data: bytes) -> bool:
        if len(data) >= NESTED_BYTES and data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            return False
        try:
            event = orjson.loads(data)
        except ValueError:
            return False
        if type(event) is not dict or event.get("type") != "content_block_delta":
            return False
        if event.get("error") is not None or event.get("object") == "error" or event.get("base_resp") is not None:
            return False
        index, delta = event.get("index"), event.get("delta")
        if type(index) is not int or type(delta) is not dict:
            return False
        block = self._open.get(index)
        return type(block) is StreamedBlock and self._take_quick_piece(block, delta)

    def _take_quick_piece(self, block: StreamedBlock, delta: dict[str, Any]) -> bool:
        kind, member = _PIECES[block.type]
        piece = delta.get(member)
        if delta.get("type") != kind or type(piece) is not str or block.channel.held:
            return False
        if piece:
            block.has_pieces = True
            self._items.append((BLOCK_PIECE, (block.ordinal, piece)))
        return True

    def _take_object(self, event: dict[str, Json]) -> None:
        error = in_band_error(event, [])
        if error is not None:
            self._fail("in_band", canonical(error))
            return
        match event.get("type"):
            case "content_block_delta":
                self._take_delta(counter(event.get("index")), event.get("delta"))
            case "content_block_start":
                self._take_start(counter(event.get("index")), event.get("content_block"))
            case "content_block_stop":
                self._close_block(counter(event.get("index")))
            case "message_start":
                self._take_head(event.get("message"))
            case "message_delta":
                self._take_usage(event)
                self._take_finish(event.get("delta"))
            case "message":
                self._take_message(event)
            case "message_stop":
                self._finish_properly()

    def _take_head(self, message: Json) -> None:
        """Take what stands around the content: who answers, and its usage."""
        if not isinstance(message, dict):
            return
        for member in tuple(self._untold):
            told = message.get(member)
            if is_text(told) and told:
                self._items.append((META, (self._untold.pop(member), settle(told))))
        self._take_usage(message)

    def _take_usage(self, holder: dict[str, Json]) -> None:
        usage = holder.get("usage")
        if isinstance(usage, dict):
            self._usage.take(usage)

    def _take_finish(self, holder: Json) -> None:
        reason = holder.get("stop_reason") if isinstance(holder, dict) else None
        if is_text(reason) and reason and settle(reason) != self._finish:
            self._finish = settle(reason)
            self._items.append((FINISH, self._finish))

    def _take_message(self, message: dict[str, Json]) -> None:
        """Take a message that comes in one; its content counts only if none came before."""
        self._take_head(message)
        content = message.get("content")
        if not self._opened and isinstance(content, list):
            for block in content:
                self._take_start(None, block)
                self._close_block(None)
        self._take_finish(message)

    def _take_start(self, index: int | None, start: Json) -> None:
        if not isinstance(start, dict):
            return
        self._close_block(index)
        kind = start.get("type")
        if is_text(kind) and kind in STREAMED:
            self._begin(index, kind, start)
        else:
            self._open[index] = WholeBlock.begin(self._opened, start, self._items)
            self._opened += 1

    def _begin(self, index: int | None, kind: str, start: dict[str, Json]) -> StreamedBlock:
        block = self._open[index] = StreamedBlock.begin(self._opened, kind, start, self._items)
        self._opened += 1
        return block

    def _take_delta(self, index: int | None, delta: Json) -> None:
        if not isinstance(delta, dict):
            return
        block = self._open.get(index)
        if isinstance(block, WholeBlock):
            block.take(delta)
            return
        kind = delta.get("type")
        fitting, member = _DELTAS.get(kind, ("", "")) if is_text(kind) else ("", "")
        value = delta.get(member)
        if not fitting or not (isinstance(value, dict) if member == "citation" else is_text(value) and value):
            return
        if block is None or block.type != fitting:
            self._close_block(index)
            block = self._begin(index, fitting, {})
        if member == "citation":
            block.cite(value)
        elif member == "signature":
            block.members["signature"] = value
        else:
            block.push(str(value), self._items)

    def _close_block(self, index: int | None) -> None:
        block = self._open.pop(index, None)
        if block is not None:
            block.close(self._items)

    def _let_go(self) -> None:
        for block in sorted(self._open.values(), key=lambda block: block.ordinal):
            block.close(self._items)
        self._open.clear()
        counters = self._usage.counters()
        if counters is not None:
            self._items.append((USAGE, with_cached(counters)))
