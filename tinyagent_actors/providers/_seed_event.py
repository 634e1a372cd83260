"""Stream events in the shape that stream functions give: one class, read by attribute or as a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import attrs

from tinyagent_actors.events import (
    Partial,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    TextEnd,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallDelta,
    ToolCallEnd,
)
from tinyagent_actors.messages import AssistantMessage, InvalidToolCall, ToolCall


@final
@attrs.frozen(eq=False)
class AssistantMessageEvent(Mapping[str, Any]):
    """An event of `stream_openrouter` and its like.

    Read it as an object (``event.type``) or as a mapping (``event["type"]``); the mapping has the members that its type has.
    """

    type: str
    """``start``, ``text_start``, ``text_delta``, ``text_end``, the same of ``thinking`` and ``tool_call``, ``done`` or ``error``."""
    _partial: Partial = attrs.field(repr=False)
    content_index: int | None = None
    delta: str | None = None
    content: str | None = None
    tool_call: ToolCall | InvalidToolCall | None = None
    reason: str | None = None
    message: AssistantMessage | None = None
    error: AssistantMessage | None = None

    @property
    def partial(self) -> AssistantMessage:
        """The message as it stood after this event, made when it is asked for."""
        return self._partial.message()

    def __getitem__(self, name: str) -> Any:
        if name == "partial":
            return self.partial
        if name not in _MEMBERS or getattr(self, name) is None:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in _MEMBERS if getattr(self, name) is not None)
        yield "partial"

    def __len__(self) -> int:
        return sum(1 for _ in self)


_MEMBERS = ("type", "content_index", "delta", "content", "tool_call", "reason", "message", "error")


def to_seed_event(event: StreamEvent, partial: Partial) -> AssistantMessageEvent:
    """Give the event in the other shape."""
    match event:
        case StreamStart():
            return AssistantMessageEvent("start", partial)
        case TextDelta(index, text) | ThinkingDelta(index, text) | ToolCallDelta(index, text):
            return AssistantMessageEvent(event.type, partial, index, delta=text)
        case TextEnd(index, content):
            return AssistantMessageEvent(event.type, partial, index, content=content.text)
        case ThinkingEnd(index, content):
            return AssistantMessageEvent(event.type, partial, index, content=content.thinking)
        case ToolCallEnd(index, call):
            return AssistantMessageEvent(event.type, partial, index, tool_call=call)
        case StreamEnd(message):
            return last_seed_event(message, partial)
        case _:
            return AssistantMessageEvent(event.type, partial, event.content_index)


def last_seed_event(message: AssistantMessage, partial: Partial) -> AssistantMessageEvent:
    """Give the event that ends a stream with this message: ``error`` if it failed or was aborted, else ``done``."""
    if message.stop_reason in ("error", "aborted"):
        return AssistantMessageEvent("error", partial, reason=message.stop_reason, error=message)
    return AssistantMessageEvent("done", partial, reason=message.stop_reason, message=message)
