"""From a block of `anthropic-messages` that is complete to the content that it is. Tool calls are the assembler's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinyagent_actors.messages import OpaqueContent, RedactedThinkingContent, TextContent, ThinkingContent


def text_content(text: str, members: Mapping[str, Any]) -> TextContent:
    """Give a text, and for its maker what stood beside it, such as citations."""
    return TextContent(text, wire=members or None)


def thinking_content(thinking: str, members: Mapping[str, Any]) -> ThinkingContent:
    """Give a thinking block with its signature."""
    signature = members.get("signature")
    if not isinstance(signature, str):
        return ThinkingContent(thinking, wire=members or None)
    others = {name: value for name, value in members.items() if name != "signature"}
    return ThinkingContent(thinking, signature or None, wire=others or None)


def whole_content(block: Mapping[str, Any]) -> RedactedThinkingContent | OpaqueContent:
    """Give a block of another type: thinking that is kept secret, or what is not known here, whole."""
    data = block.get("data")
    if block.get("type") != "redacted_thinking" or not isinstance(data, str):
        return OpaqueContent(block)
    others = {name: value for name, value in block.items() if name not in ("type", "data") and value is not None}
    return RedactedThinkingContent(data, wire=others or None)
