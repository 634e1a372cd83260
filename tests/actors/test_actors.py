"""Actors in a system: tell, ask, monitors, exits."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tinyagent_actors import (
    ActorContext,
    ActorDiedError,
    ActorRef,
    ActorStoppedError,
    AskCycleError,
    ChildSpec,
    DeadLetterEvent,
    Down,
    NotAnsweredError,
    System,
    open_system,
)


async def echo(ctx: ActorContext) -> None:
    async for message in ctx.messages():
        if isinstance(message, Exception):
            raise message
        if message == "silent":
            continue
        ctx.reply(message)


async def start(system: System, function: Any = echo, *args: Any, **options: Any) -> ActorRef:
    ref: ActorRef = await system.start_child(ChildSpec(options.pop("name", "actor"), function, args=args, **options))
    return ref


async def test_an_ask_is_answered() -> None:
    """An ask gives what the actor replied."""
    async with open_system() as system:
        ref = await start(system)

        assert await ref.ask(5) == 5


async def test_a_crash_fails_the_ask_in_hand_at_once_and_keeps_the_mailbox() -> None:
    """S59, S62: the asker in hand gets the cause at once; what is queued is served by the next incarnation, in order."""
    seen: list[object] = []

    async def poisoned(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "poison":
                raise ValueError(message)
            seen.append(message)
            ctx.reply(message)

    async with open_system() as system:
        ref = await start(system, poisoned)
        async with trio.open_nursery() as nursery:
            with pytest.raises(ActorDiedError) as caught:
                nursery.start_soon(_tell_all, ref, [1, 2])
                await ref.ask("poison")

        assert str(caught.value.cause) == "ValueError: poison"
        assert await ref.ask(3) == 3
        assert seen == [1, 2, 3]


async def _tell_all(ref: ActorRef, messages: list[Any]) -> None:
    for message in messages:
        await ref.tell(message)


async def test_an_actor_that_moves_on_fails_the_ask() -> None:
    """Moving on without a reply is NotAnsweredError, not silence."""
    async with open_system() as system:
        ref = await start(system)
        with pytest.raises(NotAnsweredError):
            await ref.ask("silent")


async def test_a_late_reply_is_a_dead_letter(autojump_clock: trio.testing.MockClock) -> None:
    """S58: the reply to an ask whose asker went away is a dead letter, and never the answer to the next ask."""

    async def slow(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await trio.sleep(2)
            ctx.reply(message)

    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, slow)
        with trio.move_on_after(1):
            await ref.ask("first")

        assert await ref.ask("second") == "second"
        told = []
        while (event := events.next_nowait()) is not None:
            told.append(event)
        assert [event.reason for event in told if isinstance(event, DeadLetterEvent)] == ["late_reply"]


async def test_a_withdrawn_ask_is_taken_out_unread(autojump_clock: trio.testing.MockClock) -> None:
    """An ask that is cancelled while queued is not handled at all."""
    seen: list[object] = []

    async def busy(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append(message)
            await trio.sleep(5)
            ctx.reply(message)

    async with open_system() as system:
        ref = await start(system, busy)
        await ref.tell("long")
        with trio.move_on_after(1):
            await ref.ask("withdrawn")
        await ref.ask("after")

    assert seen == ["long", "after"]


async def test_the_askers_deadline_travels() -> None:
    """The envelope carries the caller's effective deadline; `ctx.deadline` is it."""
    deadlines: list[float] = []

    async def look(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            deadlines.append(ctx.deadline)
            ctx.reply(None)

    async with open_system() as system:
        ref = await start(system, look)
        with trio.fail_after(30):
            wanted = trio.current_effective_deadline()
            await ref.ask("look")

    assert deadlines == [wanted]


async def test_asks_in_a_circle_are_refused() -> None:
    """S60: the ask that would close a circle raises, with the path; asking oneself too."""

    async def forward(ctx: ActorContext, others: dict[str, ActorRef]) -> None:
        async for message in ctx.messages():
            try:
                ctx.reply(await others[ctx.name].ask(message))
            except AskCycleError as error:
                ctx.reply(error.cycle)

    others: dict[str, ActorRef] = {}
    async with open_system() as system:
        a = await start(system, forward, others, name="a")
        b = await start(system, forward, others, name="b")
        others.update(a=b, b=a)

        assert await a.ask("go") == ("/b", "/a", "/b")
        others["a"] = a
        assert await a.ask("go") == ("/a", "/a")


async def test_messages_to_a_ref_that_is_gone() -> None:
    """S67: a tell is a dead letter, never an exception; an ask says that nobody is there."""
    async with open_system() as system:
        ref = await start(system)
        await ref.stop()
        await ref.tell("anybody?")

        assert system.runtime.dead_letters.count == 1
        with pytest.raises(ActorStoppedError):
            await ref.ask("anybody?")


async def test_monitoring_tells_once_and_a_dead_one_at_once() -> None:
    """S50, S51, S52: a `Down` per monitor with the reason, after the end; of one that is gone `noproc`; none after demonitor."""

    async def watcher(ctx: ActorContext, ref: ActorRef) -> None:
        downs: list[Down] = []
        first, dropped = ref.monitor(), ref.monitor()
        dropped.demonitor()
        async for message in ctx.messages():
            if isinstance(message, Down):
                downs.append(message)
                assert message.monitor is first or message.exit.reason == "noproc"
            elif message == "again":
                ref.monitor()
            else:
                ctx.reply([down.exit.reason for down in downs])

    async with open_system() as system:
        watched = await start(system, name="watched", restart="temporary")
        observer = await start(system, watcher, watched, name="watcher")
        await watched.tell(ValueError("end"))
        await watched.wait_stopped()

        assert await observer.ask("list") == ["error"]
        await observer.tell("again")
        assert await observer.ask("list") == ["error", "noproc"]
        with pytest.raises(RuntimeError, match="inside an actor"):
            watched.monitor()


async def test_refs_tell_incarnations_apart() -> None:
    """S67: equal only with the same incarnation; any of them reaches the child."""
    async with open_system() as system:
        ref = await start(system)
        await ref.tell(ValueError("end"))
        exited = await ref.wait_stopped()
        await ref.ask("awake?")
        again = system.child("actor", ActorRef)

        assert exited.reason == "error"
        assert again != ref
        assert again.incarnation == 2
        assert await ref.ask("both") == await again.ask("both")


async def test_a_tell_with_room_does_not_switch_but_the_64th_does() -> None:
    """A loop of tells cannot starve others: a task's 64th in a row is a full checkpoint."""
    async with open_system() as system:
        ref = await start(system)
        await ref.ask("ready")
        before = trio.lowlevel.current_task()._schedule_points
        for number in range(63):
            await ref.tell("silent")
            if number < 62:
                assert trio.lowlevel.current_task()._schedule_points == before
        await ref.tell("silent")

        assert trio.lowlevel.current_task()._schedule_points > before


async def test_kill_and_stop() -> None:
    """S40: stop lets the handler finish and outranks what is queued; kill cancels it in the middle."""
    done: list[object] = []

    async def worker(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await trio.sleep(0.01)
            done.append(message)

    async with open_system() as system:
        ref = await start(system, worker)
        await ref.tell(1)
        await ref.tell(2)
        await trio.testing.wait_all_tasks_blocked()
        await ref.stop()
        assert done == [1]

        other = await start(system, worker, name="other", restart="temporary")
        await other.tell(3)
        await trio.testing.wait_all_tasks_blocked()
        other.kill("a test")
        exited = await other.wait_stopped()
        assert (exited.reason, exited.cause and exited.cause.why) == ("killed", "a test")
        assert done == [1]
