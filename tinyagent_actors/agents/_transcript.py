"""What must hold of a transcript whatever happened: every call has exactly one result, the next request is valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

import attrs
import orjson

from tinyagent_actors.events import Partial, structure_message
from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    CustomMessage,
    InvalidToolCall,
    Message,
    TextContent,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)

_CONTENT: Final = get_args(Content)
_MESSAGES: Final = (UserMessage, AssistantMessage, ToolResultMessage, CustomMessage)


def calls_of(message: AssistantMessage) -> Iterator[ToolCall | InvalidToolCall]:
    """Give the calls of a message in order, those that may run and those that may not."""
    for block in message.content:
        if isinstance(block, ToolCall | InvalidToolCall):
            yield block


def arguments_as_bytes(call: ToolCall | InvalidToolCall) -> bytes:
    """Give the arguments of a call in a form in which equal ones are equal, whatever a model or a program put into them."""
    if isinstance(call, InvalidToolCall):
        return call.raw.encode("utf-8", "surrogatepass")
    try:
        return orjson.dumps(call.arguments, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=repr)
    except TypeError:  # lone surrogates, whole numbers beyond 64 bits, circles
        return repr(call.arguments).encode("utf-8", "surrogatepass")


def runnable_calls(message: AssistantMessage) -> tuple[ToolCall | InvalidToolCall, ...]:
    """Give the calls of a message as they may run: those of a message that did not end properly are invalid, all of them."""
    if message.stop_reason in ("stop", "tool_use"):
        return tuple(calls_of(message))
    reason = f"the message did not end properly ({message.raw_stop_reason or message.stop_reason})"
    return tuple(
        InvalidToolCall(call.id, call.name, arguments_as_bytes(call).decode(errors="replace"), reason, call.wire)
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
    """Give the messages that a prompt stands for: a text, a message, content, or several messages; dict shapes, too.

    Several blocks of content are one message.

    Raises:
        ValueShapeError: It is none of them.
    """
    if isinstance(prompt, Iterable) and not isinstance(prompt, str | Mapping):
        items = tuple(prompt)
        if not items or not all(map(_is_block, items)):
            return tuple(_to_message(item) for item in items)
        return (UserMessage(items),)
    return (_to_message(prompt),)


def _is_block(item: object) -> bool:
    return isinstance(item, _CONTENT) or (isinstance(item, Mapping) and "type" in item and "role" not in item)


def _to_message(item: object) -> Message:
    if isinstance(item, Mapping) and not _is_block(item):
        return structure_message(item)
    if isinstance(item, _MESSAGES):
        return item
    return UserMessage(item)  # type: ignore[arg-type]  # its converter checks what it is given
