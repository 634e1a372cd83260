"""Asks in a circle: the one that would close it is refused; whoever leaves takes its edge along."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from tests._kernel import settle, start
from tests.actors.test_ask import slow
from tinyagent_actors import ActorContext, ActorRef, AskCycleError, open_system


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
