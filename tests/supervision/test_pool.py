"""Pools: one bounded queue, workers that pull from it when they are free, and what becomes of the work of those that end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests._kernel import child, crash, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorDiedError,
    ActorRef,
    ActorStoppedError,
    CancelCause,
    ChildSpec,
    DeadLetterEvent,
    Down,
    MailboxFullError,
    NoMembersError,
    PipedValue,
    PoolRef,
    ReceiveTimeout,
    SpecError,
    System,
    open_system,
    pool,
)


@attrs.define(eq=False)
class Works:
    """A worker that holds each message until it is let go, and tells who has what."""

    has: dict[str, object] = attrs.field(factory=dict)
    """What each worker has in hand."""
    done: list[object] = attrs.field(factory=list)
    taken: list[tuple[str, object]] = attrs.field(factory=list)
    gates: dict[object, trio.Event] = attrs.field(factory=dict)
    holds: bool = True

    async def __call__(self, ctx: ActorContext) -> None:
        """Work."""
        async for message in ctx.messages():
            assert ctx.name not in self.has
            self.taken.append((ctx.name, message))
            self.has[ctx.name] = message
            try:
                if self.holds:
                    await self.gate(message).wait()
                if isinstance(message, str) and message.startswith("poison"):
                    raise ValueError(message)
            finally:
                del self.has[ctx.name]
            self.done.append(message)
            ctx.reply((ctx.name, message))

    def gate(self, message: object) -> trio.Event:
        return self.gates.setdefault(message, trio.Event())

    async def let_go(self, *messages: object) -> None:
        for message in messages:
            self.gate(message).set()
            await settle()


CAUSE = CancelCause("a test", "it says so", "stop")


async def open_pool(system: System, works: Callable[..., Any], size: int, **options: Any) -> PoolRef:
    """Start a pool of workers."""
    ref: PoolRef = await system.start_child(pool("pool", child("w", works, **options), size=size, max_restarts=100))
    return ref


async def send(ref: PoolRef, *messages: object) -> None:
    """Send each when all is quiet."""
    for message in messages:
        await ref.tell(message)
        await settle()


async def test_idle_workers_pull_and_busy_ones_do_not() -> None:
    """S61: nobody has a second message while it is busy; whoever is free first takes the next, however slow another is."""
    works = Works()
    async with open_system() as system:
        ref = await open_pool(system, works, 2)
        await send(ref, "slow", 1, 2, 3)
        assert works.has == {"w-1": "slow", "w-2": 1}
        assert ref.statistics().depth == 2
        await works.let_go(1, 2, 3)
        assert works.has == {"w-1": "slow"}
        await works.let_go("slow")

    assert works.done == [1, 2, 3, "slow"]
    assert [name for name, _ in works.taken] == ["w-1", "w-2", "w-2", "w-2"]


async def test_who_has_been_idle_longest_is_first() -> None:
    """S61: work goes round among those that are free."""
    works = Works(holds=False)
    async with open_system() as system:
        ref = await open_pool(system, works, 3)
        await send(ref, *range(6))

    assert works.taken == [("w-1", 0), ("w-2", 1), ("w-3", 2), ("w-1", 3), ("w-2", 4), ("w-3", 5)]


async def test_the_queue_is_bounded_and_pushes_back() -> None:
    """S61: a full queue makes its senders wait, in their order, and refuses those that will not."""
    works = Works()
    async with open_system() as system:
        ref = await open_pool(system, works, 1, mailbox_capacity=2)
        await send(ref, 0, 1, 2)
        with pytest.raises(MailboxFullError):
            ref.tell_nowait("no room")
        async with trio.open_nursery() as nursery:
            for message in (3, 4):
                nursery.start_soon(ref.tell, message)
                await settle()
            assert (ref.statistics().depth, ref.statistics().waiting, ref.statistics().peak) == (2, 2, 2)
            await works.let_go(0, 1)
            assert ref.statistics().waiting == 0
        await works.let_go(2, 3, 4)

    assert works.done == [0, 1, 2, 3, 4]


async def test_the_work_of_one_that_crashes_is_done_by_whoever_is_free() -> None:
    """S62: with `redeliver` what was in hand goes back, first in line, and is done once, by another or by the one that is back; nothing else is touched."""
    seen: list[tuple[str, int]] = []
    done: list[str] = []
    gate = trio.Event()

    async def work(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append((message, ctx.deliveries))
            await gate.wait()
            if message == "first" and ctx.deliveries == 1:
                raise ValueError(message)
            done.append(message)

    async with open_system() as system:
        ref = await open_pool(system, work, 2, redeliver=1)
        await send(ref, "first", "second", "third", "fourth")
        assert seen == [("first", 1), ("second", 1)]
        gate.set()
        await settle()

        assert sorted(seen) == [("first", 1), ("first", 2), ("fourth", 1), ("second", 1), ("third", 1)]
        assert sorted(done) == ["first", "fourth", "second", "third"]
        assert seen.index(("first", 2)) < seen.index(("fourth", 1))
        assert system.runtime.dead_letters.count == 0


@pytest.mark.parametrize(("redeliver", "reason"), [(0, "crashed_in_hand"), (2, "parked")])
async def test_a_poison_message_kills_each_worker_at_most_so_often(redeliver: int, reason: str) -> None:
    """S63: after `redeliver` more deliveries, to whichever workers, it is a dead letter; the rest of the queue is done."""
    works = Works(holds=False)
    async with open_system() as system, system.subscribe("pool/**") as events:
        ref = await open_pool(system, works, 2, redeliver=redeliver)
        await send(ref, "poison", 1, 2)

        assert [message for _, message in works.taken].count("poison") == redeliver + 1
        assert works.done == [1, 2]
        letters = told(events, DeadLetterEvent)
        assert [letter.reason for letter in letters] == [reason]


async def test_an_ask_is_answered_by_whoever_takes_it() -> None:
    """S59: with that worker's reply; if the worker crashes with it in hand, at once with ActorDiedError, and nobody else gets it."""
    works = Works(holds=False)
    async with open_system() as system:
        ref = await open_pool(system, works, 2, redeliver=3)

        assert await ref.ask("hello") == ("w-1", "hello")
        with pytest.raises(ActorDiedError) as caught:
            await ref.ask("poison")
        assert caught.value.path == "/pool/w-2"
        assert works.taken == [("w-1", "hello"), ("w-2", "poison")]


