"""Events of approvals: a call is parked, and a call is parked no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import attrs

from tinyagent_actors.events._header import Event

ApprovalDecision: TypeAlias = Literal["approved", "denied", "timed_out", "cancelled"]


@attrs.frozen(kw_only=True)
class ApprovalRequestedEvent(Event):
    """A call waits for somebody to approve it. Its clocks stand, its siblings go on. One `ApprovalResolvedEvent` follows."""

    type: ClassVar[Literal["approval_requested"]] = "approval_requested"

    approval: str
    """The id to answer with."""
    tool_call_id: str
    tool_name: str
    arguments: Mapping[str, Any]
    """As the tool would get them, in JSON's types."""
    waiting: tuple[str, ...] = ()
    """Paths of the agents whose clocks stand meanwhile: the call's own, then who asked it, and so on up."""
    seconds: float = 0.0
    """How long it waits for an answer; then it is denied."""


@attrs.frozen(kw_only=True)
class ApprovalResolvedEvent(Event):
    """A call that waited for approval waits no more: it runs now, or it does not run."""

    type: ClassVar[Literal["approval_resolved"]] = "approval_resolved"

    approval: str
    tool_call_id: str
    tool_name: str
    decision: ApprovalDecision
    by: str | None = None
    """Who answered, if somebody did."""
    reason: str | None = None
    """What a denial says."""
    seconds: float = 0.0
    """How long it waited."""
