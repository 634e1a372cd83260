"""Asks in a circle: the one that would close it is refused; whoever leaves takes its edge along."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import settle, start
from tests.actors.test_ask import slow
from tinyagent_actors import ActorContext, ActorRef, ActorStoppedError, AskCycleError, open_system


async def forward(ctx: ActorContext, others: dict[str, Any]) -> None:
    """Ask whoever is next, and reply with the answer or the circle."""
    async for message in ctx.messages():
        try:
            ctx.reply(await others[ctx.name].ask(message))
        except AskCycleError as error:
            ctx.reply(error.cycle)


async def test_asks_in_a_circle_are_refused() -> None:
    """S60: the ask that would close a circle raises, with the path, across any number of actors; asking oneself too."""
    others: dict[str, Any] = {}
    async with open_system() as system:
        a, b, c = [await start(system, forward, others, name=name) for name in "abc"]
        others.update(a=b, b=c, c=a)

        with trio.fail_after(5):
            assert await a.ask("go") == ("/c", "/a", "/b", "/c")
        others["a"] = a
        assert await a.ask("go") == ("/a", "/a")
        assert len(system.runtime.wait_graph) == 0


async def test_an_ask_from_outside_closes_no_circle() -> None:
    """S60: whoever waits outside of actors is waited for by nobody."""
    async with open_system() as system:
        ref = await start(system)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, 1)
            nursery.start_soon(ref.ask, 2)
            await settle()

        assert len(system.runtime.wait_graph) == 0


async def test_a_cancelled_ask_takes_its_edge_along(autojump_clock: trio.testing.MockClock) -> None:
    """S60: after it, the other direction is free; parallel asks of one handler keep theirs."""
    edges: list[int] = []

    async def impatient(ctx: ActorContext, target: ActorRef) -> None:
        async for message in ctx.messages():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(target.ask, "one")
                await settle()
                with trio.move_on_after(1):
                    await target.ask("two")
                edges.append(len(ctx.runtime.wait_graph))
            edges.append(len(ctx.runtime.wait_graph))
            ctx.reply(message)

    async with open_system() as system:
        target = await start(system, slow, name="target")
        asker = await start(system, impatient, target)
        await asker.ask("go")

    assert edges == [1, 0]


async def test_systems_do_not_mix_their_circles() -> None:
    """S60: an actor of another system with the same path is somebody else; to ask it is no circle."""
    others: dict[str, Any] = {}
    async with open_system("one") as one, open_system("two") as two:
        here, there = await start(one, forward, others), await start(two)
        others["actor"] = there

        assert await here.ask("hello") == "hello"
        assert len(two.runtime.wait_graph) == 0


async def test_what_one_that_was_given_up_asks_is_no_edge_of_its_successor(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S32, S60: its task still asks, and never hears; whoever it asked may ask the successor."""
    others: dict[str, Any] = {}
    release, asked = trio.Event(), trio.Event()

    async def haunted(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            async for message in ctx.messages():
                ctx.reply(message)
        ctx.started()
        with trio.CancelScope(shield=True):
            await release.wait()
            with pytest.raises(ActorStoppedError):
                await others["b"].ask("never answered")

    async def answers_others(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "never answered":
                ctx.defer_reply()
                asked.set()
            else:
                ctx.reply(await others["a"].ask(message))

    async with open_system() as system:
        a, b = await start(system, haunted, name="a"), await start(system, answers_others, name="b")
        others.update(a=a, b=b)
        a.kill()
        await trio.sleep(10)
        release.set()
        await asked.wait()

        assert await b.ask("hello") == "hello"
