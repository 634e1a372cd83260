"""The deadlines of one stream, on a clock that runs only while somebody waits for the next event.

All times are seconds of waiting since the stream was opened, the waits for a place and between attempts among them. So a reader that goes away for an hour has made nobody
late, and one subtraction gives the Trio deadline of a wait.
"""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from tinyagent_actors.providers._options import Timeouts

SILENCE_AFTER_FINISH: Final = 10.0
"""Seconds without a byte after a finish reason that end the stream well, end marker or not."""


def _limit(seconds: float | None) -> float:
    return inf if seconds is None else seconds


@attrs.define(eq=False)
class StreamClock:
    """When a stream has waited too long, and for what."""

    _timeouts: Timeouts
    waited: float = attrs.field(default=0.0, init=False)
    _first_byte: float = attrs.field(default=inf, init=False)
    _idle: float = attrs.field(default=inf, init=False)
    _progress: float = attrs.field(default=inf, init=False)
    _silence: float = attrs.field(default=inf, init=False)
    _turn: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turn = _limit(self._timeouts.turn)

    def start_attempt(self) -> None:
        """Begin anew for another request; only the deadline of the whole stream stays."""
        self._first_byte = self._idle = self._progress = self._silence = inf

    @property
    def is_spent(self) -> bool:
        """Whether the time of the whole stream is over."""
        return self.waited >= self._turn

    def sent(self, waiting: float = 0.0) -> None:
        """Note that the request was sent, `waiting` seconds into a wait that is not counted yet."""
        if self._first_byte == inf and self._idle == inf:
            now = self.waited + waiting
            self._first_byte = now + _limit(self._timeouts.first_byte)
            self._progress = now + _limit(self._timeouts.progress)

    def bytes_came(self, *, is_event: bool, is_finished: bool) -> None:
        """Note bytes of the body: whether they made an event, and whether a finish reason has been seen."""
        self._first_byte = inf
        self._idle = self.waited + _limit(self._timeouts.idle)
        if is_event:
            self._progress = self.waited + _limit(self._timeouts.progress)
        if is_finished:
            self._silence = self.waited + SILENCE_AFTER_FINISH

    def is_early(self, request_age: float) -> bool:
        """Whether the deadline that passed ran from before the request was sent, so many seconds ago; it then runs anew."""
        if self._idle == inf:
            sent = max(0.0, self.waited - request_age)
            self._first_byte = max(self._first_byte, sent + _limit(self._timeouts.first_byte))
            self._progress = max(self._progress, sent + _limit(self._timeouts.progress))
        return self.left() > 0

    def left(self) -> float:
        """Seconds of waiting until the nearest deadline."""
        return min(self._first_byte, self._idle, self._progress, self._silence, self._turn) - self.waited

    def reason(self) -> str:
        """Say which deadline is the nearest."""
        timeouts = self._timeouts
        due = {
            f"nothing came for {timeouts.first_byte} s after the request was sent": self._first_byte,
            f"no byte came for {timeouts.idle} s": self._idle,
            f"no event came for {timeouts.progress} s": self._progress,
            f"the stream was silent for {SILENCE_AFTER_FINISH} s after its finish reason": self._silence,
            f"the stream was not over after {timeouts.turn} s": self._turn,
        }
        return min(due, key=lambda reason: due[reason])