async def test_a_cancelled_ask_leaves_the_queue(autojump_clock: trio.testing.MockClock) -> None:
    """S59: it is taken out unread, its edge goes, and a sender that waits has its room."""
    works = Works()
    async with open_system() as system:
        ref = await open_pool(system, works, 1, mailbox_capacity=1)
        await send(ref, "busy")
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1):
                async with trio.open_nursery() as asking:
                    asking.start_soon(ref.ask, "withdrawn")
                    await settle()
                    nursery.start_soon(ref.tell, "waits")
            await settle()
            assert (ref.statistics().depth, ref.statistics().waiting) == (1, 0)
        await works.let_go("busy", "waits")

    assert works.done == ["busy", "waits"]


@pytest.mark.parametrize("end", ["stop", "kill", "terminate"])
@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_worker_that_leaves_is_noticed(end: str, is_busy: bool) -> None:  # noqa: FBT001  # a parameter
    """S35, S62: whatever ends a worker, idle or busy, the others do the rest; what it had in hand is finished, or comes again."""
    works = Works(holds=is_busy)
    async with open_system() as system:
        ref = await open_pool(system, works, 2, redeliver=1)
        await send(ref, "a", "b")
        leaver = ref.child("w-1")
        async with trio.open_nursery() as nursery:
            match end:
                case "stop":
                    nursery.start_soon(leaver.stop)
                case "kill":
                    leaver.kill()
                case _:
                    nursery.start_soon(ref.terminate_child, "w-1")
            await settle()
            await send(ref, "c", "d")
            await works.let_go("a", "b", "c", "d")
        await settle()

        assert sorted(map(str, works.done)) == ["a", "b", "c", "d"]
        assert ref.count_children().active == (2 if end == "kill" else 1)


