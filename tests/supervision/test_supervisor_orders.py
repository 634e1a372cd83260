"""Orders and queries: what fits is done, what does not is a typed error."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import child, deaf, settle, start, states
from tinyagent_actors import (
    ActorContext,
    AlreadyPresentError,
    AlreadyStartedError,
    ChildNotFoundError,
    ChildRunningError,
    SpecError,
    StartFailedError,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision import ChildCount, ChildInfo


async def test_a_name_that_is_taken() -> None:
    """S11: by one that runs: with its ref; by one that is stopped and kept."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        with pytest.raises(AlreadyStartedError) as taken:
            await team.start_child(child("a"))
        assert taken.value.ref == team.child("a")

        await team.terminate_child("a")
        with pytest.raises(AlreadyPresentError):
            await team.start_child(child("a"))
        assert await states(team) == {"a": "stopped"}


async def test_two_starts_of_one_name() -> None:
    """S11: at once: one of them wins, the other is told with the ref of the one that is starting."""
    found: list[object] = []

    async def begin() -> None:
        try:
            found.append(await system.start_child(child("a")))
        except AlreadyStartedError as error:
            found.append(error.ref)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(begin)

        assert found == [system.child("a")] * 2


async def test_orders_that_need_a_stopped_child() -> None:
    """S11: deleting and restarting one that runs, or one that is not there."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        for order in (team.delete_child, team.restart_child):
            with pytest.raises(ChildRunningError) as running:
                await order("a")
            assert running.value.state == "running"
            with pytest.raises(ChildNotFoundError):
                await order("nobody")


async def test_terminating_twice_is_fine() -> None:
    """S12: the second call returns; of one that is not there it is an error."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        await team.terminate_child("a")
        await team.terminate_child("a")

        assert await states(team) == {"a": "stopped"}
        with pytest.raises(ChildNotFoundError):
            await team.terminate_child("nobody")


async def test_a_foreign_ref_is_no_child() -> None:
    """S12: `not_found`, and the foreign actor lives, even if it has the name of a child."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        foreign = await start(system, name="a")
        with pytest.raises(ChildNotFoundError):
            await team.terminate_child(foreign)

        assert await foreign.ask("alive") == "alive"
        assert await states(team) == {"a": "running"}


async def test_a_ref_of_an_earlier_child_of_that_name_is_none() -> None:
    """S12, S67: the uid tells them apart."""
    async with open_system() as system:
        old = await start(system, restart="temporary")
        await old.stop()
        new = await start(system)
        with pytest.raises(ChildNotFoundError):
            await system.terminate_child(old)

        assert await new.ask("alive") == "alive"


async def test_restart_delete_and_start_again() -> None:
    """S11: a stopped child comes back as a new one; deleted, its name is free."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        old = team.child("a")
        await team.terminate_child(old)
        new = await team.restart_child("a")
        assert await new.ask("well?") == "well?"
        assert new.uid != old.uid

        await team.terminate_child(new)
        await team.delete_child("a")
        assert await states(team) == {}
        assert await (await team.start_child(child("a"))).ask("again") == "again"


async def test_terminating_drops_a_temporary_child() -> None:
    """S06: its spec goes with it."""
    async with open_system() as system:
        await start(system, restart="temporary")
        await system.terminate_child("actor")

        assert await states(system) == {}


async def test_a_restart_that_fails_keeps_the_spec() -> None:
    """S11: as in OTP: the child was there before, so it stays, stopped, and may be tried again."""
    mood = ["fail"]

    async def moody(ctx: ActorContext) -> None:
        if mood == ["fail"]:
            raise LookupError("not today")
        async for message in ctx.messages():
            ctx.reply(message)

    async with open_system() as system:
        mood[0] = "well"
        await start(system, moody)
        await system.terminate_child("actor")
        mood[0] = "fail"
        with pytest.raises(StartFailedError):
            await system.restart_child("actor")
        assert await states(system) == {"actor": "stopped"}

        mood[0] = "well"
        assert await (await system.restart_child("actor")).ask("better") == "better"


async def test_a_cancelled_restart_keeps_the_spec(autojump_clock: trio.testing.MockClock) -> None:
    """S11, T25: only the start is rolled back."""
    hanging = [False]

    async def hesitant(ctx: ActorContext) -> None:
        if hanging[0]:
            await trio.sleep_forever()
        ctx.started()
        await ctx.wait_stopping()

    async with open_system() as system:
        await start(system, hesitant)
        await system.terminate_child("actor")
        hanging[0] = True
        with trio.move_on_after(1):
            await system.restart_child("actor")
        await trio.sleep(10)

        assert await states(system) == {"actor": "stopped"}
        hanging[0] = False
        await system.restart_child("actor")


async def test_cancelling_a_terminate_does_not_take_it_back(autojump_clock: trio.testing.MockClock) -> None:
    """The wait ends, the stop goes on, and nobody gets a dead letter for it."""
    async with open_system() as system:
        ref = await start(system, deaf, shutdown=3)
        with trio.move_on_after(1) as scope:
            await system.terminate_child("actor")
        await ref.wait_gone()

        assert (scope.cancelled_caught, trio.current_time()) == (True, 3)
        assert system.runtime.dead_letters.count == 0


async def test_queries_show_children_in_order() -> None:
    """Names, refs, states, restart types and kinds, in the order they were added."""
    async with open_system() as system:
        team = await system.start_child(
            supervisor("team", children=[child("b"), supervisor("s"), child("a", restart="transient")])
        )
        await team.terminate_child("a")
        b, s = team.child("b"), team.child("s")

        assert team.which_children() == (
            ChildInfo("b", b, "running", "permanent", is_supervisor=False),
            ChildInfo("s", s, "running", "permanent", is_supervisor=True),
            ChildInfo("a", None, "stopped", "transient", is_supervisor=False),
        )
        assert team.count_children() == ChildCount(specs=3, active=2, supervisors=1, workers=2)
        assert (system.count_children().specs, len(system.which_children())) == (1, 1)
        assert "wait" not in repr(team)


async def test_an_unknown_child_is_named() -> None:
    """The error says of whom there is no such child."""
    async with open_system() as system:
        with pytest.raises(ChildNotFoundError) as caught:
            system.child("nobody")
        assert (caught.value.supervisor, caught.value.child) == ("/", "nobody")

        await start(system)
        with pytest.raises(ChildNotFoundError):
            system.child("actor/below/a/worker")


async def test_a_wrong_spec_is_refused_at_the_door() -> None:
    """S18: nothing is started; the supervisor hears nothing of it."""
    async with open_system() as system:
        with pytest.raises(SpecError):
            await system.start_child("no spec")  # type: ignore[call-overload]  # the wrong type is the point

        assert await states(system) == {}


async def test_orders_are_cancellation_points() -> None:
    """In a cancelled scope nothing is ordered."""
    async with open_system() as system:
        await start(system)
        for order in (
            lambda: system.start_child(child("b")),
            lambda: system.terminate_child("actor"),
            lambda: system.restart_child("actor"),
            lambda: system.delete_child("actor"),
        ):
            with trio.CancelScope() as scope:
                scope.cancel()
                await order()
            assert scope.cancelled_caught
        await settle()

        assert await states(system) == {"actor": "running"}


async def test_what_is_shown_of_a_supervisor_is_short() -> None:
    """Its path and its state, whatever stands below it."""
    async with open_system() as system:
        await start(system, name="one")
        body = system.root.address.body

        assert repr(body) == "<Supervisor / one_for_one running, 1 children>"
        assert [repr(one) for one in body.children] == ["<Child /one running, incarnation 1>"]
