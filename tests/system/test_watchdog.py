"""The watchdog: real time, because what it looks at is a loop that is held; short, and no figure is asserted but its own bound."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import settle, start, told
from tinyagent_actors import ActorContext, LoopBlockedEvent, SpecError, open_system
from tinyagent_actors.actors import Runtime, Subscription, conflate
from tinyagent_actors.events import SubscriberFailedEvent
from tinyagent_actors.system._watchdog import _WAITING, Watchdog

SLOW = 0.05


async def hold(ctx: ActorContext, seconds: float) -> None:
    """Hold the loop, and end with that step."""
    ctx.started()
    await trio.lowlevel.checkpoint()
    time.sleep(seconds)  # noqa: ASYNC251  # the point


async def hold_in_nursery(ctx: ActorContext, seconds: float) -> None:
    """Hold the loop in a task of a nursery, and go on."""

    async def held() -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # the point
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(held)
        ctx.started()


async def blocked(events: Subscription, path: str) -> Any:
    """Wait for what is told of code in this file at that path; a busy machine may hold the loop elsewhere, too."""
    with trio.fail_after(10):
        async for event in events:
            if isinstance(event, LoopBlockedEvent) and event.path == path and "test_watchdog.py" in event.where:
                return event
    raise AssertionError("the system has stopped")


@pytest.mark.parametrize("function", [hold, hold_in_nursery])
async def test_an_actor_that_holds_the_loop_is_named(function: Callable[..., Any]) -> None:
    """With the time, at least, and the place in its code; whether the step was its own or of a task it has opened."""
    async with open_system(slow_step=SLOW) as system, system.subscribe("**", policy=conflate()) as events:
        await start(system, function, 0.3, restart="temporary", shutdown="kill")
        event = await blocked(events, "/actor")

        assert SLOW * 4 / 5 <= event.seconds < 10
        assert event.where.endswith((" in hold", " in held"))
        assert event.cause is not None


async def test_what_is_no_actor_is_told_of_the_root() -> None:
    """The block of `open_system` itself."""
    async with open_system(slow_step=SLOW) as system, system.subscribe("**", policy=conflate()) as events:
        time.sleep(0.3)  # noqa: ASYNC251  # the point
        event = await blocked(events, "/")

        assert "test_what_is_no_actor" in event.where


async def test_a_step_that_takes_very_long_is_told_while_it_does(caplog: pytest.LogCaptureFixture) -> None:
    """Once: it may never end, and then no event would come."""
    with caplog.at_level(logging.WARNING, "tinyagent_actors"):
        async with open_system("slow", slow_step=SLOW):
            deadline = time.monotonic() + 10
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.01)  # noqa: ASYNC251  # the point
            time.sleep(SLOW)  # noqa: ASYNC251  # the point

    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("slow: the loop is held for ")
    assert "in test_a_step_that_takes_very_long" in said


def new_threads(before: list[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before]


async def test_nobody_looks_where_it_is_not_wanted() -> None:
    """With ``inf`` there is no thread; that of a system ends with it."""
    before = threading.enumerate()
    async with open_system(slow_step=float("inf")):
        assert new_threads(before) == []
    async with open_system(slow_step=SLOW):
        (watching,) = new_threads(before)
    watching.join(10)
    assert not watching.is_alive()


async def test_nobody_looks_under_a_virtual_clock(autojump_clock: trio.testing.MockClock) -> None:
    """A thread would come between the steps of a schedule that is to be repeatable."""
    before = threading.enumerate()
    async with open_system(slow_step=SLOW):
        assert new_threads(before) == []


async def test_no_step_may_take_no_time() -> None:
    """S18: the field is named; nothing was started."""
    for wrong in (0, -1, "fast"):
        with pytest.raises(SpecError) as caught:
            open_system(slow_step=wrong)
        assert caught.value.field == "slow_step"


def make(runtime: Runtime) -> tuple[Watchdog, Subscription]:
    return Watchdog(runtime, 1.0), runtime.bus.open_subscription("**")


async def test_an_idle_loop_is_left_alone() -> None:
    """It is not woken: no answer is asked for while it waits for the world."""
    watchdog, _ = make(Runtime("test"))
    loop = threading.get_ident()

    def look() -> object:
        deadline = time.monotonic() + 10
        while not sys._current_frames()[loop].f_globals["__name__"].startswith(_WAITING):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        watchdog.look(0.0)
        return watchdog._called_at

    assert await trio.to_thread.run_sync(look) is None


async def test_steps_that_are_short_are_not_told() -> None:
    """Also where the answer comes late because there were many: nothing stood on the stack all the time."""
    watchdog, events = make(Runtime("test"))
    watchdog.look(0.0)
    watchdog._held = {frame for frame in watchdog._held if frame.f_code.co_name == "no such"}
    watchdog._began_at = time.monotonic() - 100
    watchdog.answer()

    assert told(events) == []


async def test_a_step_after_the_one_that_was_looked_at_first_is_told_with_its_own_time() -> None:
    """They follow each other before the loop can answer: the first was short, and says nothing of the second."""
    watchdog, events = make(Runtime("test"))
    now = time.monotonic()
    looks = [[now - 200], [now - 100, now]]

    async def step() -> None:
        for at in looks.pop(0):
            watchdog.look(at)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(step)
        nursery.start_soon(step)
        await settle()
        nursery.cancel_scope.cancel()

    (event,) = told(events)
    assert 100 <= event.seconds < 150
    assert " in " in event.where


async def test_an_answer_in_time_is_no_matter() -> None:
    """And it is not asked for twice."""
    watchdog, events = make(Runtime("test"))
    watchdog.look(time.monotonic())
    asked_at = watchdog._called_at
    watchdog.look(time.monotonic())
    assert watchdog._called_at == asked_at is not None
    await settle()

    assert (watchdog._called_at, told(events)) == (None, [])


async def test_a_fault_of_its_own_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time; afterwards it sees as before."""
    broken = {"on": True}
    frames = sys._current_frames

    def current_frames() -> Any:
        if broken["on"]:
            raise LookupError("no frames today")
        return frames()

    monkeypatch.setattr(sys, "_current_frames", current_frames)
    async with open_system(slow_step=SLOW) as system, system.subscribe("**", policy=conflate()) as events:
        for _ in range(2):
            with trio.fail_after(10):
                report = await anext(events)
            assert isinstance(report, SubscriberFailedEvent)
            assert (report.subscriber, str(report.error)) == ("watchdog", "LookupError: no frames today")

        broken["on"] = False
        await start(system, hold, 0.3, restart="temporary")
        await blocked(events, "/actor")
