"""Races of a supervisor: orders, timers and ends that meet in one tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, settle, start, states
from tinyagent_actors import ActorContext, AskCycleError, StartTimeoutError, SupervisorRef, open_system, supervisor
from tinyagent_actors.actors import Cell
from tinyagent_actors.supervision._supervisor import Supervisor


async def test_what_has_started_in_time_is_not_cancelled_for_being_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S17: started in the tick in which its time is over: it runs, or the start has failed; nothing between."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(30)
        ctx.started()
        await trio.sleep_forever()

    outcomes = set()
    async with open_system() as system:
        for number in range(40):
            name = str(number)
            try:
                await start(system, slow, name=name, shutdown="kill", restart="temporary")
                outcomes.add("started")
            except StartTimeoutError:
                outcomes.add("failed")
            is_there = name in await states(system)
            assert is_there == ("started" in outcomes)
            outcomes.clear()


@pytest.mark.parametrize("is_temporary", [True, False])
async def test_a_start_that_is_rolled_back_after_its_end_leaves_no_spec(
    is_temporary: bool,  # noqa: FBT001  # a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S15: the caller is cancelled in the tick in which the child has started and ended: it did not get it, so it is not there."""
    tell_start = Supervisor.child_started

    def cancel_and_tell_start(self: Supervisor, cell: Cell) -> None:
        scope.cancel()
        tell_start(self, cell)

    async def brief(ctx: ActorContext) -> None:
        ctx.started()

    monkeypatch.setattr(Supervisor, "child_started", cancel_and_tell_start)
    async with open_system() as system:
        with trio.CancelScope() as scope:
            await start(system, brief, restart="temporary" if is_temporary else "transient")

        assert scope.cancelled_caught
        assert await states(system) == {}


async def test_what_was_given_up_and_ended_after_all_is_not_held_against_the_supervisor(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S32: an exit is `abandoned` only while something below still runs."""
    stuck = Stuck()
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", stuck, restart="temporary")]))
        team.child("a").kill()
        await trio.sleep(10)
        assert system.leftovers().names == ("actor /team/a",)

        stuck.released.set()
        await settle()
        await team.stop()
        assert not (await team.wait_stopped()).abandoned
        assert system.leftovers().total == 0


@pytest.mark.parametrize("is_below", [False, True])
async def test_an_actor_may_have_itself_terminated(is_below: bool) -> None:  # noqa: FBT001  # a parameter
    """S39: `terminate_child` from inside what is terminated cancels the caller at once, however long `shutdown` is."""
    after: list[str] = []

    async def suicidal(ctx: ActorContext) -> None:
        async for victim in ctx.messages():
            await system.terminate_child(victim)
            after.append("came back")

    async with open_system() as system:
        team: Any
        if is_below:
            team = await system.start_child(supervisor("team", children=[child("a", suicidal, shutdown=float("inf"))]))
            ref = team.child("a")
        else:
            team = ref = await start(system, suicidal, shutdown=float("inf"))
        await ref.tell(team.path.strip("/"))
        with trio.fail_after(5):
            await team.wait_gone()
            exited = await ref.wait_stopped()

        assert (exited.reason, exited.cause and exited.cause.why) == ("shutdown", "terminate_child()")
        assert after == []
        assert set((await states(system)).values()) == {"stopped"}


@pytest.mark.parametrize(
    "order",
    [
        lambda team: team.start_child(child("new")),
        lambda team: team.terminate_child("a"),
        lambda team: team.restart_child("a"),
        lambda team: team.delete_child("a"),
    ],
    ids=["start", "terminate", "restart", "delete"],
)
async def test_an_order_that_waits_for_its_own_caller_is_refused(order: Callable[[SupervisorRef], object]) -> None:
    """S60: the supervisor is starting, and cannot obey before the caller, whom it starts, has started."""
    refused: list[tuple[str, ...]] = []

    async def impatient(ctx: ActorContext) -> None:
        with pytest.raises(AskCycleError) as caught:
            await order(system.child("team", SupervisorRef))
        refused.append(caught.value.cycle)
        async for _ in ctx.messages():
            pass

    async with open_system() as system:
        with trio.fail_after(5):
            await system.start_child(supervisor("team", children=[child("a"), child("b", impatient)]))

    assert refused == [("/team/b", "/team", "/team/b")]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_orders_do_not_wait_for_the_child_that_was_started_last(
    strategy: Any, autojump_clock: trio.testing.MockClock
) -> None:
    """S38: once all have started, a child that takes its time to stop holds nobody, also if it was the last to start."""

    async def slow(ctx: ActorContext) -> None:
        ctx.started()
        await ctx.wait_stopping()
        await trio.sleep(3)

    async with open_system() as system:
        team = await system.start_child(
            supervisor("team", strategy=strategy, children=[child("a"), child("last", slow)])
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(team.terminate_child, "last")
            await settle()
            await team.start_child(child("b"))
            assert trio.current_time() == 0
            assert await states(team) == {"a": "running", "last": "stopping", "b": "running"}
