"""OpenAIDecoder: the stream of `openai-completions`, from bytes to items.

There are two ways through it. Nearly every event of a real stream is one choice with one piece of text, thinking or
arguments; `_take_quickly` knows just that, on the fast parser. It touches nothing before it is sure; any other event
goes the long way (`_take_object`), where every rule of `docs/explanation/engine-boundary.md` stands, on the exact parser.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from tinyagent_actors.providers._event_decoder import EventDecoder, in_band_error
from tinyagent_actors.providers._items import (
    CALL,
    CALL_ARGS,
    CALL_OPEN,
    DETAILS,
    FINISH,
    META,
    REFUSAL,
    TEXT,
    THINKING,
    USAGE,
)
from tinyagent_actors.providers._json_profile import (
    MAX_DEPTH,
    NESTED_BYTES,
    Json,
    canonical,
    is_text,
    is_zero,
)
from tinyagent_actors.providers._reasoning_details import ReasoningDetails
from tinyagent_actors.providers._surrogates import REPLACEMENT, Channel, settle
from tinyagent_actors.providers._think_tags import ThinkTags
from tinyagent_actors.providers._tool_call_assembly import CallInProgress, ToolCallAssembly
from tinyagent_actors.providers._usage_counters import UsageTally

_THINKING_MEMBERS: Final = ("reasoning_content", "reasoning", "reasoning_text")
_META_MEMBERS: Final = {"id": "response_id", "model": "model"}
_QUIET_CALL: Final = frozenset({"id", "index", "type", "function"})


@attrs.define(eq=False)
class OpenAIDecoder(EventDecoder):
    """Bytes in, items out. No I/O, no clock."""

    is_minimax: bool = attrs.field(default=False, kw_only=True)
    """Reasoning details may be cumulative, and tags count only until thinking comes in a member of its own."""
    _text: Channel = attrs.field(factory=Channel, init=False)
    _thinking: Channel = attrs.field(factory=Channel, init=False)
    _tags: ThinkTags | None = attrs.field(init=False)
    _calls: ToolCallAssembly = attrs.field(factory=ToolCallAssembly, init=False)
    _usage: UsageTally = attrs.field(factory=UsageTally, init=False)
    _details: ReasoningDetails = attrs.field(init=False)
    _untold: dict[str, str] = attrs.field(factory=_META_MEMBERS.copy, init=False)
    """The members that make `META` and have not come yet."""
    _is_refused: bool = attrs.field(default=False, init=False)
    _delta_seen: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._tags = ThinkTags() if self.think_tags else None
        self._details = ReasoningDetails(is_minimax=self.is_minimax)

    def _take_quickly(self, data: bytes) -> bool:
        """Take an event if it is a plain one; give whether it was."""
        if len(data) >= NESTED_BYTES and data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            return False
        try:
            event = orjson.loads(data)
        except ValueError:
            return False
        if type(event) is not dict:
            return False
        choice = _only_choice(event.get)
        if choice is None or self._text.held or self._thinking.held:
            return False
        if self._untold and any(event.get(member) for member in self._untold):
            return False
        delta = choice.get("delta")
        return type(delta) is dict and self._take_quick_delta(delta)

    def _take_quick_delta(self, delta: dict[str, Any]) -> bool:
        get = delta.get
        text = get("content")
        if text is not None and type(text) is not str:
            return False
        thinking = None
        if len(delta) > 1 or text is None:
            if get("reasoning_details") or get("refusal") or get("function_call") is not None:
                return False
            thinking = get("reasoning_content") or get("reasoning") or get("reasoning_text")
            if thinking and type(thinking) is not str:
                return False
            calls = get("tool_calls")
            if calls:
                return not text and not thinking and self._take_quick_call(calls)
        self._object_seen = True
        if thinking:
            self._emit_thinking(thinking)
        if text:
            self._emit_text(text)
        self._delta_seen = self._delta_seen or bool(thinking or text)
        return True

    def _take_quick_call(self, calls: Any) -> bool:
        """Take `tool_calls` if it is one more piece of one call that is known."""
        entry = calls[0] if type(calls) is list and len(calls) == 1 else None
        if type(entry) is not dict or not entry.keys() <= _QUIET_CALL or entry.get("id"):
            return False
        function = entry.get("function")
        if type(function) is not dict or function.get("name"):
            return False
        piece = function.get("arguments")
        index = entry.get("index")
        if type(piece) is not str or type(index) is not int:
            return False
        call = self._calls.locate_index(index)
        if call is None:
            return False
        self._object_seen = self._delta_seen = True
        self._give_arguments(call, piece)
        return True

    def _take_object(self, event: dict[str, Json]) -> None:
        choices = _counting_choices(event)
        error = in_band_error(event, choices)
        if error is not None:
            self._fail("in_band", canonical(error))
            return
        for member in tuple(self._untold):
            told = event.get(member)
            if is_text(told) and told:
                self._items.append((META, (self._untold.pop(member), settle(told))))
        for counted in (event, *choices):
            usage = counted.get("usage")
            if isinstance(usage, dict):
                self._usage.take(usage)
        for choice in choices:
            self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Json]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta_seen |= self._take_delta(delta)
        elif not self._delta_seen and isinstance(message := choice.get("message"), dict):
            self._take_delta(message)
        reason = choice.get("finish_reason")
        if is_text(reason) and reason and settle(reason) != self._finish:
            self._finish = settle(reason)
            self._items.append((FINISH, self._finish))

    def _take_delta(self, delta: dict[str, Json]) -> bool:
        """Take a delta; give whether it said anything."""
        content = delta.get("content")
        detailed = self._details.take(_objects(delta.get("reasoning_details")))
        thinking, text = _thinking_of(delta, content) or detailed, _text_of(content)
        self._give_thinking(thinking)
        self._give_text(text)
        refusal = _string(delta.get("refusal"))
        if refusal:
            self._give_refusal(refusal)
        calls = _objects(delta.get("tool_calls"))
        function = delta.get("function_call")
        if isinstance(function, dict):
            calls.append({"function": function})
        for entry in calls:
            self._take_call(entry)
        return bool(thinking or text or refusal or calls)

    def _take_call(self, entry: dict[str, Json]) -> None:
        call = self._calls.locate(entry)
        if call is None:
            call = self._calls.open(entry)
            self._release_tags()
            self._items.append((CALL_OPEN, call.ordinal))
        call.take_extra(entry)
        function = entry.get("function")
        if isinstance(function, dict):
            call.take_name(function.get("name"))
            arguments = function.get("arguments")
            if arguments is not None:
                self._give_arguments(call, arguments if is_text(arguments) else canonical(arguments))

    def _give_text(self, piece: str) -> None:
        settled = self._text.push(piece) if piece else ""
        if settled:
            self._release_thinking()
            self._emit_text(settled)

    def _give_thinking(self, piece: str) -> None:
        settled = self._thinking.push(piece) if piece else ""
        if settled:
            self._release_text()
            self._emit_thinking(settled)

    def _give_refusal(self, words: str) -> None:
        self._release_tags()
        self._give_text(words)
        if not self._is_refused:
            self._is_refused = True
            self._items.append((REFUSAL, None))

    def _give_arguments(self, call: CallInProgress, piece: str) -> None:
        settled = call.arguments.push(piece) if piece else ""
        if settled:
            call.scan.push(settled)
            self._release_thinking()
            self._release_text()
            self._release_tags()
            self._items.append((CALL_ARGS, (call.ordinal, settled)))

    def _emit_text(self, text: str) -> None:
        if self._tags is None:
            self._items.append((TEXT, text))
        else:
            self._tags.push(text, self._items)

    def _emit_thinking(self, text: str) -> None:
        self._release_tags()
        if self.is_minimax:
            self._tags = None
        self._items.append((THINKING, text))

    def _release_text(self) -> None:
        if self._text.held:
            self._emit_text(self._text.release())

    def _release_thinking(self) -> None:
        if self._thinking.held:
            self._emit_thinking(self._thinking.release())

    def _release_tags(self) -> None:
        if self._tags is not None:
            self._tags.release(self._items)

    def _let_go(self) -> None:
        self._release_thinking()
        self._release_text()
        self._release_tags()
        for call in self._calls.calls:
            if call.arguments.held:
                call.arguments.release()
                self._items.append((CALL_ARGS, (call.ordinal, REPLACEMENT)))
        self._items += [(CALL, call.payload()) for call in self._calls.calls]
        details = self._details.text()
        if details is not None:
            self._items.append((DETAILS, details))
        counters = self._usage.counters()
        if counters is not None:
            self._items.append((USAGE, counters))


def _only_choice(get: Any) -> dict[str, Any] | None:
    """Give the one choice of an event that says nothing else, given the event's `get`."""
    choices, usage, base = get("choices"), get("usage"), get("base_resp")
    if type(choices) is not list or len(choices) != 1 or get("error") is not None:
        return None
    if usage is not None and (type(usage) is not dict or any(usage.values())):
        return None
    if base is not None and (type(base) is not dict or base.get("status_code") != 0):
        return None
    if get("object") == "error" or get("type") == "error":
        return None
    choice = choices[0]
    if type(choice) is not dict:
        return None
    get = choice.get
    if get("finish_reason") is not None or get("error") is not None or get("usage") is not None:
        return None
    index = get("index")
    return choice if index is None or (type(index) is int and index == 0) else None


def _counting_choices(event: dict[str, Json]) -> list[dict[str, Json]]:
    choices = event.get("choices")
    return [choice for choice in choices if _counts(choice)] if isinstance(choices, list) else []  # type: ignore[misc]  # `_counts` says it is a dict


def _counts(choice: Json) -> bool:
    return isinstance(choice, dict) and (choice.get("index") is None or is_zero(choice.get("index")))


def _thinking_of(delta: dict[str, Json], content: Json) -> str:
    for member in _THINKING_MEMBERS:
        value = delta.get(member)
        if is_text(value) and value:
            return value
    return "".join(_thought(part) for part in _objects(content) if part.get("type") == "thinking")


def _thought(part: dict[str, Json]) -> str:
    value = part.get("thinking")
    return value if is_text(value) else "".join(_string(inner.get("text")) for inner in _objects(value))


def _text_of(content: Json) -> str:
    if is_text(content):
        return content
    return "".join(_string(part.get("text")) for part in _objects(content) if part.get("type") == "text")


def _objects(value: Json) -> list[dict[str, Json]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _string(value: Json) -> str:
    return value if is_text(value) else ""
