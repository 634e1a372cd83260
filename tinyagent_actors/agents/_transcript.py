"""What must hold of a transcript whatever happened: every call has exactly one result, the next request is valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
import orjson

from tinyagent_actors.events import Partial
from tinyagent_actors.messages import (
    AssistantMessage,
    InvalidToolCall,
    Message,
    TextContent,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)


def calls_of(message: AssistantMessage) -> Iterator[ToolCall | InvalidToolCall]:
    """Give the calls of a message in order, those that may run and those that may not."""
    for block in message.content:
        if isinstance(block, ToolCall | InvalidToolCall):
            yield block


def runnable_calls(message: AssistantMessage) -> tuple[ToolCall | InvalidToolCall, ...]:
    """Give the calls of a message as they may run: those of a message that did not end properly are invalid, all of them."""
    if message.stop_reason in ("stop", "tool_use"):
        return tuple(calls_of(message))
    reason = f"the message did not end properly ({message.raw_stop_reason or message.stop_reason})"
    return tuple(
        InvalidToolCall(call.id, call.name, orjson.dumps(call.arguments, default=repr).decode(), reason, call.wire)
        if isinstance(call, ToolCall)
        else call
        for call in calls_of(message)
    )


def aborted(partial: Partial) -> AssistantMessage:
    """Give the message as far as it came, marked `aborted`. A call that was not complete is left out: it has no id."""
    message = partial.message()
    kept = tuple(
        block
        for block in message.content
        if not (isinstance(block, InvalidToolCall) and not block.id and not block.name)
    )
    return attrs.evolve(message, content=kept, stop_reason="aborted", error=None)


def result_for(call: ToolCall | InvalidToolCall, text: str) -> ToolResultMessage:
    """Give an error result that says `text`."""
    return ToolResultMessage(call.id, call.name, (TextContent(text),), is_error=True)


def results_for_open_calls(message: AssistantMessage, why: str) -> tuple[ToolResultMessage, ...]:
    """Give one `cancelled` result for each call of a message none of whose calls ran."""
    return tuple(result_for(call, f"cancelled: {why}; the tool did not run") for call in calls_of(message))


def to_messages(prompt: object) -> tuple[Message, ...]:
    """Give the messages that a prompt stands for: a text, a message, content, or several messages.

    Raises:
        ValueShapeError: It is none of them.
    """
    if isinstance(prompt, UserMessage | AssistantMessage | ToolResultMessage):
        return (prompt,)
    if isinstance(prompt, Mapping):
        return (_message_from(prompt),)
    if isinstance(prompt, Iterable) and not isinstance(prompt, str):
        return tuple(_message_from(item) for item in prompt)
    return (UserMessage(prompt),)  # type: ignore[arg-type]  # its converter checks what it is given


def _message_from(item: object) -> Message:
    if isinstance(item, Mapping):
        from tinyagent_actors.events import structure_message

        return structure_message(item)
    if isinstance(item, UserMessage | AssistantMessage | ToolResultMessage):
        return item
    return UserMessage(item)  # type: ignore[arg-type]  # its converter checks what it is given
