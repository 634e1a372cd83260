"""Events of tool executions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.events._header import Event
from tinyagent_actors.messages import AgentToolResult, Outcome


@attrs.frozen(kw_only=True)
class _ToolEvent(Event):
    tool_call_id: str
    tool_name: str


@attrs.frozen(kw_only=True)
class ToolExecutionStartEvent(_ToolEvent):
    """A tool is about to run."""

    type: ClassVar[Literal["tool_execution_start"]] = "tool_execution_start"

    args: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ToolExecutionUpdateEvent(_ToolEvent):
    """A running tool told its progress.

    A subscriber that conflates gets the latest of what one call told in a row; it stands for `first_seq` to `seq`.
    """

    type: ClassVar[Literal["tool_execution_update"]] = "tool_execution_update"

    partial_result: AgentToolResult
    first_seq: int = attrs.field(default=attrs.Factory(lambda self: self.seq, takes_self=True))


@attrs.frozen(kw_only=True)
class ToolExecutionEndEvent(_ToolEvent):
    """The call has its result."""

    type: ClassVar[Literal["tool_execution_end"]] = "tool_execution_end"

    result: AgentToolResult
    is_error: bool = False
    outcome: Outcome = "finished"
    seconds: float = 0.0
    """How long it ran, on Trio's clock."""
    deadline: str | None = None
    """Which deadline ended it, if one did: ``tool``, ``turn``, ``run``, ``landing``, ``caller``, or one of whoever asked for the run."""
    error: TinyAgentError | None = None
    """What the tool raised, whole; the result says it in words for the model."""


@attrs.frozen(kw_only=True)
class ToolRetryEvent(_ToolEvent):
    """A call failed, and its tool is such that it may be run again: it is."""

    type: ClassVar[Literal["tool_retry"]] = "tool_retry"

    attempt: int
    """The one that failed, from 1."""
    delay: float
    """Seconds until the next begins."""
    error: TinyAgentError


@attrs.frozen(kw_only=True)
class ToolLateCompletionEvent(_ToolEvent):
    """A tool that had been given up came to its end after all; its result was dropped."""

    type: ClassVar[Literal["tool_late_completion"]] = "tool_late_completion"

    seconds: float = 0.0
    """Since it was given up."""
    updates: int = 0
    """How often it told progress meanwhile; that was dropped."""
