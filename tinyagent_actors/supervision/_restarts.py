"""Restarts: how a child comes back, and who with it."""

from __future__ import annotations

from collections import deque

import attrs

from tinyagent_actors.actors import CancelCause
from tinyagent_actors.supervision._agenda import Agenda
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner
from tinyagent_actors.supervision._children import Children
from tinyagent_actors.supervision._decisions import RestartWindow, group_of, is_restarted_along
from tinyagent_actors.supervision._options import SupervisorOptions


@attrs.define(eq=False)
class Restarts:
    """Carries out the strategy of one incarnation of a supervisor: it neither judges an exit nor waits for anything."""

    path: str
    _options: SupervisorOptions
    _children: Children
    _runner: ChildRunner
    _window: RestartWindow = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._window = RestartWindow(self._options.max_restarts, self._options.max_seconds)

    def is_allowed(self, now: float) -> bool:
        """Enter a restart; False if it is one too many."""
        return self._window.allows(now)

    def begin(self, child: Child, agenda: Agenda) -> Agenda:
        """Start a child that has ended again, or let it wait for its turn; give what is to be done from now on.

        Where the strategy concerns nobody but the child, `agenda` goes on; else a new one takes its place, which ends and
        starts whom the old one was to start as well.
        """
        if self._options.strategy == "one_for_one":
            self._runner.start(child)
            return agenda
        return self._plan(child)

    def _plan(self, failed: Child) -> Agenda:
        failed.state = "restarting"
        failed.is_to_start = True
        group = group_of(self._options.strategy, tuple(self._children), failed)
        for child in group:
            is_alive = child.is_to_start or child.state in ("starting", "running")
            child.is_to_start = is_restarted_along(child.spec.restart, is_alive=is_alive)
        cause = CancelCause(self.path, f"{failed.spec.name!r} is restarted ({self._options.strategy})", "strategy")
        return Agenda(
            self._runner,
            to_stop=[child for child in group if child.cell is not None],
            cause=cause,
            to_start=deque(child for child in self._children if child.is_to_start),
        )
