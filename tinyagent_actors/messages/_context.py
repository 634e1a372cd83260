"""What a model is given: the model's context, not an actor's."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from tinyagent_actors.messages._message import Message
from tinyagent_actors.messages._tool_definition import ToolDefinition


def _messages(value: Iterable[Message]) -> tuple[Message, ...]:
    return tuple(value)


def _tools(value: Iterable[ToolDefinition]) -> tuple[ToolDefinition, ...]:
    return tuple(value)


@attrs.frozen
class Context:
    """System prompt, messages and tools of one request."""

    system_prompt: str = ""
    messages: tuple[Message, ...] = attrs.field(default=(), converter=_messages)
    tools: tuple[ToolDefinition, ...] = attrs.field(default=(), converter=_tools)
