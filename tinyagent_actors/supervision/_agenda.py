"""Agenda: what a supervisor does one after the other."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import attrs

from tinyagent_actors.actors import CancelCause
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner

Progress: TypeAlias = Literal["busy", "waiting", "done"]
"""`waiting`: nothing is under way; the starts wait for the end of a back-off."""


@attrs.define(eq=False)
class Agenda:
    """Children to be stopped, the last one first (S14), then children to be started, the first one first.

    One at a time: the next is begun when the one before has ended, or has started. A start-up has only starts, a shutdown
    only stops; a group that is restarted has its stops, then its starts, which may wait for a back-off. Whoever takes a
    child's `is_to_start` away takes its start off the agenda.
    """

    _runner: ChildRunner
    _to_stop: list[Child] = attrs.field(factory=list, kw_only=True)
    """The next is the last."""
    _cause: CancelCause | None = attrs.field(default=None, kw_only=True)
    """Why those are stopped."""
    _to_start: deque[Child] = attrs.field(factory=deque, kw_only=True)
    """The next is the first."""
    _is_at_once: bool = attrs.field(default=False, kw_only=True)
    """Whether all are asked to stop at once, and not one after the other (S36)."""
    _waits_for: list[Child] = attrs.field(factory=list, kw_only=True)
    """Those whose back-off holds all the starts."""
    _begun: Child | None = attrs.field(default=None, init=False)
    """The one that was started last, for which the next has to wait."""
    progress: Progress = attrs.field(default="busy", init=False)
    """How far it had come when it was advanced last."""

    def __attrs_post_init__(self) -> None:
        for child in self._to_start:
            child.is_to_start = True

    def is_to_stop(self, child: Child) -> bool:
        """Whether it has to end before this agenda goes on to its starts."""
        return child.cell is not None and child in self._to_stop

    def advance(self) -> Progress:
        """Take the next step if the one before is done. Once all is done nothing more comes."""
        if self.progress != "done":
            self.progress = self._step()
        return self.progress

    def _step(self) -> Progress:
        while self._to_stop and self._to_stop[-1].cell is None:
            self._to_stop.pop()
        if self._to_stop:
            assert self._cause is not None  # whoever wants stops says why
            for child in reversed(self._to_stop) if self._is_at_once else self._to_stop[-1:]:
                self._runner.stop(child, self._cause)
            self._is_at_once = False
            return "busy"
        if self._begun is not None and self._begun.state in ("starting", "stopping"):
            return "busy"
        if any(child.state == "restarting" and child.due is not None for child in self._waits_for):
            return "waiting"
        while self._to_start:
            child = self._to_start.popleft()
            if child.is_to_start:
                self._begun = child
                self._runner.start(child)
                return "busy"
        return "done"
