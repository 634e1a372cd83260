"""The watchdog: who held the loop.

Everything of a system runs in one thread, a step of one task at a time; a step that computes, or calls what blocks, holds all
others. The watchdog tells of it, and by whom it was.

The design. A thread looks at the loop's stack `_LOOKS` times in `slow_step`. Where it finds the loop in the middle of a step
(an idle loop is left alone) it has the loop call `_answer`, which the loop can only do between steps. A call that comes too
late is a loop that was held; what stands on the stack at every look since then is the step that held it. Steps follow each other before
the loop can answer, so a look that finds another step than the one before counts the time from itself. Its task is
sought afterwards, in the loop, among all tasks: by the coroutine it runs, or, where it has ended with that step, by the body
of the actor, or the call of a tool, that stood on the stack. While a step goes on for more than `_LOUD` times `slow_step`, and so may never end, the
thread itself says where it is.

So a step that is longer than `slow_step` is always told, and one that takes four fifths of it may be; its `seconds` are those
from the first look that found it, and so a little too few. Several steps in a row, each of them short, are not told.

What it costs is a look, and a call, twenty times a second where the loop has little to do, and nothing for a step or a message.
Where it has much to do, the thread's wish to look is what costs (`_alarm`). There a task of the loop's (`_beat`) winds the alarm up
before it goes off, so that the thread sleeps until a step is longer than the time between two looks. A loop that has little to do is
not woken for that: the task waits until a look has found the loop in a step.

Refused: an instrument of Trio's, which would be exact. It is called at each step, and a step is short: with `before_task_step`
and `after_task_step` an ask took 1.4 times as long, with `before_task_step` alone 1.1 times, even where it was a function in C
that only kept the task.

Under a virtual clock there is no watchdog: its thread would come between the steps of a schedule that is to be repeatable.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

import attrs
import trio

from tinyagent_actors.actors import CallPlace, Cell, Runtime, as_fact, cell_of_frame, current_place
from tinyagent_actors.events import LoopBlockedEvent, SubscriberFailedEvent
from tinyagent_actors.system._alarm import Alarm, make_alarm
from tinyagent_actors.tools import place_of_frame

DEFAULT_SLOW_STEP: Final = 0.25
_LOOKS: Final = 5
_LOUD: Final = 4
_BUSY: Final = 0.5
"""The share of a processor above which the loop has much to do."""
_WAITING: Final = "trio._core._io_"
"""Where Trio waits for the world: the head of the module's name."""

_LOOP: Final = "unrolled_run"
"""The function of Trio's that runs the steps."""

_log: Final = logging.getLogger("tinyagent_actors")


