"""Asks of a pool: a circle is closed only if every worker waits for the asker, at the ask, at the dispatch, and when one is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio

from tests._kernel import child, settle, start
from tinyagent_actors import ActorContext, ActorRef, AskCycleError, PoolRef, System, open_system, pool

Step = Callable[[ActorContext], Awaitable[Any]]


async def does(ctx: ActorContext) -> None:
    """Do what it is asked to: messages are functions of the context; reply with what comes of it."""
    async for step in ctx.messages():
        try:
            ctx.reply(await step(ctx))
        except AskCycleError as error:
            ctx.reply(error.cycle)


async def name(ctx: ActorContext) -> str:
    """Say who one is."""
    return ctx.name


@attrs.define(eq=False)
class Cast:
    """A pool, an asker beside it, and what came of the asks."""

    pool: PoolRef
    asker: ActorRef
    nursery: trio.Nursery
    answers: dict[str, object] = attrs.field(factory=dict)

    async def begin(self, key: str, target: ActorRef, step: Step) -> None:
        """Ask without waiting for the answer, and let all happen that can."""

        async def ask() -> None:
            self.answers[key] = await target.ask(step)

        self.nursery.start_soon(ask)
        await settle()

    def asks_pool(self, step: Step = name) -> Step:
        return lambda _: self.pool.ask(step)

    def asks_asker(self, step: Step = name) -> Step:
        return lambda _: self.asker.ask(step)


async def open_cast(system: System, nursery: trio.Nursery, size: int, **options: Any) -> Cast:
    """Start a pool of workers and an actor beside it."""
    ref: PoolRef = await system.start_child(pool("pool", child("w", does, **options), size=size))
    return Cast(ref, await start(system, does, name="asker"), nursery)


def after(gate: trio.Event, step: Step = name) -> Step:
    """Wait, then do."""

    async def wait(ctx: ActorContext) -> Any:
        await gate.wait()
        return await step(ctx)

    return wait


async def test_the_only_worker_cannot_ask_its_own_pool() -> None:
    """S60: it would wait for itself; the path says so."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 1)

        assert await cast.pool.ask(cast.asks_pool()) == ("/pool/w-1", "/pool", "/pool/w-1")
        assert len(system.runtime.wait_graph) == 0


async def test_a_worker_may_ask_its_own_pool_while_another_is_free() -> None:
    """S60: that is no circle; the call that leaves nobody free is."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2)

        assert await cast.pool.ask(cast.asks_pool()) == "w-2"
        cycle = await cast.pool.ask(cast.asks_pool(cast.asks_pool()))
        assert cycle[0] == cycle[-1]
        assert {"/pool", cycle[0]} <= set(cycle)
        assert len(system.runtime.wait_graph) == 0


async def test_a_circle_over_a_queue_needs_every_worker() -> None:
    """S60: an actor waits for the pool, whose workers are busy; one of them may ask it, the last one may not."""
    gates = [trio.Event(), trio.Event()]
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2)
        for number, gate in enumerate(gates):
            await cast.begin(f"worker {number}", cast.pool, after(gate, cast.asks_asker()))
        await cast.begin("asker", cast.asker, cast.asks_pool())
        gates[0].set()
        await settle()
        assert cast.answers == {}
        gates[1].set()
        await settle()

        assert cast.answers["worker 1"] == ("/pool/w-2", "/asker", "/pool", "/pool/w-2")
        assert cast.answers["asker"] == "w-2"
        assert cast.answers["worker 0"] == "asker"
        assert len(system.runtime.wait_graph) == 0


async def test_what_a_worker_has_taken_is_asked_of_that_one() -> None:
    """S60: from the dispatch on the asker waits for this worker, who may not ask it back, however many others are free."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 3)

        cycle = await cast.asker.ask(cast.asks_pool(cast.asks_asker()))
        assert cycle == ("/pool/w-1", "/asker", "/pool/w-1")


async def waits_behind(cast: Cast, asks: Step | None = None) -> trio.CancelScope:
    """Let the first worker be idle with a task in its background that waits for the asker, the second one busy; then let the asker ask the pool."""
    scope, go = trio.CancelScope(), trio.Event()

    async def in_background() -> None:
        with scope:
            await cast.asker.ask(name)

    async def leave_behind(ctx: ActorContext) -> str:
        here = trio.lowlevel.current_task().context.copy()
        here.run(lambda: cast.nursery.start_soon(in_background))
        return ctx.name

    await cast.begin("asker", cast.asker, after(go, asks or cast.asks_pool()))
    await cast.begin("left behind", cast.pool, leave_behind)
    return_of_second = trio.Event()
    cast.answers["gate"] = return_of_second
    await cast.begin("second", cast.pool.child("w-2"), after(return_of_second))
    go.set()
    await settle()
    assert "asker" not in cast.answers
    assert cast.pool.statistics().depth == 1
    return scope


async def test_an_idle_worker_that_waits_for_the_asker_does_not_take_it() -> None:
    """S60: at the dispatch, too: another worker gets it when it is free."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2)
        await waits_behind(cast)
        gate = cast.answers["gate"]
        assert isinstance(gate, trio.Event)
        gate.set()
        await settle()

        assert cast.answers["asker"] == "w-2"


async def test_what_was_held_back_is_taken_when_the_edge_has_gone() -> None:
    """S60: the idle worker waits for the asker no more, and takes it; it is not forgotten."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2)
        scope = await waits_behind(cast)
        scope.cancel()
        await settle()

        assert cast.answers["asker"] == "w-1"
        gate = cast.answers["gate"]
        assert isinstance(gate, trio.Event)
        gate.set()


@pytest.mark.parametrize("goes", ["withdrawn", "taken"])
async def test_what_waited_behind_it_is_for_those_that_are_idle(goes: str) -> None:
    """S60, S61: an ask that was held back filled the queue; when it goes, a sender comes in, and an idle worker has the message."""
    done: list[str] = []
    scope, end = trio.CancelScope(), trio.Event()

    async def note(ctx: ActorContext) -> None:
        done.append(ctx.name)

    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2, mailbox_capacity=1)

        async def asks_for_a_while(_ctx: ActorContext) -> None:
            with scope:
                await cast.pool.ask(after(end))

        await waits_behind(cast, asks_for_a_while)
        nursery.start_soon(cast.pool.tell, note)
        await settle()
        assert (done, cast.pool.statistics().waiting) == ([], 1)
        gate = cast.answers["gate"]
        assert isinstance(gate, trio.Event)
        if goes == "withdrawn":
            scope.cancel()
        else:
            gate.set()
        await settle()
        assert done == ["w-1"]
        gate.set()
        end.set()


async def test_a_worker_that_is_lost_can_close_the_circle() -> None:
    """S60: when the last one that did not wait for the asker is gone for good, the ask that lies in the queue fails."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, 2)
        await waits_behind(cast)
        gate = cast.answers["gate"]
        assert isinstance(gate, trio.Event)
        async with trio.open_nursery() as ending:
            ending.start_soon(cast.pool.terminate_child, "w-2")
            await settle()
            gate.set()

        await settle()
        cycle = cast.answers["asker"]
        assert isinstance(cycle, tuple)
        assert (cycle[0], cycle[-1]) == ("/asker", "/asker")


@pytest.mark.parametrize("size", [1, 3])
async def test_an_ask_from_outside_is_in_no_circle(size: int) -> None:
    """S60: nobody waits for who asks from outside of actors."""
    async with open_system() as system, trio.open_nursery() as nursery:
        cast = await open_cast(system, nursery, size)

        assert await cast.pool.ask(cast.asks_asker()) == "asker"
