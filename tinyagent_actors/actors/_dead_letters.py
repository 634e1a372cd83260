"""Dead letters: messages that nobody will handle, counted always, told at most ten times a second for one target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import trio

from tinyagent_actors.events import DeadLetterEvent

if TYPE_CHECKING:
    from tinyagent_actors.actors._bus import EventBus

PER_SECOND: Final = 10
_TARGETS: Final = 10_000


@attrs.define(eq=False)
class _Window:
    since: float
    told: int = 0
    untold: int = 0


@attrs.define(eq=False)
class DeadLetters:
    """The office of dead letters of one system."""

    _bus: EventBus
    _windows: dict[str, _Window] = attrs.field(factory=dict, init=False)
    count: int = attrs.field(default=0, init=False)
    """How many there were so far."""

    def add(self, path: str, message: object, reason: str, *, cause: int | None = None) -> None:
        """Count a message to `path` that nobody will handle, and tell it unless too many were told this second."""
        self.count += 1
        now = trio.current_time()
        window = self._windows.get(path)
        if window is None:
            if len(self._windows) >= _TARGETS:
                self._windows.clear()
            window = self._windows[path] = _Window(now)
        if now - window.since >= 1.0:
            window.since, window.told = now, 0
        if window.told >= PER_SECOND:
            window.untold += 1
            return
        window.told += 1
        count, window.untold = window.untold + 1, 0
        self._bus.publish(
            DeadLetterEvent, path, message_type=type(message).__name__, reason=reason, count=count, cause=cause
        )

    def flush(self) -> None:
        """Tell what was counted and not told; for the end of a system."""
        for path, window in self._windows.items():
            if window.untold:
                self._bus.publish(
                    DeadLetterEvent, path, message_type="(several)", reason="stopped", count=window.untold
                )
                window.untold = 0
