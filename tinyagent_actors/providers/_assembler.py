"""The assembler: items in, typed stream events and the final message out. Pure, and shared by the engines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Final

import attrs
import orjson

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.events import (
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    TextEnd,
    TextStart,
    ThinkingDelta,
    ThinkingEnd,
    ThinkingStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    Cost,
    InvalidToolCall,
    Model,
    StopReason,
    TextContent,
    ThinkingContent,
    ToolCall,
    Usage,
    now_ms,
)
from tinyagent_actors.providers._block_content import text_content, thinking_content, whole_content
from tinyagent_actors.providers._classify import classify_in_band, classify_response, error_of_finish
from tinyagent_actors.providers._cost import cost_of
from tinyagent_actors.providers._error_tables import stop_reason_of
from tinyagent_actors.providers._items import (
    BLOCK,
    BLOCK_OPEN,
    BLOCK_PIECE,
    BODY,
    CALL,
    CALL_ARGS,
    CALL_OPEN,
    DETAILS,
    END,
    ERROR,
    FINISH,
    HEAD,
    META,
    REFUSAL,
    TEXT,
    THINKING,
    USAGE,
    Item,
    UsageCounters,
)
from tinyagent_actors.providers._json_profile import MalformedJsonError, NumberText, parse_exact
from tinyagent_actors.providers._price import Price
from tinyagent_actors.providers._vendor_codes import vendor_of

_RETRYABLE: Final = frozenset({"truncated", "timeout", "connection_error", "empty_response"})
_BLOCK_KINDS: Final = {"text": TEXT, "thinking": THINKING, "tool_use": CALL_OPEN, "": BLOCK}
"""What a block is here, by the type in its `BLOCK_OPEN`."""
_SEEN: Final = 40
"""Characters of a raw argument text that a reason quotes."""


def _numbered_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"call_{next(numbers)}"


@attrs.define(eq=False)
class _Block:
    """A block in the making."""

    index: int
    kind: int
    """`TEXT`, `THINKING`, `CALL_OPEN`, or `BLOCK` for one that comes whole."""
    pieces: list[str] = attrs.field(factory=list)


@attrs.define(eq=False)
class Assembler:
    """Builds one message. `feed` gives the events that items amount to; the last is `StreamEnd`."""

    _model: Model
    _make_id: Callable[[], str] = attrs.field(factory=_numbered_ids)
    """Gives ids for calls that have none, or one that another call of the message has."""
    _price: Price | None = None
    """What the model costs; a bill in the answer wins."""
    _rest_is_reasoning: bool = False
    """Whether what a total has beyond prompt and completion is reasoning that was not told of."""
    _blocks: list[_Block] = attrs.field(factory=list, init=False)
    _content: list[Content | None] = attrs.field(factory=list, init=False)
    _calls: dict[int, _Block] = attrs.field(factory=dict, init=False)
    _finals: dict[int, tuple[str, str, dict[str, Any] | None]] = attrs.field(factory=dict, init=False)
    """What is told of each call when it is complete: id, name, other members."""
    _by_ordinal: dict[int, _Block] = attrs.field(factory=dict, init=False)
    """Blocks of a dialect that has blocks."""
    _ids: set[str] = attrs.field(factory=set, init=False)
    _current: _Block | None = attrs.field(default=None, init=False)
    """The text or thinking that goes on."""
    _is_started: bool = attrs.field(default=False, init=False)
    _is_refusal: bool = attrs.field(default=False, init=False)
    _finish: str | None = attrs.field(default=None, init=False)
    _usage: Usage | None = attrs.field(default=None, init=False)
    _details: str | None = attrs.field(default=None, init=False)
    _answered_by: str | None = attrs.field(default=None, init=False)
    _response_id: str | None = attrs.field(default=None, init=False)
    _status: int = attrs.field(default=200, init=False)
    _headers: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    _body: bytearray = attrs.field(factory=bytearray, init=False)
    _timestamp: int = attrs.field(factory=now_ms, init=False)

    def feed(self, items: list[Item]) -> list[StreamEvent]:
        """Give the events that these items amount to."""
        events: list[StreamEvent] = []
        for kind, payload in items:
            if kind in (TEXT, THINKING):
                self._piece(kind, payload, events)
            elif kind in (CALL_ARGS, BLOCK_PIECE):
                block = (self._calls if kind == CALL_ARGS else self._by_ordinal)[payload[0]]
                block.pieces.append(payload[1])
                events.append(_DELTAS[block.kind](block.index, payload[1]))
            elif kind == CALL_OPEN:
                self._calls[payload] = self._open(CALL_OPEN, events)
                events.append(ToolCallStart(self._calls[payload].index))
            elif kind == BLOCK_OPEN:
                self._open_block(payload[0], payload[1], events)
            elif kind == BLOCK:
                self._close_block(payload[0], orjson.loads(payload[1]), events)
            elif kind in (END, ERROR):
                self._finish_up(None if kind == END else payload, events)
            else:
                self._note(kind, payload)
        return events

    def partial(self) -> AssistantMessage:
        """Give the message as far as it has come, marked `aborted`; calls that are not complete are left out."""
        content = [
            made if made is not None else self._close_text(block)
            for block, made in zip(self._blocks, self._content, strict=True)
            if made is not None or block.kind in (TEXT, THINKING)
        ]
        return self._message(content, "aborted", None)

    def _note(self, kind: int, payload: Any) -> None:
        """Keep what only counts at the end."""
        if kind == FINISH:
            self._finish = payload
        elif kind == CALL:
            ordinal, call_id, name, extra = payload
            self._finals[ordinal] = (call_id, name, None if extra is None else orjson.loads(extra))
        elif kind == META:
            if payload[0] == "response_id":
                self._response_id = payload[1]
            else:
                self._answered_by = payload[1]
        elif kind == USAGE:
            self._usage = _usage(payload, rest_is_reasoning=self._rest_is_reasoning)
        elif kind == DETAILS:
            self._details = payload
        elif kind == REFUSAL:
            self._is_refusal = True
        elif kind == HEAD:
            self._status, self._headers = payload
        elif kind == BODY:
            self._body += payload

    # Blocks.

    def _open(self, kind: int, events: list[StreamEvent]) -> _Block:
        if not self._is_started and kind != BLOCK:
            self._is_started = True
            events.append(StreamStart())
        self._close_current(events)
        block = _Block(len(self._blocks), kind)
        self._blocks.append(block)
        self._content.append(None)
        return block

    def _piece(self, kind: int, text: str, events: list[StreamEvent]) -> None:
        block = self._current
        if block is None or block.kind != kind:
            block = self._open(kind, events)
            self._current = block
            events.append(_STARTS[kind](block.index))
        block.pieces.append(text)
        events.append(_DELTAS[kind](block.index, text))

    def _close_current(self, events: list[StreamEvent]) -> None:
        block, self._current = self._current, None
        if block is not None:
            self._put(block, self._close_text(block), events)

    def _put(self, block: _Block, made: TextContent | ThinkingContent, events: list[StreamEvent]) -> None:
        self._content[block.index] = made
        if isinstance(made, TextContent):
            events.append(TextEnd(block.index, made))
        else:
            events.append(ThinkingEnd(block.index, made))

    def _close_text(self, block: _Block) -> TextContent | ThinkingContent:
        text = "".join(block.pieces)
        return TextContent(text) if block.kind == TEXT else ThinkingContent(text)

    def _open_block(self, ordinal: int, kind: str, events: list[StreamEvent]) -> None:
        block = self._by_ordinal[ordinal] = self._open(_BLOCK_KINDS[kind], events)
        if block.kind == CALL_OPEN:
            self._calls[ordinal] = block
        if block.kind != BLOCK:
            events.append(_STARTS[block.kind](block.index))

    def _close_block(self, ordinal: int, members: dict[str, Any], events: list[StreamEvent]) -> None:
        block = self._by_ordinal[ordinal]
        if block.kind == TEXT:
            self._put(block, text_content("".join(block.pieces), members), events)
        elif block.kind == THINKING:
            self._put(block, thinking_content("".join(block.pieces), members), events)
        elif block.kind == CALL_OPEN:
            call_id, name = members.pop("id", ""), members.pop("name", "")
            self._finals[ordinal] = (_text(call_id), _text(name), members or None)
        else:
            self._content[block.index] = whole_content(members)

    # The end.

    def _finish_up(self, error: tuple[str, str] | None, events: list[StreamEvent]) -> None:
        failed = self._failure(error)
        reason = self._stop_reason(failed)
        self._close_current(events)
        for ordinal, block in self._calls.items():
            call = self._call(ordinal, block, is_whole=failed is None and reason in ("stop", "tool_use"))
            self._content[block.index] = call
            events.append(ToolCallEnd(block.index, call))
        self._add_details()
        message = self._message([made for made in self._content if made is not None], reason, failed)
        if not self._is_started and failed is None:
            events.append(StreamStart())
        events.append(StreamEnd(message))

    def _failure(self, error: tuple[str, str] | None) -> ProviderError | None:
        if error is None and self._status != 200:  # noqa: PLR2004  # the one that is none
            return classify_response(self._status, self._headers, bytes(self._body), vendor_of(self._model))
        if error is None:
            return error_of_finish(self._finish)
        code, text = error
        if code == "in_band":
            return classify_in_band(text, vendor_of(self._model))
        if code in ("untrusted", "misconfigured"):
            return ProviderError("connection_error", text)  # which no other attempt would mend
        if code == "event_too_large":
            text = f"one event is larger than {text} bytes"
        return ProviderError(code, _SENTENCES.get(code, "{}").format(text), retryable=code in _RETRYABLE)  # type: ignore[arg-type]  # the page's codes are kinds

    def _stop_reason(self, failed: ProviderError | None) -> StopReason:
        if failed is not None:
            return "error"
        if self._is_refusal:
            return "refusal"
        return stop_reason_of(self._finish)

    def _call(self, ordinal: int, block: _Block, *, is_whole: bool) -> ToolCall | InvalidToolCall:
        call_id, name, wire = self._finals.get(ordinal, ("", "", None))
        if not call_id or call_id in self._ids:
            call_id = self._fresh_id()
        self._ids.add(call_id)
        raw = "".join(block.pieces)
        if not name:
            return InvalidToolCall(call_id, "", raw, "the call names no tool", wire)
        arguments, reason = parse_arguments(raw)
        if arguments is None:
            return InvalidToolCall(call_id, name, raw, reason, wire)
        if not is_whole:
            return InvalidToolCall(call_id, name, raw, "the message did not end properly", wire)
        return ToolCall(call_id, name, arguments, wire)

    def _fresh_id(self) -> str:
        known = {final[0] for final in self._finals.values()} | self._ids
        while (made := self._make_id()) in known:
            pass
        return made

    def _add_details(self) -> None:
        """Keep reasoning details beside the first thinking, for their maker."""
        if self._details is None:
            return
        wire = {"reasoning_details": orjson.loads(self._details)}
        for place, block in enumerate(self._content):
            if isinstance(block, ThinkingContent):
                self._content[place] = attrs.evolve(block, wire=wire)
                return
        self._content.append(ThinkingContent("", wire=wire))

    def _message(self, content: list[Content], reason: StopReason, error: ProviderError | None) -> AssistantMessage:
        model = self._model
        return AssistantMessage(
            tuple(content),
            reason,
            self._timestamp,
            model.api,
            model.provider,
            self._answered_by or model.id,
            _with_cost(self._usage, self._price),
            self._response_id,
            self._finish,
            error,
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_STARTS: Final[dict[int, Callable[[int], StreamEvent]]] = {
    TEXT: TextStart,
    THINKING: ThinkingStart,
    CALL_OPEN: ToolCallStart,
}
_DELTAS: Final[dict[int, Callable[[int, str], StreamEvent]]] = {
    TEXT: TextDelta,
    THINKING: ThinkingDelta,
    CALL_OPEN: ToolCallDelta,
}
_SENTENCES: Final = {
    "malformed_event": "an event is not JSON: {}",
    "protocol_error": "the answer is not an event stream: {}",
    "empty_response": "the answer was empty",
}


def parse_arguments(raw: str) -> tuple[dict[str, Any] | None, str]:
    """Parse the argument text of a call: an object, or None with the reason why it is none."""
    text = raw.strip(" \t\r\n")
    if text in ("", "null"):
        return {}, ""
    try:
        value = orjson.loads(text) if len(text) < 2 * 127 else _checked(text)
    except ValueError:
        try:
            value = _plain(parse_exact(text))
        except MalformedJsonError:
            return None, f"the arguments are not JSON: {text[:_SEEN]}"
    if isinstance(value, str):
        return None, "the arguments are a string, not an object"
    if not isinstance(value, dict):
        return None, f"the arguments are not an object: {text[:_SEEN]}"
    return value, ""


def _checked(text: str) -> Any:
    parse_exact(text)
    return orjson.loads(text)


def _plain(value: Any) -> Any:
    """Give what `parse_exact` gave with its numbers as numbers, and no lone surrogate."""
    if isinstance(value, NumberText):
        number = float(value)
        return int(value) if value.lstrip("-").isdigit() and math.isfinite(number) else number
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_plain(name): _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _with_cost(usage: Usage | None, price: Price | None) -> Usage | None:
    if usage is None or usage.cost is not None or price is None:
        return usage
    return attrs.evolve(usage, cost=cost_of(usage, price))


def _usage(counters: UsageCounters, *, rest_is_reasoning: bool) -> Usage | None:
    """Give the one form of usage: `input` is what was not cached, `output` includes reasoning."""
    prompt, completion, total, cached, written, reasoning, cost = counters
    told = [value for value in (prompt, completion, total, cached, written, reasoning) if value is not None]
    if not any(told) and not cost:
        return None
    read, wrote, thought, output = cached or 0, written or 0, reasoning or 0, completion or 0
    rest = 0 if total is None or prompt is None else max(0, total - prompt - output)
    if rest == thought or (rest_is_reasoning and reasoning is None):
        output, thought = output + rest, rest
    return Usage(
        max(0, (prompt or 0) - read - wrote),
        output,
        read,
        wrote,
        thought,
        cost=None if cost is None else Cost(total=cost),
    )
