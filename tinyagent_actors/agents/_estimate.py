"""Estimates: what a request will take, before it is made. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    CustomMessage,
    ImageContent,
    InvalidToolCall,
    Message,
    TextContent,
    ThinkingContent,
    ToolCall,
)

BYTES_A_TOKEN: Final = 3
"""UTF-8. English prose has four and more, code and other scripts fewer; it is to be too high rather than too low."""
IMAGE_TOKENS: Final = 1_600
"""What an image counts, whatever its bytes: more than providers take for one of a usual size."""


def estimate_input(context: Context) -> int:
    """Give how many tokens a prompt will have: the last usage that was told, and a third of the bytes that came after it.

    Example:
        >>> estimate_input(Context("Be brief.", ()))
        3
    """
    counted = 0
    new = len(context.system_prompt.encode(errors="replace")) + sum(
        _bytes_of(tool.parameters) + len(tool.name) + len(tool.description.encode(errors="replace"))
        for tool in context.tools
    )
    images = 0
    for message in context.messages:
        if isinstance(message, AssistantMessage) and message.usage is not None and message.usage.total_tokens:
            counted, new, images = message.usage.total_tokens, 0, 0
        else:
            new += message_bytes(message)
            images += sum(isinstance(block, ImageContent) for block in getattr(message, "content", ()))
    return counted + math.ceil(new / BYTES_A_TOKEN) + images * IMAGE_TOKENS


def message_bytes(message: Message) -> int:
    """Give how many bytes of text a message has; images count none."""
    if isinstance(message, CustomMessage):
        return _bytes_of(message.data)
    return sum(_block_bytes(block) for block in message.content)


def _block_bytes(block: object) -> int:
    match block:
        case TextContent():
            return len(block.text.encode(errors="replace"))
        case ThinkingContent():
            return len(block.thinking.encode(errors="replace"))
        case ToolCall():
            return len(block.name) + _bytes_of(block.arguments)
        case InvalidToolCall():
            return len(block.name) + len(block.raw.encode(errors="replace"))
        case _:
            return 0


def _bytes_of(value: Mapping[str, Any]) -> int:
    try:
        return len(orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:  # a whole number of more than 64 bits, a lone surrogate
        return len(repr(value))
