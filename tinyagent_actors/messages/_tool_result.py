"""What a tool gives back."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs

from tinyagent_actors.messages._content import Content, to_content

Outcome: TypeAlias = Literal["finished", "cancelled", "timed_out", "abandoned"]
"""How the execution of a tool ended. `abandoned`: it would not end, and still runs."""


@attrs.frozen
class AgentToolResult:
    """The result of one execution of a tool: blocks for the model, details for programs."""

    content: tuple[Content, ...] = attrs.field(default=(), converter=to_content)
    details: Any = None
    terminate: bool = False
    """End the run after this turn, without asking the model again."""
    is_error: bool = False
    """Whether the model is told that it failed, as it is where a tool raises."""
