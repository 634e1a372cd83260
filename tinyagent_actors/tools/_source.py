"""ToolSource: tools that may change while an agent lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from tinyagent_actors.tools._tool import Tool


@runtime_checkable
class ToolSource(Protocol):
    """Stands among an agent's tools for those that there are when a request is made."""

    @property
    def name(self) -> str:
        """What people call it."""

    def current_tools(self) -> tuple[Tool, ...]:
        """Give the tools that there are now. Does not wait, and raises nothing."""


def split_sources(tools: Iterable[Any]) -> tuple[list[Any], tuple[ToolSource, ...]]:
    """Give what is no source of tools, and what is one."""
    items: list[Any] = []
    sources: list[ToolSource] = []
    for item in tools:
        # A tool is no source; to ask a protocol, which looks at all its members, takes a hundred times as long.
        is_source = not isinstance(item, Tool) and isinstance(item, ToolSource)
        (sources if is_source else items).append(item)
    return items, tuple(sources)


def with_sources(tools: Mapping[str, Tool], sources: Sequence[ToolSource]) -> Mapping[str, Tool]:
    """Give tools together with those that sources have now, by name; of two of one name, the one that was first."""
    found = dict(tools)
    for source in sources:
        for tool in source.current_tools():
            found.setdefault(tool.name, tool)
    return found
