"""Asking through a stream function of the seed's shape: ``await stream_fn(model, context, options)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs

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
    structure,
)
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    InvalidToolCall,
    Model,
    TextContent,
    ThinkingContent,
    ToolCall,
    content_from_dict,
)
from tinyagent_actors.providers import SimpleStreamOptions

StreamFn: TypeAlias = Callable[[Model, Context, SimpleStreamOptions], Awaitable[Any]]
"""What the seed calls a stream function: awaited, it gives an object to iterate, with an async `result()`."""


@attrs.frozen
class SeedCall:
    """A `ModelCall` that asks a stream function."""

    stream_fn: StreamFn
    make_options: Callable[[Model], Awaitable[SimpleStreamOptions]]

    @asynccontextmanager
    async def __call__(
        self,
        model: Model,
        context: Context,
        publish: Callable[..., object],  # noqa: ARG002  # a stream function tells nothing
    ) -> AsyncIterator[SeedStream]:
        """Open the stream of one answer; leaving the block closes it if it can be closed."""
        response = await self.stream_fn(model, context, await self.make_options(model))
        try:
            yield SeedStream(response)
        finally:
            close = getattr(response, "aclose", None)
            if close is not None:
                await close()


@attrs.define(eq=False)
class SeedStream:
    """The response of a stream function, seen as ours."""

    _response: Any
    _events: Any = attrs.field(default=None, init=False)
    model: None = attrs.field(default=None, init=False)
    """The one that was asked."""

    async def next_events(self) -> list[StreamEvent]:
        """Wait for the next event; an empty list: the stream is over."""
        if self._events is None:
            self._events = aiter(self._response)
        async for event in self._events:
            ours = _from_seed(event)
            if ours is not None:
                return [ours]
        return []

    async def result(self) -> AssistantMessage:
        """Give the message, from its dict shape if it is one."""
        message = await self._response.result()
        return message if isinstance(message, AssistantMessage) else structure(message, AssistantMessage)


def _from_seed(event: Any) -> StreamEvent | None:  # a clause per kind
    """Give our event for one of the seed's shape; None for the last ones, whose message `result()` gives."""
    kind, index = _get(event, "type"), _get(event, "content_index") or 0
    match kind:
        case "start":
            return StreamStart()
        case "text_start":
            return TextStart(index)
        case "text_delta":
            return TextDelta(index, _get(event, "delta") or "")
        case "text_end":
            content = _get(event, "content")
            return TextEnd(index, content if isinstance(content, TextContent) else TextContent(content))
        case "thinking_start":
            return ThinkingStart(index)
        case "thinking_delta":
            return ThinkingDelta(index, _get(event, "delta") or "")
        case "thinking_end":
            content = _get(event, "content")
            return ThinkingEnd(index, content if isinstance(content, ThinkingContent) else ThinkingContent(content))
        case "tool_call_start":
            return ToolCallStart(index)
        case "tool_call_delta":
            return ToolCallDelta(index, _get(event, "delta") or "")
        case "tool_call_end":
            return ToolCallEnd(index, _tool_call(_get(event, "tool_call")))
        case StreamEnd.type | "done" | "error":
            return None
    return event if type(event).__module__.startswith("tinyagent_actors.") else None


def _get(event: Any, name: str) -> Any:
    return event.get(name) if isinstance(event, Mapping) else getattr(event, name, None)


def _tool_call(value: Any) -> ToolCall | InvalidToolCall:
    if isinstance(value, ToolCall | InvalidToolCall):
        return value
    block = content_from_dict({"type": "tool_call", **value}, "tool_call")
    assert isinstance(block, ToolCall)
    return block
