"""ToolLoopControl: what a hook around a tool says where it does not let things take their course."""

from __future__ import annotations

import attrs

from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools._result import to_result


def _result(value: object) -> AgentToolResult | None:
    return None if value is None else to_result(value)


@attrs.frozen
class ToolLoopControl:
    """Given by `before_tool_call`: the tool does not run. Given by `after_tool_call`: its result is another."""

    terminate: bool = False
    """End the run after this turn, without asking the model again."""
    result: AgentToolResult | None = attrs.field(default=None, converter=_result)
    """What the model reads: a result, or whatever a tool may return. None: before the tool, that it was refused; after it, its own."""
    is_error: bool = False
