"""Errors of those who answer a request for approval."""

from __future__ import annotations

import attrs

from tinyagent_actors._errors._root import TinyAgentError


class ApprovalError(TinyAgentError):
    """An answer to a request for approval was not taken. The call it was meant for is not touched by it."""


@attrs.define(slots=False, eq=False)
class ApprovalNotFoundError(ApprovalError):
    """There is no such request here, and none that was answered lately."""

    id: str

    def __str__(self) -> str:
        return f"there is no request for approval {self.id!r}"


@attrs.define(slots=False, eq=False)
class ApprovalAnsweredError(ApprovalError):
    """Nobody waits for this answer any more; `decision` says why: approved, denied, timed_out or cancelled."""

    id: str
    decision: str

    def __str__(self) -> str:
        return f"the request for approval {self.id!r} is settled already: {self.decision}"


@attrs.define(slots=False, eq=False)
class ApprovalMismatchError(ApprovalError):
    """The answer is one for another call: the tool, its arguments or the agent are not those that the request names."""

    id: str
    waiting: str
    """The request that waits under that number."""

    def __str__(self) -> str:
        return f"{self.id!r} does not answer {self.waiting!r}: tool, arguments or path differ"
