"""Agenda: what a supervisor does one after the other."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, TypeAlias

import attrs

from tinyagent_actors.actors import CancelCause
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner

Progress: TypeAlias = Literal["busy", "waiting", "done"]
"""`waiting`: nothing is under way; the starts wait for the end of a back-off."""

TURNS: Final = 256
"""In so many turns of the loop all of those that stop side by side have been asked to."""
FEWEST: Final = 4
"""So many of them are asked in one turn, if there are as many."""


@attrs.define(eq=False)
class Agenda:
    """Children to be stopped, the last one first (S14), then children to be started, the first one first.

    One at a time: the next is begun when the one before has ended, or has started. A start-up has only starts, a shutdown
    only stops; a group that is restarted has its stops, then its starts, which may wait for a back-off. Whoever takes a
    child's `is_to_start` away takes its start off the agenda.

    Those that stop side by side are asked a few at a time, and nobody's end is waited for in between. Asked all in one step, a
    thousand of them would go through each step of their end together, and what each holds and makes in it, frames and exceptions, be
    there a thousand times at once: that costs as much again in the garbage collector as the stops themselves.
    """

    _runner: ChildRunner
    _to_stop: list[Child] = attrs.field(factory=list, kw_only=True)
    """The next is the last."""
    _cause: CancelCause | None = attrs.field(default=None, kw_only=True)
    """Why those are stopped."""
    _to_start: deque[Child] = attrs.field(factory=deque, kw_only=True)
    """The next is the first."""
    _is_at_once: bool = attrs.field(default=False, kw_only=True)
    """Whether all are asked to stop side by side, and not one after the other (S36)."""
    _unasked: list[Child] = attrs.field(factory=list, init=False)
    """Of those that stop side by side, who is still to be asked; the next is the last."""
    _group: int = attrs.field(default=0, init=False)
    """How many are asked in one turn of the loop."""
    _waits_for: list[Child] = attrs.field(factory=list, kw_only=True)
    """Those whose back-off holds all the starts."""
    _begun: Child | None = attrs.field(default=None, init=False)
    """The one that was started last, for which the next has to wait."""
    progress: Progress = attrs.field(default="busy", init=False)
    """How far it had come when it was advanced last."""

    def __attrs_post_init__(self) -> None:
        for child in self._to_start:
            child.is_to_start = True
        if self._is_at_once:
            self._unasked = list(self._to_stop)
            self._group = max(FEWEST, -(-len(self._unasked) // TURNS))

    def is_to_stop(self, child: Child) -> bool:
        """Whether it has to end before this agenda goes on to its starts."""
        return child.cell is not None and child in self._to_stop

    def advance(self) -> Progress:
        """Take the next step if the one before is done. Once all is done nothing more comes."""
        if self.progress != "done":
            self.progress = self._step()
        return self.progress

    def ask_some(self) -> bool:
        """Ask the next few of those that stop side by side; whether there are more, for the next turn of the loop."""
        for _ in range(min(self._group, len(self._unasked))):
            self._stop(self._unasked.pop())
        return bool(self._unasked)

    def _stop(self, child: Child) -> None:
        assert self._cause is not None  # whoever wants stops says why
        self._runner.stop(child, self._cause)

    def _step(self) -> Progress:
        while self._to_stop and self._to_stop[-1].cell is None:
            self._to_stop.pop()
        if self._to_stop:
            if not self._is_at_once:
                self._stop(self._to_stop[-1])
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