async def test_a_pool_without_workers_says_so() -> None:
    """S59, S67: when the last worker is gone for good, what lies unread is dead letters, asks and senders that wait are told, and so is whoever comes later."""
    works = Works()
    errors: list[Exception] = []

    async def ask(ref: PoolRef) -> None:
        try:
            await ref.ask("asked")
        except NoMembersError as error:
            errors.append(error)

    async with open_system() as system, system.subscribe("pool") as events:
        ref = await open_pool(system, works, 2, mailbox_capacity=2)
        await send(ref, 1, 2, "told")
        async with trio.open_nursery() as nursery:
            for waiter in (ask, lambda ref: ref.tell("waits")):
                nursery.start_soon(waiter, ref)
                await settle()
            for number in (1, 2):
                nursery.start_soon(ref.terminate_child, f"w-{number}")
                await settle()
                await works.let_go(number)
                if number == 1:
                    assert errors == []

        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["stopped"] * 3
        assert len(errors) == 1
        for again in (ref.tell, ref.ask):
            with pytest.raises(NoMembersError):
                await again("anything")
        with pytest.raises(NoMembersError):
            ref.tell_nowait("anything")
        await ref.restart_child("w-1")
        works.holds = False
        assert await ref.ask("again") == ("w-1", "again")


async def test_a_pool_that_is_gone_says_so(autojump_clock: trio.testing.MockClock) -> None:
    """S67: what lay in its queue, and what is told to it, are dead letters; an ask and a look raise; the graph knows it no more."""
    works = Works()
    async with open_system() as system, system.subscribe("pool") as events:
        ref = await open_pool(system, works, 1)
        await send(ref, 1, 2)
        await ref.stop()

        await ref.tell("late")
        ref.tell_nowait("late")
        with pytest.raises(ActorStoppedError):
            await ref.ask("late")
        with pytest.raises(ActorStoppedError):
            ref.statistics()
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["stopped"] * 3
        assert system.runtime.wait_graph._pools == {}


async def test_a_restarted_worker_goes_on_with_the_queue() -> None:
    """S62: while the only worker is started again its pool is not without workers, and nothing of the queue is lost."""
    works = Works(holds=False)
    async with open_system() as system:
        ref = await open_pool(system, works, 1)
        for message in ("poison", 1, 2):
            await ref.tell(message)
        await settle()

        assert works.done == [1, 2]
        assert ref.child("w-1").incarnation == 2


async def test_what_is_told_to_one_worker_is_for_that_one() -> None:
    """S61: control first, then what was told to this very worker, then the queue; and whoever is woken and has something else wakes the next."""
    seen: list[tuple[str, object]] = []

    async def work(ctx: ActorContext, other: ActorRef) -> None:
        other.monitor()
        async for message in ctx.messages():
            if isinstance(message, Down):
                message = "down"  # noqa: PLW2901  # shown by its name
            seen.append((ctx.name, message))
            await trio.lowlevel.checkpoint()

    async with open_system() as system:
        other = await start(system, name="other", restart="temporary")
        ref: PoolRef = await system.start_child(pool("pool", child("w", work, other), size=2))
        await settle()
        await crash(other)
        for target, message in ((ref.child("w-1"), "own"), (ref, "one"), (ref, "two"), (ref, "three")):
            await target.tell(message)
        await settle()

        assert [message for name, message in seen if name == "w-1"][:2] == ["down", "own"]
        assert {message for _, message in seen} == {"down", "own", "one", "two", "three"}
        assert len(seen) == 6


