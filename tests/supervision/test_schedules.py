"""Races under 200 orders of tasks each: whoever comes first, what holds holds.

A seed that fails is named, and replayed by setting TINYAGENT_SEED.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests._kernel import child, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorDiedError,
    ActorRef,
    ActorRestartedEvent,
    ActorStoppedEvent,
    AlreadyRegisteredError,
    DeadLetterEvent,
    open_system,
    supervisor,
)
from tinyagent_actors.testing import assert_quiescent, deterministic


async def several(*functions: Any) -> None:
    """Run them at once."""
    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(function)


async def ends_itself(ctx: ActorContext, how: str, gate: trio.Event) -> None:
    """End by itself when the gate opens, or as it is told, whatever comes first."""
    ctx.started()
    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await ctx.wait_stopping()
            nursery.cancel_scope.cancel()

        nursery.start_soon(stop)
        await gate.wait()
        if how == "crash":
            raise ValueError(ctx.name)
        nursery.cancel_scope.cancel()


@deterministic(seeds=200)
async def test_children_end_by_themselves_while_all_are_stopped() -> None:
    """S35: while one of them takes its time to stop: no restart, no hang, each end told once and as it was, nothing left."""
    gate = trio.Event()

    async def opens_gate(ctx: ActorContext) -> None:
        ctx.started()
        await ctx.wait_stopping()
        gate.set()
        await trio.lowlevel.checkpoint()

    async with open_system() as system, system.subscribe("team/*") as events:
        hows = ["crash", "return", "crash", "return"]
        ends = [child(str(number), ends_itself, how, gate) for number, how in enumerate(hows)]
        team = await system.start_child(
            supervisor("team", children=[*ends, child("last", opens_gate)], max_restarts=100)
        )
        await team.stop()
        ended = await team.wait_stopped()
        noted = told(events)

        assert ended.reason == "shutdown"
        assert [event for event in noted if isinstance(event, ActorRestartedEvent)] == []
        reasons = {event.path: event.reason for event in noted if hasattr(event, "reason")}
        assert sorted(reasons) == ["/team/0", "/team/1", "/team/2", "/team/3", "/team/last"]
        for number, how in enumerate(hows):
            assert reasons[f"/team/{number}"] in {"shutdown", "error" if how == "crash" else "normal"}
        assert_quiescent(system, "team")
    assert_quiescent(system)


@deterministic(seeds=200)
async def test_an_answer_meets_the_cancel_of_its_asker() -> None:
    """S58: the asker has it, or it is a dead letter; never both, never neither, and never the answer to the next ask."""
    gate = trio.Event()
    got: list[object] = []

    async def answers(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "first":
                await gate.wait()
            ctx.reply(message)

    async with open_system() as system, system.subscribe("**") as events:
        ref = await start(system, answers)
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                got.append(await ref.ask("first"))
            got.append(await ref.ask("second"))

        async def cancel() -> None:
            scope.cancel()

        async def open_gate() -> None:
            gate.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settle()
            await several(cancel, open_gate)
        late = [letter.reason for letter in told(events, DeadLetterEvent)]

    assert (got, late) in [(["first", "second"], []), (["second"], ["late_reply"])]
    assert_quiescent(system)


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
@deterministic(seeds=200)
async def test_askers_meet_a_crash(restart: Any) -> None:
    """S59: each asker is told exactly once: answered, died, or gone; nobody waits, and no edge and no slot stays."""
    told_of: dict[int, str] = {}

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await trio.lowlevel.checkpoint()
            if message == 2:
                raise ValueError(message)
            ctx.reply(message)

    async def asks(ctx: ActorContext, target: ActorRef, number: int) -> None:
        async for _ in ctx.messages():
            try:
                told_of[number] = f"answer {await target.ask(number)}"
            except ActorDiedError as error:
                told_of[number] = f"died {error.cause}"
            except Exception as error:  # noqa: BLE001  # whatever it is, it is noted
                told_of[number] = type(error).__name__

    async with open_system() as system:
        target = await start(system, fragile, name="target", restart=restart)
        askers = [await start(system, asks, target, number, name=f"asker-{number}") for number in range(4)]
        await several(*(lambda ref=ref: ref.tell("go") for ref in askers))
        await settle()

        assert len(system.runtime.wait_graph) == 0
        assert target.statistics().depth == 0
    assert told_of.pop(2) == "died ValueError: 2"
    others = {f"answer {number}" for number in told_of}
    assert set(told_of.values()) <= (others if restart == "permanent" else {*others, "ActorStoppedError"})
    assert sorted(told_of) == [0, 1, 3]
    assert_quiescent(system)


@deterministic(seeds=200)
async def test_a_crash_meets_its_senders() -> None:
    """S62: the message in hand is lost to the crash and told; all others come once, each sender's in its order."""
    seen: list[tuple[int, int]] = []

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await trio.lowlevel.checkpoint()
            if message == (1, 3):
                raise ValueError(message)
            seen.append(message)

    async with open_system() as system, system.subscribe("**") as events:
        ref = await start(system, fragile, mailbox_capacity=2)

        async def send(sender: int) -> None:
            for number in range(6):
                await ref.tell((sender, number))

        await several(*(lambda sender=sender: send(sender) for sender in range(3)))
        await settle()
        letters = [(letter.reason, letter.path) for letter in told(events, DeadLetterEvent)]

    assert [number for sender, number in seen if sender == 0] == [0, 1, 2, 3, 4, 5]
    assert [number for sender, number in seen if sender == 1] == [0, 1, 2, 4, 5]
    assert [number for sender, number in seen if sender == 2] == [0, 1, 2, 3, 4, 5]
    assert letters == [("crashed_in_hand", "/actor")]
    assert_quiescent(system)


