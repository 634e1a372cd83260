"""The deadline of an ask: it travels, and is the asker's own as it is now."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests._kernel import settle, start
from tinyagent_actors import ActorContext, ActorRef, ReplySlot, open_system
from tinyagent_actors.actors._cancelled import caller_deadline, deadline_now, deadline_of_caller, read_deadline


async def test_the_askers_deadline_travels() -> None:
    """The envelope carries the caller's effective deadline; `ctx.deadline` is it, and only as long as the ask is in hand."""
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
        await ref.tell("look")
        await settle()

    assert deadlines == [wanted, float("inf")]


async def test_the_askers_deadline_is_the_one_it_has_now(autojump_clock: trio.testing.MockClock) -> None:
    """S59: one that is moved while the ask is in hand moves `ctx.deadline`; of an asker that was answered it is `inf`, of one that has gone `-inf`."""
    deadlines: list[float] = []
    gate = trio.Event()

    async def look(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            deadlines.append(ctx.deadline)
            await gate.wait()
            deadlines.append(ctx.deadline)
            if message == "answer":
                ctx.reply(None)
                deadlines.append(ctx.deadline)

    async def ask(ref: ActorRef, scope: trio.CancelScope, message: str) -> None:
        with scope:
            await ref.ask(message)

    async with open_system() as system:
        ref = await start(system, look)
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope(deadline=trio.current_time() + 30)
            first = scope.deadline
            nursery.start_soon(ask, ref, scope, "answer")
            await settle()
            scope.deadline += 10
            gate.set()
            await settle()
            assert deadlines == [first, first + 10, float("inf")]
            gate = trio.Event()
            nursery.start_soon(ask, ref, trio.CancelScope(deadline=trio.current_time() + 1), "silent")
            await trio.sleep(2)
            gate.set()
            await settle()

    assert deadlines[-1] == -float("inf")


@pytest.mark.parametrize("look", [deadline_of_caller, deadline_now])
async def test_both_ways_to_a_deadline_agree(look: Callable[[trio.lowlevel.Task], trio.lowlevel.Task | float]) -> None:
    """The quick way, which is in use here, and the public one: of no scope, of the nearest of several, of a cancelled one."""
    async with open_system() as system:
        task = trio.lowlevel.current_task()

        def seen() -> float:
            return ReplySlot("/a", look(task), system.runtime.dead_letters).deadline

        found = [seen()]
        soon = trio.current_time() + 50
        with trio.CancelScope(deadline=soon) as outer, trio.CancelScope(deadline=soon + 20):
            found.append(seen())
            outer.cancel()
            found.append(seen())
            await trio.lowlevel.checkpoint()

    assert found == [float("inf"), soon, -float("inf")]
    assert caller_deadline is deadline_of_caller


async def test_a_task_that_has_ended_has_no_deadline() -> None:
    """Whoever looks late finds `inf`."""
    tasks: list[trio.lowlevel.Task] = []

    async def ends() -> None:
        tasks.append(trio.lowlevel.current_task())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends)

    assert read_deadline(tasks[0]) == float("inf")
