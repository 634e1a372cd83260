"""Cache breakpoints: where a provider may keep what it has read, for the next request.

A mark after a block says: keep all up to here. The system prompt's mark covers the tools, which come before it; those of
the newest messages cover the conversation. From turn to turn the marks move on, and nothing else changes: a block with a mark and
the same block without one differ in that member alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from tinyagent_actors.messages import Context, CustomMessage, ImageContent, TextContent

MOST_MARKS: Final = 4
"""How many a request may hold."""

_MARK: Final = {"type": "ephemeral"}
_MEMBER: Final = "cache_control"
_USUAL: Final = "5m"

Blocks: TypeAlias = list[dict[str, Any]]


def lifetimes_of(context: Context, *, is_enabled: bool) -> frozenset[str]:
    """Give the lifetimes that the marks of a request ask for.

    Args:
        context: With the marks of its author.
        is_enabled: Whether ours are added, which say nothing of a lifetime.
    """
    told = (message for message in context.messages if not isinstance(message, CustomMessage))
    blocks = (block for message in told for block in message.content)
    marks = (block.cache_control for block in blocks if isinstance(block, TextContent | ImageContent))
    own = frozenset(str(mark.get("ttl", _USUAL)) for mark in marks if mark)
    return own | {_USUAL} if is_enabled else own


def add_marks(places: Sequence[Blocks]) -> None:
    """Mark the last block of each of these that can be marked, unless somebody marked it already."""
    for blocks in places:
        # A mark on an empty text is refused.
        last = next((block for block in reversed(blocks) if block.get("text") != ""), None)
        if last is not None:
            last.setdefault(_MEMBER, _MARK)


def limit_marks(system: Blocks, messages: Sequence[Blocks]) -> None:
    """Take away marks until no more are left than a request may hold: the system prompt's stay, then the newest."""
    marked = [block for blocks in messages for block in blocks if _MEMBER in block]
    room = MOST_MARKS - sum(_MEMBER in block for block in system)
    for block in marked[: max(0, len(marked) - room)]:
        del block[_MEMBER]