@pytest.mark.parametrize("finds", ["stop", "control", "own"])
async def test_a_worker_that_was_woken_for_work_and_finds_something_else_wakes_the_next(finds: str) -> None:
    """S40, S61: be it a stop, control, or what was told to itself: the message does not lie there while another is idle."""
    seen: list[tuple[str, object]] = []
    gate = trio.Event()

    async def work(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append((ctx.name, message))
            if message != "work":
                await gate.wait()
        await gate.wait()  # it takes its time to end

    async with open_system() as system:
        ref = await open_pool(system, work, 2)
        await settle()
        ref.tell_nowait("work")  # wakes w-1, which has not run yet
        address = ref.child("w-1").address
        match finds:
            case "stop":
                address.cell.request_stop(CAUSE)
            case "control":
                address.mailbox.post("control")
            case _:
                ref.child("w-1").tell_nowait("own")
        await settle()

        assert ("w-2", "work") in seen
        gate.set()


async def test_what_one_that_comes_not_again_had_in_hand_is_for_those_that_are_idle() -> None:
    """S62: it wakes one of them."""
    works = Works()
    async with open_system() as system:
        ref = await open_pool(system, works, 2, redeliver=1, restart="temporary")
        await send(ref, "poison")
        await works.let_go("poison")

        assert works.taken == [("w-1", "poison"), ("w-2", "poison")]


async def test_the_queue_has_the_priorities_of_its_workers() -> None:
    """S61: what is urgent is taken first, whoever takes it."""
    works = Works()
    async with open_system() as system:
        ref = await open_pool(system, works, 1, mailbox_priority=lambda message: 0 if message == "urgent" else 1)
        await send(ref, "busy", "later", "urgent")
        await works.let_go("busy", "urgent", "later")

    assert works.done == ["busy", "urgent", "later"]


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "2"])
async def test_a_wrong_size_is_refused(size: Any) -> None:
    """S18: the field is named."""
    with pytest.raises(SpecError, match="size"):
        pool("pool", child("w"), size=size)


async def test_a_name_for_many_is_refused() -> None:
    """S18, S55: of many workers only one could have it."""
    with pytest.raises(SpecError, match="register"):
        pool("pool", ChildSpec("w", Works(), register="worker"), size=2)


async def test_a_worker_has_its_own_timers_and_silence(autojump_clock: trio.testing.MockClock) -> None:
    """S65: they come out between the messages of the queue, in turns with them; results of its background tasks too."""
    seen: list[tuple[float, object]] = []

    async def later() -> str:
        await trio.sleep(3)
        return "result"

    async def works(ctx: ActorContext) -> None:
        ctx.send_every(2, "tick")
        ctx.pipe_to_self(later)
        ctx.receive_timeout = 1.2
        async for message in ctx.messages():
            seen.append((trio.current_time() - began, message))
            ctx.reply("answer")

    began = trio.current_time()
    async with open_system() as system:
        ref = await open_pool(system, works, 1)
        await trio.sleep(0.5)
        assert await ref.ask("work") == "answer"
        await trio.sleep(4)
        assert await ref.ask("more") == "answer"

    assert seen == [
        (0.5, "work"),
        (1.7, ReceiveTimeout(1.2)),
        (2.0, "tick"),
        (3.0, PipedValue("result")),
        (4.0, "tick"),
        (4.5, "more"),
    ]


async def test_a_fast_timer_of_a_worker_starves_no_queue(autojump_clock: trio.testing.MockClock) -> None:
    """S65: while work lies in the queue, each second message is one of it."""
    seen: list[object] = []

    async def works(ctx: ActorContext) -> None:
        ctx.send_every(1, "tick")
        async for message in ctx.messages():
            seen.append(message)
            await trio.sleep(1.5)

    async with open_system() as system:
        ref = await open_pool(system, works, 1)
        await trio.sleep(1)
        for number in range(3):
            await ref.tell(number)
        await trio.sleep(9)

    assert seen == ["tick", 0, "tick", 1, "tick", 2, "tick"]