@deterministic(seeds=200)
async def test_a_stop_meets_a_crash_and_a_kill() -> None:
    """S35: of one child, in one tick: it ends for good, its end is told once, and each incarnation that started has ended."""
    async with open_system() as system, system.subscribe("**") as events:
        ref = await start(system)

        async def crash() -> None:
            await ref.tell(ValueError("boom"))

        async def kill() -> None:
            ref.kill()

        await several(ref.stop, crash, kill)
        await settle()
        ends = [event.incarnation for event in told(events, ActorCrashedEvent, ActorStoppedEvent)]

        assert ends == list(range(1, len(ends) + 1))
        assert [info.state for info in system.which_children()] == ["stopped"]
        assert_quiescent(system, "actor")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@deterministic(seeds=200)
async def test_two_crash_in_one_tick(strategy: Any) -> None:
    """S46: both causes are told, each child ends and starts once, those that are no concern of the strategy's not at all."""
    async with open_system() as system, system.subscribe("team/*") as events:
        team = await system.start_child(
            supervisor("team", strategy=strategy, children=[child(name) for name in "abc"], max_restarts=2)
        )
        told(events)
        refs = [team.child(name) for name in "ab"]
        await several(*(lambda ref=ref: ref.tell(ValueError(ref.path)) for ref in refs))
        await settle()
        noted = told(events)
        causes = [str(event.error) for event in noted if isinstance(event, ActorCrashedEvent)]
        restarted = sorted(event.path for event in noted if isinstance(event, ActorRestartedEvent))
        group = "ab" if strategy == "one_for_one" else "abc"

        assert sorted(causes) == ["ValueError: /team/a", "ValueError: /team/b"]
        assert restarted == [f"/team/{name}" for name in group]
        assert {info.name: info.state for info in team.which_children()} == dict.fromkeys("abc", "running")
    assert_quiescent(system)


@deterministic(seeds=200)
async def test_a_sibling_crashes_while_it_is_stopped_for_the_group() -> None:
    """S47: its end, whenever it comes, starts no second restart: that would be one more than is allowed."""

    async def crashes_at_the_stop(ctx: ActorContext) -> None:
        ctx.started()
        async with trio.open_nursery() as nursery:

            async def crash(after: int) -> None:
                await ctx.wait_stopping()
                for _ in range(after):
                    await trio.lowlevel.checkpoint()
                raise ValueError(after)

            if ctx.ref.incarnation == 1:
                for after in range(3):
                    nursery.start_soon(crash, after)
            await ctx.wait_stopping()
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    async with open_system() as system:
        children = [child("a"), child("b"), child("c", crashes_at_the_stop), child("d", crashes_at_the_stop)]
        team = await system.start_child(supervisor("team", strategy="rest_for_one", children=children, max_restarts=1))
        await team.child("b").tell(ValueError("boom"))
        await settle()

        assert {info.name: info.state for info in team.which_children()} == dict.fromkeys("abcd", "running")
        assert [team.child(name).incarnation for name in "abcd"] == [1, 2, 2, 2]
    assert_quiescent(system)


@deterministic(seeds=200)
async def test_many_want_one_name() -> None:
    """S57: at any time it has one owner at most; who registers is refused or has it; the end of an owner frees it."""
    owned = 0

    async def wants(ctx: ActorContext) -> None:
        nonlocal owned
        async for turns in ctx.messages():
            for turn in range(turns):
                try:
                    ctx.register("db")
                except AlreadyRegisteredError:
                    assert ctx.whereis("db") != ctx.ref
                else:
                    owned += 1
                    assert ctx.whereis("db") == ctx.ref
                    await trio.lowlevel.checkpoint()
                    assert ctx.whereis("db") == ctx.ref
                    if turn % 3 == 2:
                        raise ValueError("it ends as the owner")
                    assert ctx.unregister("db")
                await trio.lowlevel.checkpoint()

    async with open_system(max_restarts=100) as system:
        refs = [await start(system, wants, name=f"actor-{number}") for number in range(6)]
        await several(*(lambda ref=ref: ref.tell(6) for ref in refs))
        await settle()

        assert owned > 0
        assert len(system.runtime.registry) == 0
    assert_quiescent(system)