@attrs.define(eq=False)
class Watchdog:
    """Watches one loop for one system, from `start` to `stop`."""

    _runtime: Runtime
    _slow_step: float
    _token: trio.lowlevel.TrioToken = attrs.field(factory=trio.lowlevel.current_trio_token, init=False)
    _loop_thread: int = attrs.field(factory=threading.get_ident, init=False)
    _alarm: Alarm = attrs.field(init=False)
    _beating: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    _has_ended: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    """Set when the thread has nothing left to do."""
    _was_in_a_step: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    """Set when a look has found the loop in a step."""
    _is_stopped: bool = attrs.field(default=False, init=False)
    _called_at: float | None = attrs.field(default=None, init=False)
    """When the loop was asked to answer; None if it is not to."""
    _began_at: float = attrs.field(default=0.0, init=False)
    """When the step that is held was found; a step after the one at which the loop was asked has its own time."""
    _held: set[FrameType] = attrs.field(factory=set, init=False)
    """What of that step stood on the stack at every look."""
    _where: str = attrs.field(default="", init=False)
    """Where the loop was at the latest look."""
    _is_said: bool = attrs.field(default=False, init=False)
    """Whether the thread has said where the loop is, because it is taking very long."""

    def start(self) -> None:
        """Begin to watch."""
        self._alarm = make_alarm(self._slow_step / _LOOKS)
        threading.Thread(target=self._watch, name="tinyagent_actors watchdog", daemon=True).start()
        trio.lowlevel.spawn_system_task(self._beat, name="watchdog", context=contextvars.Context())

    def stop(self) -> None:
        """Watch no more. A second time changes nothing."""
        self._is_stopped = True
        self._alarm.stop()
        self._beating.cancel()

    async def wait_stopped(self) -> None:
        """Wait until its thread has given back what it had, for a second at most. Cancelling it leaves nothing behind."""
        with trio.move_on_after(1):
            await self._has_ended.wait()

    async def _beat(self) -> None:
        """Wind the alarm up while the loop is busy, so that it never goes off between short steps; else wait for a look that finds it so."""
        pause = self._slow_step / _LOOKS / 2
        with self._beating:
            while True:
                self._alarm.wind()
                used = time.thread_time()
                await trio.sleep(pause)
                if time.thread_time() - used <= pause * _BUSY:
                    self._was_in_a_step = trio.Event()
                    await self._was_in_a_step.wait()

    # In its own thread.

    def _watch(self) -> None:
        while self._alarm.wait():
            try:
                self.look(time.monotonic())
            except trio.RunFinishedError:
                self._alarm.stop()
            except Exception as error:  # noqa: BLE001  # a fault of its own: told, and no reason to look no more
                self._tell_fault(error)
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._has_ended.set)

    def look(self, now: float) -> None:
        """See what the loop is at, and have it answer if it is in the middle of a step.

        Raises:
            trio.RunFinishedError: There is no loop any more.
        """
        stack = list(_step(sys._current_frames().get(self._loop_thread)))  # noqa: SLF001  # there is no other way
        if self._called_at is None:
            if stack and not stack[0].f_globals.get("__name__", "").startswith(_WAITING):
                self._held, self._where = set(stack), _place(stack[0])
                self._began_at = self._called_at = now
                self._token.run_sync_soon(self.answer)
        else:
            self._held.intersection_update(stack)
            if stack and not self._held:  # another step by now: its time begins here
                self._held, self._began_at = set(stack), now
            self._where = _place(stack[0]) if stack else self._where
            seconds = now - self._began_at
            if seconds >= _LOUD * self._slow_step and not self._is_said:
                self._is_said = True
                _log.warning("%s: the loop is held for %.1f s: %s", self._runtime.name, seconds, self._where)

    def _tell_fault(self, error: Exception) -> None:
        def tell() -> None:
            self._runtime.bus.publish(SubscriberFailedEvent, "/", subscriber="watchdog", error=as_fact(error))

        try:
            self._token.run_sync_soon(tell)
        except trio.RunFinishedError:
            self._alarm.stop()

    # In the loop.

    def answer(self) -> None:
        """Tell of the step before, if it was too long: an event about the actor whose it was, or about ``/``."""
        was_called, held, where = self._called_at is not None, self._held, self._where
        seconds = time.monotonic() - self._began_at
        self._held = set()
        self._called_at, self._is_said = None, False
        self._was_in_a_step.set()
        if not was_called or seconds < self._slow_step * (_LOOKS - 1) / _LOOKS or self._is_stopped:
            return
        task = next((task for task in _tasks() if getattr(task.coro, "cr_frame", None) in held), None)
        places = (cell_of_frame(frame) or place_of_frame(frame) for frame in held)
        place = task.context.get(current_place) if task is not None else next(filter(None, places), None)
        if task is None and place is None:
            return  # several steps
        cell = place.cell if isinstance(place, CallPlace) else place
        if isinstance(cell, Cell) and cell.runtime is self._runtime:
            cell.publish(LoopBlockedEvent, seconds=seconds, where=where)
        else:
            self._runtime.bus.publish(LoopBlockedEvent, "/", seconds=seconds, where=where)


def _step(frame: FrameType | None) -> Iterator[FrameType]:
    """Give the frames of the step that the loop is in, from the innermost; those of the loop itself stand under every step."""
    while frame is not None and frame.f_code.co_name != _LOOP:
        yield frame
        frame = frame.f_back


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _tasks() -> Iterator[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        yield task
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]


def has_real_time() -> bool:
    """Whether this run's clock goes as the world's: not where it is the mock clock of `trio.testing`."""
    testing = sys.modules.get("trio.testing")
    return testing is None or not isinstance(trio.lowlevel.current_clock(), testing.MockClock)
