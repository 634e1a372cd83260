"""A message in the making, folded from the stream events so far only when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tinyagent_actors.events._stream import (
    StreamEnd,
    StreamEvent,
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
from tinyagent_actors.messages import AssistantMessage, Content, InvalidToolCall, TextContent, ThinkingContent


@attrs.frozen(eq=False)
class Partial:
    """The first `count` events of a stream whose log only grows, so that a snapshot costs two words, not a copy."""

    log: Sequence[StreamEvent]
    count: int
    base: AssistantMessage
    """Who answers: api, provider, model and timestamp of the message in the making."""

    def message(self) -> AssistantMessage:
        """Fold the events into the message as it stood after them."""
        blocks: dict[int, Content] = {}
        pieces: dict[int, list[str]] = {}
        for event in self.log[: self.count]:
            match event:
                case StreamEnd(message):
                    return message
                case TextStart(index) | ThinkingStart(index) | ToolCallStart(index):
                    pieces[index] = []
                    blocks[index] = _OPEN[event.type]
                case TextDelta(index, text) | ThinkingDelta(index, text) | ToolCallDelta(index, text):
                    if index not in pieces:  # a stream function of somebody's may leave the start out
                        pieces[index] = []
                        blocks[index] = _OPEN[event.type.replace("_delta", "_start")]
                    pieces[index].append(text)
                case TextEnd(index, content) | ThinkingEnd(index, content) | ToolCallEnd(index, content):
                    blocks[index] = content
                    pieces.pop(index, None)
        for index, texts in pieces.items():
            blocks[index] = _filled(blocks[index], "".join(texts))
        return attrs.evolve(self.base, content=tuple(blocks[index] for index in sorted(blocks)))


_OPEN: dict[str, Content] = {
    "text_start": TextContent(""),
    "thinking_start": ThinkingContent(""),
    "tool_call_start": InvalidToolCall("", "", "", "not complete yet"),
}


def _filled(block: Content, text: str) -> Content:
    if isinstance(block, TextContent):
        return TextContent(text)
    if isinstance(block, ThinkingContent):
        return ThinkingContent(text)
    return InvalidToolCall("", "", text, "not complete yet")
