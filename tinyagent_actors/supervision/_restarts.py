"""Restarts: how a child comes back, and who with it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio

from tinyagent_actors._errors import RestartPolicy
from tinyagent_actors.actors import Backoff, CancelCause, Cell
from tinyagent_actors.events import ActorRestartScheduledEvent
from tinyagent_actors.supervision._agenda import Agenda
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner
from tinyagent_actors.supervision._children import Children
from tinyagent_actors.supervision._decisions import (
    RestartWindow,
    backoff_seconds,
    group_of,
    is_restarted_along,
    restarts_groups,
)
from tinyagent_actors.supervision._options import SupervisorOptions

FAILED_BY_OTHERS: Final = Backoff(max_seconds=60, jitter=1)
"""For an error that asks for a back-off where nobody says which: what failed because of others may have failed for hundreds at once,
so the jitter is as long as the wait, and they come back spread out."""


@attrs.define(eq=False)
class Restarts:
    """Carries out the strategy of one incarnation of a supervisor: it neither judges an exit nor waits for anything."""

    path: str
    _options: SupervisorOptions
    _children: Children
    _runner: ChildRunner
    _random: Callable[[], float] = random.random
    """Gives the jitter of back-offs."""
    _window: RestartWindow = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._window = RestartWindow(self._options.max_restarts, self._options.max_seconds)

    def is_allowed(self) -> bool:
        """Enter a restart that is to be now; False if it is one too many."""
        return self._window.allows(trio.current_time())

    def begin(self, child: Child, cell: Cell, policy: RestartPolicy, agenda: Agenda) -> Agenda:
        """Start a child again, or let it wait for that; give what is to be done from now on.

        Where the strategy concerns nobody but the child, `agenda` goes on; else a new one takes its place, which ends and
        starts whom the old one was to start as well.

        Args:
            child: The child.
            cell: Its incarnation that has ended.
            policy: How its error wants to be treated.
            agenda: What is being done.
        """
        now = trio.current_time()
        seconds = self._backoff(child, policy, now)
        if seconds > 0:
            event = {"incarnation": cell.incarnation, "seconds": seconds, "failures": child.failures}
            child.cause = cell.publish(ActorRestartScheduledEvent, **event)
            self._runner.timers.arm(child, now + seconds)
        child.state = "restarting"
        if restarts_groups(self._options.strategy):
            return self._plan(child)
        if seconds == 0:
            self._runner.start(child)
        return agenda

    def _backoff(self, child: Child, policy: RestartPolicy, now: float) -> float:
        """Count a failure; give how long to wait."""
        backoff = child.spec.backoff or self._options.backoff
        if backoff is None:
            if policy != "backoff":
                return 0
            backoff = FAILED_BY_OTHERS
        if child.started_at is not None and now - child.started_at >= backoff.quiet_seconds:
            child.failures = 0
        seconds = backoff_seconds(backoff, child.failures, self._random())
        child.failures += 1
        child.started_at = None
        return seconds

    def _plan(self, failed: Child) -> Agenda:
        failed.is_to_start = True
        group = group_of(self._options.strategy, tuple(self._children), failed)
        for child in group:
            is_alive = child.is_to_start or child.state in ("starting", "running", "restarting")
            child.is_to_start = is_restarted_along(child.spec.restart, is_alive=is_alive)
        cause = CancelCause(self.path, f"{failed.spec.name!r} is restarted ({self._options.strategy})", "strategy")
        return Agenda(
            self._runner,
            to_stop=[child for child in group if child.cell is not None],
            cause=cause,
            waits_for=[child for child in group if child.state == "restarting" and child.due is not None],
            to_start=deque(child for child in self._children if child.is_to_start),
        )
