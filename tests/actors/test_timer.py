"""Timers and the receive timeout: exact, of one incarnation, and in nobody's way."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import crash, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ReceiveTimeout,
    SpecError,
    Timer,
    open_system,
)
from tinyagent_actors.actors._timer import Timers
from tinyagent_actors.events import SubscriberFailedEvent


async def test_messages_come_exactly_when_they_are_due(autojump_clock: trio.testing.MockClock) -> None:
    """S65: once after `send_after`, each time after `send_every`, in the order in which they are due, without drift."""
    seen: list[tuple[float, object]] = []

    async def timed(ctx: ActorContext) -> None:
        began = trio.current_time()
        ctx.send_after(0.25, "once")
        ctx.send_every(0.1, "tick")
        ctx.send_after(0, "now")
        async for message in ctx.messages():
            seen.append((trio.current_time() - began, message))
            if len(seen) == 6:
                return

    async with open_system() as system:
        ref = await start(system, timed, restart="temporary")
        await ref.wait_stopped()

    times = [time for time, _ in seen]
    assert [message for _, message in seen] == ["now", "tick", "tick", "once", "tick", "tick"]
    assert times == pytest.approx([0, 0.1, 0.2, 0.25, 0.3, 0.4], abs=1e-9)


async def test_a_timer_that_was_cancelled_sends_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """S65: not later, and not if its message is due and unread; twice changes nothing, nor does it after the message."""
    seen: list[object] = []

    async def timed(ctx: ActorContext) -> None:
        late, unread, kept = (ctx.send_after(seconds, seconds) for seconds in (5, 1, 2))
        every = ctx.send_every(1, "every")
        ctx.started()
        await trio.sleep(3)
        for timer in (late, unread, unread, every):
            timer.cancel()
        seen.append([timer.is_active for timer in (late, unread, every, kept)])
        async for message in ctx.messages():
            seen.append(message)
            kept.cancel()

    async with open_system() as system:
        await start(system, timed)
        await trio.sleep(20)

    assert seen == [[False, False, False, True], 2]


async def test_an_unread_periodic_message_is_not_queued_twice(autojump_clock: trio.testing.MockClock) -> None:
    """S65: what was not read in time is left out and counted; the times stay as they were."""
    seen: list[tuple[float, int]] = []

    async def slow(ctx: ActorContext) -> None:
        began = trio.current_time()
        timer = ctx.send_every(1, "tick")
        async for _ in ctx.messages():
            seen.append((trio.current_time() - began, timer.missed))
            if len(seen) == 1:
                await trio.sleep(3.5)
            if len(seen) == 4:
                return

    async with open_system() as system:
        ref = await start(system, slow, restart="temporary")
        await ref.wait_stopped()

    assert seen == [(1, 0), (4.5, 2), (5, 2), (6, 2)]


async def test_no_timer_of_an_old_incarnation_fires_into_the_next(autojump_clock: trio.testing.MockClock) -> None:
    """S65: after a crash, neither one that is due nor one that is to come, of either kind; what it left counts as cancelled."""
    seen: list[object] = []
    timers: list[Timer] = []

    async def timed(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            timers.extend([ctx.send_after(1, "due"), ctx.send_after(5, "later"), ctx.send_every(1, "every")])
            ctx.started()
            await trio.sleep(2)
            raise ValueError("boom")
        seen.extend([message async for message in ctx.messages()])

    async with open_system() as system:
        await start(system, timed)
        await trio.sleep(20)
        assert system.child("actor", ActorRef).incarnation == 2

    assert seen == []
    assert [timer.is_active for timer in timers] == [False] * 3


async def test_a_timer_is_over_with_the_stop(autojump_clock: trio.testing.MockClock) -> None:
    """S65: a message that is due comes no more once the actor was asked to stop; afterwards none can be set."""
    seen: list[object] = []
    contexts: list[ActorContext] = []

    async def timed(ctx: ActorContext) -> None:
        contexts.append(ctx)
        ctx.send_after(1, "due")
        ctx.started()
        await ctx.wait_stopping()
        seen.extend([message async for message in ctx.messages()])

    async with open_system() as system:
        ref = await start(system, timed)
        await trio.sleep(2)
        await ref.stop()
        with pytest.raises(RuntimeError, match="has ended"):
            contexts[0].send_after(1, "too late")

    assert seen == []


async def test_a_full_mailbox_holds_no_timer_back(autojump_clock: trio.testing.MockClock) -> None:
    """S65, S61: its message is read in turns with what lies there; none of the senders' is lost for it."""
    seen: list[object] = []

    async def timed(ctx: ActorContext) -> None:
        ctx.send_after(1, "timer")
        ctx.started()
        await trio.sleep(2)
        seen.extend([message async for message in ctx.messages()])

    async with open_system() as system:
        ref = await start(system, timed, mailbox_capacity=2, mailbox_policy="reject")
        for number in range(2):
            await ref.tell(number)
        await trio.sleep(3)
        assert system.runtime.dead_letters.count == 0

    assert seen == ["timer", 0, 1]


async def test_a_fast_timer_does_not_starve_work(autojump_clock: trio.testing.MockClock) -> None:
    """S65: a timer that is always due again when its message has been handled has every second turn, while work lies there."""
    seen: list[object] = []

    async def slow(ctx: ActorContext) -> None:
        ctx.send_every(1, "tick")
        async for message in ctx.messages():
            seen.append(message)
            await trio.sleep(1.5)

    async with open_system() as system:
        ref = await start(system, slow)
        await trio.sleep(1)
        for number in range(3):
            await ref.tell(number)
        await trio.sleep(9)

    assert seen == ["tick", 0, "tick", 1, "tick", 2, "tick"]


