"""Agenda: what a supervisor does one after the other."""

from __future__ import annotations

from collections import deque

import attrs

from tinyagent_actors.actors import CancelCause
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner


@attrs.define(eq=False)
class Agenda:
    """Children to be stopped, the last one first (S14), then children to be started, the first one first.

    One at a time: the next is begun when the one before has ended, or has started. A start-up has only starts, a shutdown
    only stops; a group that is restarted has its stops, then its starts.
    """

    _runner: ChildRunner
    _to_stop: list[Child] = attrs.field(factory=list, kw_only=True)
    """The next is the last."""
    _cause: CancelCause | None = attrs.field(default=None, kw_only=True)
    """Why those are stopped."""
    _to_start: deque[Child] = attrs.field(factory=deque, kw_only=True)
    """The next is the first."""
    _begun: Child | None = attrs.field(default=None, init=False)
    """The one that was started last, for which the next has to wait."""

    def advance(self) -> bool:
        """Take the next step if the one before is done; whether nothing is left to do."""
        while self._to_stop and self._to_stop[-1].state == "stopped":
            self._to_stop.pop()
        if self._to_stop:
            assert self._cause is not None  # whoever wants stops says why
            self._runner.stop(self._to_stop[-1], self._cause)
            return False
        if self._begun is not None and self._begun.state in ("starting", "stopping"):
            return False
        if not self._to_start:
            return True
        self._begun = self._to_start.popleft()
        self._runner.start(self._begun)
        return False

    def drop(self, child: Child) -> bool:
        """Start that child no more; False if there was nothing to drop, because it was begun or is no matter of this agenda."""
        if child not in self._to_start:
            return False
        self._to_start.remove(child)
        return True
