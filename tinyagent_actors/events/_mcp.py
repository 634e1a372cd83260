"""Events of servers of tools: that their tools changed, and what they say."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors.events._header import Event


@attrs.frozen(kw_only=True)
class ToolListChangedEvent(Event):
    """The tools of an MCP server are these now: it has started, or told that they changed. Agents offer them from their next request on."""

    type: ClassVar[Literal["tool_list_changed"]] = "tool_list_changed"

    server: str
    tools: tuple[str, ...]
    """As models see them."""
    refused: tuple[str, ...] = ()
    """Those that cannot be used, each with the reason."""


@attrs.frozen(kw_only=True)
class McpServerLoggedEvent(Event):
    """An MCP server wrote a line to stderr, or sent a log message. Redacted, cut, and at most 20 a second."""

    type: ClassVar[Literal["mcp_server_logged"]] = "mcp_server_logged"

    server: str
    text: str
    dropped: int = 0
    """Lines before this one that were left out."""