async def test_a_timer_set_by_another_task_wakes_the_actor(autojump_clock: trio.testing.MockClock) -> None:
    """S65: also one that has parked without a time, or for a later one; a receive timeout too."""
    seen: list[tuple[float, object]] = []

    async def timed(ctx: ActorContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(setter, ctx)
            seen.extend([(trio.current_time() - began, message) async for message in ctx.messages()])

    async def setter(ctx: ActorContext) -> None:
        await trio.sleep(1)
        ctx.send_after(10, "long")
        await trio.sleep(1)
        ctx.send_after(1, "short")
        await trio.sleep(2)
        ctx.receive_timeout = 2

    began = trio.current_time()
    async with open_system() as system:
        await start(system, timed)
        await trio.sleep(7)

    assert seen == [(3, "short"), (6, ReceiveTimeout(2))]


async def test_nothing_that_is_no_time_is_taken() -> None:
    """S65: a `SpecError` names the field; nothing is set."""
    refused: list[str] = []

    async def timed(ctx: ActorContext) -> None:
        for set_it, seconds in (
            (ctx.send_after, -1),
            (ctx.send_after, math.nan),
            (ctx.send_every, 0),
            (ctx.send_every, math.inf),
            (ctx.send_every, "1"),
        ):
            with pytest.raises(SpecError) as caught:
                set_it(seconds, "never")
            refused.append(caught.value.field)
        with pytest.raises(SpecError) as caught:
            ctx.receive_timeout = -1
        refused.append(caught.value.field)

    async with open_system() as system:
        await start(system, timed, restart="temporary")

    assert refused == ["seconds"] * 5 + ["receive_timeout"]


async def test_a_crash_over_a_timer_message_is_no_dead_letter(autojump_clock: trio.testing.MockClock) -> None:
    """S65, S62: it is the actor's own, so it is nobody's loss, and is not delivered again."""
    seen: list[object] = []

    async def timed(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            ctx.send_after(1, "poison")
        async for message in ctx.messages():
            seen.append(message)
            raise ValueError(message)

    async with open_system() as system:
        await start(system, timed)
        await trio.sleep(5)
        assert system.runtime.dead_letters.count == 0

    assert seen == ["poison"]


async def test_a_timer_leads_to_what_is_done_for_it(autojump_clock: trio.testing.MockClock) -> None:
    """S65: the event that led to the timer is the cause of what its message leads to, whatever came in between."""

    async def timed(ctx: ActorContext) -> None:
        ctx.started()
        ctx.cell.publish(SubscriberFailedEvent, subscriber="armed", error=None)
        ctx.send_after(1, "tick")
        async for message in ctx.messages():
            ctx.cell.publish(SubscriberFailedEvent, subscriber=str(message), error=None)

    async with open_system() as system, system.subscribe("*") as events:
        ref = await start(system, timed)
        await ref.tell("work")
        await trio.sleep(2)
        armed, _, tick = told(events, SubscriberFailedEvent)

        assert (tick.subscriber, tick.cause) == ("tick", armed.seq)


def test_cancelled_timers_are_no_pile() -> None:
    """S65: an actor that sets a timeout anew with each message, and cancels it, holds few of them; those that run stay in order."""
    timers = Timers()
    kept = [timers.add(0, seconds, seconds, None, repeats=False) for seconds in (3000, 1000, 2000)]
    for number in range(10_000):
        timers.add(number, 1e6, "timeout", None, repeats=False).cancel()
    assert len(timers._heap) < 200
    fired = [timer.message for _ in kept if (timer := timers.take_due(5000)) is not None]

    assert fired == [1000, 2000, 3000]
    assert timers.next_due() == math.inf


async def test_silence_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """A `ReceiveTimeout` after so many seconds without a message, anew after each message; the time of handling does not count."""
    seen: list[tuple[float, Any]] = []

    async def patient(ctx: ActorContext) -> None:
        assert ctx.receive_timeout is None
        ctx.receive_timeout = 3
        async for message in ctx.messages():
            seen.append((trio.current_time() - began, message))
            if message == "slow":
                await trio.sleep(10)
            if len(seen) == 4:
                ctx.receive_timeout = None

    began = trio.current_time()
    async with open_system() as system:
        ref = await start(system, patient)
        await trio.sleep(2)
        await ref.tell("slow")
        await trio.sleep(50)

    assert seen == [(2, "slow"), *((time, ReceiveTimeout(3)) for time in (15, 18, 21))]


async def test_a_withdrawn_ask_breaks_no_silence(autojump_clock: trio.testing.MockClock) -> None:
    """What is taken out unread counts for no message: the seconds go on."""
    seen: list[tuple[float, Any]] = []

    async def patient(ctx: ActorContext) -> None:
        ctx.receive_timeout = 3
        async for message in ctx.messages():
            seen.append((trio.current_time() - began, message))
            return

    began = trio.current_time()
    async with open_system() as system:
        ref = await start(system, patient, restart="temporary")
        await trio.sleep(2)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ref.ask, "withdrawn")
                nursery.start_soon(cancel_soon, scope)
        await ref.wait_stopped()

    assert seen == [(3, ReceiveTimeout(3))]


async def cancel_soon(scope: trio.CancelScope) -> None:
    """Cancel a scope in the tick in which an ask was queued."""
    scope.cancel()


async def test_one_that_uses_none_of_this_has_no_lane() -> None:
    """What an actor does not use is not made for it."""
    async with open_system() as system:
        ref = await start(system)
        await crash(ref)
        await settle()
        cell = system.child("actor", ActorRef)._cell
        assert cell is not None
        assert cell._context is not None

        assert (cell._context.own, cell.links) == (None, None)
