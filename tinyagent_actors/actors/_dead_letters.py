"""Dead letters: messages that nobody will handle, counted always, told at most ten times a second for one target."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs
import trio

from tinyagent_actors.events import DeadLetterEvent

if TYPE_CHECKING:
    from tinyagent_actors.actors._bus import EventBus

PER_SECOND: Final = 10
_TARGETS: Final = 10_000


@attrs.define(eq=False)
class _Target:
    told: deque[float] = attrs.field(factory=lambda: deque(maxlen=PER_SECOND))
    """When the latest were told."""
    untold: int = 0


@attrs.define(eq=False)
class DeadLetters:
    """The office of dead letters of one system."""

    _bus: EventBus
    _targets: dict[str, _Target] = attrs.field(factory=dict, init=False)
    count: int = attrs.field(default=0, init=False)
    """How many there were so far."""

    def add(self, path: str, message: object, reason: str, *, cause: int | None = None) -> None:
        """Count a message to `path` that nobody will handle, and tell it unless too many were told this second.

        What was not told is told with the next that is (`DeadLetterEvent.count`), or at the end of the system.
        """
        self.count += 1
        target = self._targets.get(path) or self._new_target(path)
        now = trio.current_time()
        if len(target.told) == PER_SECOND and now - target.told[0] < 1.0:
            target.untold += 1
            return
        target.told.append(now)
        count, target.untold = target.untold + 1, 0
        self._bus.publish(
            DeadLetterEvent, path, message_type=type(message).__name__, reason=reason, count=count, cause=cause
        )

    def _new_target(self, path: str) -> _Target:
        if len(self._targets) >= _TARGETS:
            self.flush()
            self._targets.clear()
        target = self._targets[path] = _Target()
        return target

    def flush(self) -> None:
        """Tell what was counted and not told; for the end of a system."""
        for path, target in self._targets.items():
            if target.untold:
                count, target.untold = target.untold, 0
                self._bus.publish(DeadLetterEvent, path, message_type="(several)", reason="stopped", count=count)
