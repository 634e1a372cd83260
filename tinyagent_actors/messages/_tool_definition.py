"""A tool as a model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class ToolDefinition:
    """Name, description and JSON Schema of a tool: a value that `Context.tools` holds and providers send."""

    name: str
    description: str
    parameters: Mapping[str, Any] = attrs.field(factory=lambda: {"type": "object", "properties": {}})
    """A JSON Schema of type object."""
