"""What wakes the watchdog's thread, and who keeps it from waking."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from tests._kernel import start
from tests.system.test_watchdog import SLOW, blocked, hold
from tinyagent_actors import open_system
from tinyagent_actors.actors import Runtime, conflate
from tinyagent_actors.system import _watchdog
from tinyagent_actors.system._alarm import PlainAlarm, TimerAlarm, make_alarm
from tinyagent_actors.system._watchdog import Watchdog

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's timers are Linux's")


@attrs.define
class Wound:
    """An alarm that only keeps when it was wound up."""

    at: list[float] = attrs.field(factory=list)

    def wind(self) -> None:
        self.at.append(round(trio.current_time(), 6))

    def wait(self) -> bool:
        return False

    def stop(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("kind", [make_alarm, PlainAlarm])
def test_it_goes_off_again_and_again_until_it_is_stopped(kind: type[PlainAlarm]) -> None:
    """Where nobody winds it up; and the thread that waits learns of the stop at once, however long the time is."""
    alarm = kind(0.001)
    assert [alarm.wait() for _ in range(3)] == [True] * 3
    alarm.stop()
    alarm.stop()
    assert not alarm.wait()

    patient = kind(3600)

    def wait() -> None:
        while patient.wait():  # the timer goes off just before the stop is written down
            pass

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    patient.stop()
    thread.join(10)
    assert not thread.is_alive()


@on_linux
def test_winding_it_up_puts_it_off() -> None:
    """One that is due now is not, after that."""
    alarm = make_alarm(3600)
    assert isinstance(alarm, TimerAlarm)
    alarm._set(1e-6)
    deadline = time.monotonic() + 10
    while not _is_due(alarm):
        assert time.monotonic() < deadline
    alarm.wind()
    assert not _is_due(alarm)
    alarm.stop()
    while alarm.wait():
        pass


def _is_due(alarm: TimerAlarm) -> bool:
    os.set_blocking(alarm._descriptor, False)
    try:
        return bool(os.read(alarm._descriptor, 8))
    except BlockingIOError:
        return False
    finally:
        os.set_blocking(alarm._descriptor, True)


@on_linux
def test_where_the_kernel_gives_no_timer_the_thread_wakes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left, for one."""

    class Exhausted:
        @staticmethod
        def timerfd_create(*_: object) -> int:
            return -1

    monkeypatch.setattr(ctypes, "PyDLL", lambda _: Exhausted)
    assert isinstance(make_alarm(1), PlainAlarm)


async def test_a_loop_winds_it_up_as_long_as_it_has_much_to_do(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice between two looks, so that none comes between short steps. Then not at all, until a look has found it in a step again."""
    watchdog, alarm = Watchdog(Runtime("test"), 1.0), Wound()
    watchdog._alarm = alarm
    # For 0.35 s it has much to do, then for a long time little, then much.
    monkeypatch.setattr(time, "thread_time", lambda: min(trio.current_time(), 0.35) + max(0, trio.current_time() - 60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watchdog._beat)
        await trio.sleep(30)
        assert alarm.at == [0.0, 0.1, 0.2, 0.3]
        watchdog.answer()
        await trio.sleep(20)
        assert alarm.at[4:] == [30.0]
        await trio.sleep(20)
        watchdog.answer()
        await trio.sleep(0.25)
        assert alarm.at[5:] == [70.0, 70.1, 70.2]
        watchdog._beating.cancel()


@pytest.mark.parametrize("kind", [make_alarm, PlainAlarm])
async def test_who_holds_the_loop_is_named_with_either(monkeypatch: pytest.MonkeyPatch, kind: type[PlainAlarm]) -> None:
    """Also where the loop was busy with short steps before."""
    monkeypatch.setattr(_watchdog, "make_alarm", kind)
    async with open_system(slow_step=SLOW) as system, system.subscribe("**", policy=conflate()) as events:
        ends = time.monotonic() + SLOW
        while time.monotonic() < ends:
            await trio.lowlevel.checkpoint()
        await start(system, hold, 0.3, restart="temporary", shutdown="kill")
        event = await blocked(events, "/actor")

    assert event.seconds >= SLOW * 4 / 5


@on_linux
async def test_nothing_of_it_is_left_when_the_system_has_ended() -> None:
    """No descriptor, no task."""
    async with open_system(slow_step=SLOW):
        pass
    before = _held()
    for _ in range(3):
        async with open_system(slow_step=SLOW):
            assert _held() != before

    assert _held() == before


def _held() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), trio.lowlevel.current_statistics().tasks_living
