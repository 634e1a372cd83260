"""Names, pools and redeliveries under many orders of tasks each. A seed that fails is replayed by setting TINYAGENT_SEED."""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from tests._kernel import child, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorDiedError,
    ActorRef,
    AlreadyRegisteredError,
    DeadLetterEvent,
    NoMembersError,
    NotRegisteredError,
    PoolRef,
    open_system,
    pool,
)
from tinyagent_actors.testing import assert_quiescent, deterministic


@deterministic(seeds=200)
async def test_many_want_one_name() -> None:
    """S57: whoever comes first, each moment has one owner at most; crashes and frees make room, and everybody has it once."""
    owners: list[ActorRef] = []
    outcomes: Counter[str] = Counter()

    async def wants(ctx: ActorContext, number: int) -> None:
        ctx.started()
        while True:
            try:
                ctx.register("crown")
                break
            except AlreadyRegisteredError as error:
                outcomes["refused" if [error.owner] == owners else "wrong"] += 1
                await trio.lowlevel.checkpoint()
        owners.append(ctx.ref)
        outcomes["had" if len(owners) == 1 else "shared"] += 1
        await trio.lowlevel.checkpoint()
        outcomes["kept" if ctx.whereis("crown") == ctx.ref else "lost"] += 1
        owners.remove(ctx.ref)
        if number % 2:
            ctx.unregister("crown")
        else:
            raise ValueError(number)

    async with open_system() as system:
        refs = [await start(system, wants, number, name=str(number), restart="temporary") for number in range(8)]
        for ref in refs:
            await ref.wait_gone()

        assert (outcomes["had"], outcomes["kept"]) == (8, 8)
        assert set(outcomes) <= {"had", "kept", "refused"}
        assert len(system.runtime.registry) == 0
    assert_quiescent(system)


@deterministic(seeds=100)
async def test_a_lookup_meets_a_restart() -> None:
    """S56: it finds an incarnation that lives, or is told that there is none; who waits gets the next one; what is sent by the name arrives."""
    found: Counter[int | None] = Counter()
    seen: list[object] = []

    async def named(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "crash":
                raise ValueError
            seen.append(message)

    async with open_system() as system:
        ref = await start(system, named, register="db")

        async def look() -> None:
            for _ in range(12):
                try:
                    owner = system.whereis("db")
                    assert owner.living is not None
                    found[owner.incarnation] += 1
                except NotRegisteredError:
                    found[None] += 1
                await trio.lowlevel.checkpoint()

        async def send() -> None:
            for number in range(6):
                await system.via("db").tell(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            nursery.start_soon(send)
            nursery.start_soon(ref.tell, "crash")
        await settle()

        assert system.whereis("db").incarnation == 2
    assert set(found) <= {1, None, 2}
    assert seen == list(range(6))
    assert_quiescent(system)


@pytest.mark.parametrize("end", ["crash", "kill", "stop"])
@deterministic(seeds=100)
async def test_workers_end_while_there_is_work(end: str) -> None:
    """S62: whoever ends, and when: no message of the queue is lost, none is done more often than it was delivered, and nobody sleeps over work."""
    done: Counter[object] = Counter()
    deliveries: Counter[object] = Counter()
    answers: Counter[str] = Counter()

    async def works(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            deliveries[message] += 1
            await trio.lowlevel.checkpoint()
            if message == 3 and end == "crash" and ctx.deliveries == 1:
                raise ValueError(message)
            done[message] += 1
            ctx.reply(message)
            await trio.lowlevel.checkpoint()

    async with open_system() as system, system.subscribe("pool/**") as events:
        spec = pool("pool", child("w", works, mailbox_capacity=2, redeliver=1), size=3, max_restarts=10)
        ref: PoolRef = await system.start_child(spec)

        async def asks(number: int) -> None:
            try:
                assert await ref.ask(number) == number
                answers["answered"] += 1
            except ActorDiedError:
                answers["died"] += 1

        async def ends() -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            if end == "kill":
                ref.child("w-1").kill()
            elif end == "stop":
                await ref.terminate_child("w-1")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends)
            for number in range(8):
                nursery.start_soon(ref.tell, number)
            for number in range(10, 14):
                nursery.start_soon(asks, number)
        await settle()

        assert ref.statistics().depth == ref.statistics().waiting == 0
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["crashed_in_hand"] * answers["died"]
        assert len(system.runtime.wait_graph) == 0
    assert {number for number in done if int(str(number)) < 10} == set(range(8))
    assert all(done[message] <= deliveries[message] <= 2 for message in deliveries)
    assert answers.total() == 4
    assert answers["died"] <= (1 if end == "kill" else 0)
    assert_quiescent(system)


@deterministic(seeds=100)
async def test_the_last_worker_meets_those_who_ask() -> None:
    """S59, S67: each asker is answered or told that there is nobody, whether it came before or after the last one went."""
    answers: Counter[str] = Counter()

    async def works(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await trio.lowlevel.checkpoint()
            ctx.reply(message)

    async with open_system() as system:
        ref: PoolRef = await system.start_child(pool("pool", child("w", works, mailbox_capacity=1), size=2))

        async def asks() -> None:
            try:
                answers[await ref.ask("answered")] += 1
            except NoMembersError:
                answers["nobody"] += 1

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(asks)
            for name in ("w-1", "w-2"):
                nursery.start_soon(ref.terminate_child, name)

        assert answers.total() == 6
        assert len(system.runtime.wait_graph) == 0
        assert ref.statistics().depth == ref.statistics().waiting == 0
    assert_quiescent(system)
