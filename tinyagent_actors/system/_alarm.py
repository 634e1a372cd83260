"""Alarm: what wakes a thread when the loop has not said for a while that it goes on.

A thread of Python that wakes up waits for the interpreter's lock. Trio's loop gives the lock away at each of its polls, and has
it back before the thread, which is told each time, could take it; so where the loop is busy with short steps the thread wakes and
waits for as long as that lasts. That made such a loop a fifth slower. Here the kernel waits in the thread's place: a timer
(`timerfd`, Linux) that the loop winds up anew, and that ends the thread's read only where the loop did not come in time.

Where there is no such timer the thread wakes each time and looks by itself.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from typing import Final, Protocol

import attrs

_MONOTONIC: Final = 1
_CLOSE_ON_EXEC: Final = 0o2000000
_AT_ONCE: Final = 1e-6


class Alarm(Protocol):
    """Wakes the one thread that waits for it."""

    def wind(self) -> None:
        """Let it go off in `seconds` from now, and again after as many, and not before."""

    def wait(self) -> bool:
        """Wait until it goes off; False if it was stopped. For a thread that may wait."""

    def stop(self) -> None:
        """Have the thread end; nobody winds it up any more."""


class _Setting(ctypes.Structure):
    """The kernel's `struct itimerspec`: the interval, then the first time, each in seconds and nanoseconds."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


@attrs.define(eq=False)
class TimerAlarm:
    """An alarm that a timer of the kernel keeps. The thread that waits closes the timer when it was stopped."""

    _seconds: float
    _library: ctypes.PyDLL
    """Called without giving the interpreter's lock away: nothing in it waits."""
    _descriptor: int
    _is_stopped: bool = attrs.field(default=False, init=False)

    def wind(self) -> None:
        """Let it go off in `seconds` from now, and again after as many, and not before."""
        if not self._is_stopped:
            self._set(self._seconds)

    def wait(self) -> bool:
        """Wait until it goes off; False if it was stopped. For a thread that may wait."""
        os.read(self._descriptor, 8)
        if self._is_stopped:
            os.close(self._descriptor)
        return not self._is_stopped

    def stop(self) -> None:
        """Have the thread end; nobody winds it up any more."""
        if not self._is_stopped:
            self._set(
                _AT_ONCE
            )  # again and again, so that the thread sees the next line, too, before it closes the timer
            self._is_stopped = True

    def _set(self, seconds: float) -> None:
        whole, part = int(seconds), int(seconds % 1 * 1e9)
        setting = _Setting(whole, part, whole, part)
        self._library.timerfd_settime(self._descriptor, 0, ctypes.byref(setting), None)


@attrs.define(eq=False)
class PlainAlarm:
    """An alarm that goes off again and again, however often it is wound up."""

    _seconds: float
    _is_stopped: threading.Event = attrs.field(factory=threading.Event, init=False)

    def wind(self) -> None:
        """Change nothing."""

    def wait(self) -> bool:
        """Wait until it goes off; False if it was stopped. For a thread that may wait."""
        return not self._is_stopped.wait(self._seconds)

    def stop(self) -> None:
        """Have the thread end."""
        self._is_stopped.set()


def make_alarm(seconds: float) -> Alarm:
    """Give an alarm that goes off after so many seconds without being wound up; it is wound up now."""
    if sys.platform != "linux":
        return PlainAlarm(seconds)
    library = ctypes.PyDLL(None)
    descriptor = library.timerfd_create(_MONOTONIC, _CLOSE_ON_EXEC)
    if descriptor < 0:  # no descriptor is left, for one
        return PlainAlarm(seconds)
    alarm = TimerAlarm(seconds, library, descriptor)
    alarm.wind()
    return alarm
