"""Events of one provider stream: what a model says while it says it.

They are not events of the bus and have no header; `MessageUpdateEvent` carries them there. `content_index` is the place
of the block in the message's content.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import attrs

from tinyagent_actors.messages import AssistantMessage, InvalidToolCall, TextContent, ThinkingContent, ToolCall


@attrs.frozen
class StreamStart:
    """The first content is about to come."""

    type: ClassVar[Literal["stream_start"]] = "stream_start"

    content_index: int = 0


@attrs.frozen
class TextStart:
    """A block of text begins."""

    type: ClassVar[Literal["text_start"]] = "text_start"

    content_index: int


@attrs.frozen
class TextDelta:
    """A piece of a block of text. The pieces join up to its text; each encodes as UTF-8 by itself."""

    type: ClassVar[Literal["text_delta"]] = "text_delta"

    content_index: int
    text: str


@attrs.frozen
class TextEnd:
    """A block of text is complete."""

    type: ClassVar[Literal["text_end"]] = "text_end"

    content_index: int
    content: TextContent


@attrs.frozen
class ThinkingStart:
    """A block of thinking begins."""

    type: ClassVar[Literal["thinking_start"]] = "thinking_start"

    content_index: int


@attrs.frozen
class ThinkingDelta:
    """A piece of a block of thinking."""

    type: ClassVar[Literal["thinking_delta"]] = "thinking_delta"

    content_index: int
    text: str


@attrs.frozen
class ThinkingEnd:
    """A block of thinking is complete."""

    type: ClassVar[Literal["thinking_end"]] = "thinking_end"

    content_index: int
    content: ThinkingContent


@attrs.frozen
class ToolCallStart:
    """A tool call begins. Its id and name are known for sure at its end."""

    type: ClassVar[Literal["tool_call_start"]] = "tool_call_start"

    content_index: int


@attrs.frozen
class ToolCallDelta:
    """A piece of the raw argument text (JSON) of a tool call."""

    type: ClassVar[Literal["tool_call_delta"]] = "tool_call_delta"

    content_index: int
    text: str


@attrs.frozen
class ToolCallEnd:
    """A tool call is complete, or known never to be."""

    type: ClassVar[Literal["tool_call_end"]] = "tool_call_end"

    content_index: int
    tool_call: ToolCall | InvalidToolCall


@attrs.frozen
class StreamEnd:
    """The last event of a stream: the message, however it ended."""

    type: ClassVar[Literal["stream_end"]] = "stream_end"

    message: AssistantMessage


Delta: TypeAlias = TextDelta | ThinkingDelta | ToolCallDelta
StreamEvent: TypeAlias = (
    StreamStart
    | TextStart
    | TextDelta
    | TextEnd
    | ThinkingStart
    | ThinkingDelta
    | ThinkingEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | StreamEnd
)
