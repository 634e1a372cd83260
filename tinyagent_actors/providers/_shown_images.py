"""Images in history: shown to models that see, told of to those that do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from tinyagent_actors.messages import Content, ImageContent, Message, TextContent, ToolResultMessage, UserMessage

_UNSEEN: Final = TextContent("(an image that this model cannot see)")
_EMPTY: Final = TextContent("(an image without data)")


def with_shown_images(messages: Iterable[Message], *, takes_images: bool) -> list[Message]:
    """Give the messages with a text in place of every image that cannot be sent."""
    return [_shown(message, takes_images=takes_images) for message in messages]


def _shown(message: Message, *, takes_images: bool) -> Message:
    if not isinstance(message, UserMessage | ToolResultMessage):
        return message
    content = tuple(_block(block, takes_images=takes_images) for block in message.content)
    return message if content == message.content else attrs.evolve(message, content=content)


def _block(block: Content, *, takes_images: bool) -> Content:
    if not isinstance(block, ImageContent):
        return block
    if not (block.data or block.url):
        return _EMPTY
    return block if takes_images else _UNSEEN
