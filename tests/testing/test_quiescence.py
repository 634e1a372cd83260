"""assert_quiescent: what is left is told, by name."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, deaf, settle, start
from tinyagent_actors import ActorContext, open_system, supervisor
from tinyagent_actors.testing import assert_quiescent


async def test_nothing_is_left_of_a_system_that_was_used(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever it did; inside the block, of the part that was stopped."""
    async with open_system() as system, system.subscribe("**"):
        team = await system.start_child(supervisor("team", children=[child("a"), child("b")]))
        await team.child("a").tell(ValueError("boom"))
        await start(system, name="team-2")
        await settle()
        await team.stop()

        assert_quiescent(system, "team")
        with pytest.raises(AssertionError, match="the task '/team-2' of /team-2, incarnation 1"):
            assert_quiescent(system)
    assert_quiescent(system)


async def test_tasks_of_actors_are_named() -> None:
    """With path and incarnation: the actor's own, and those it has opened."""

    async def busy(ctx: ActorContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever, name="counting sheep")
            ctx.started()

    async with open_system() as system:
        await start(system, busy, shutdown="kill")
        with pytest.raises(AssertionError) as caught:
            assert_quiescent(system, "actor")

    assert str(caught.value) == (
        "left of /actor in the system 'system': the task '/actor' of /actor, incarnation 1; "
        "the task 'counting sheep' of /actor, incarnation 1"
    )


async def test_what_works_for_the_system_outside_of_it_is_named() -> None:
    """A detached task of an actor, which no nursery of its own holds; the log and its like are nobody's."""

    async def detach(ctx: ActorContext) -> None:
        ctx.runtime.start_detached(release.wait, name="a tool")

    release = trio.Event()
    async with open_system() as system:
        await start(system, detach, restart="temporary")
        system.runtime.start_detached(release.wait, name="a sweep")
        await settle()
    with pytest.raises(AssertionError) as caught:
        assert_quiescent(system)
    with pytest.raises(AssertionError, match=r"'a tool' of /actor, incarnation 1$"):
        assert_quiescent(system, "actor")
    release.set()
    await settle()

    assert "'a sweep' of the system" in str(caught.value)
    assert "'a tool' of /actor" in str(caught.value)
    assert_quiescent(system)


async def test_what_was_given_up_is_named(autojump_clock: trio.testing.MockClock) -> None:
    """Until it ends after all."""
    stuck = Stuck()
    async with open_system() as system:
        ref = await start(system, stuck, shutdown=1)
        await ref.stop()
        with pytest.raises(AssertionError, match="given up: actor /actor; the task '/actor' of /actor"):
            assert_quiescent(system, "/actor")
        assert_quiescent(system, "/actor-2")
        stuck.released.set()
        await settle()

        assert_quiescent(system, "/actor")


async def test_senders_that_wait_are_named() -> None:
    """With the mailbox that they wait for."""

    async def tell() -> None:
        await ref.tell(1)
        await ref.tell(2)

    async with open_system() as system:
        ref = await start(system, deaf, shutdown="kill", mailbox_capacity=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell, name="pusher")
            await settle()
            with pytest.raises(AssertionError, match="room in the mailbox of /actor: 'pusher'"):
                assert_quiescent(system, "actor")
            nursery.cancel_scope.cancel()


async def test_open_subscriptions_are_named() -> None:
    """They hold what is published."""
    async with open_system() as system:
        async with system.subscribe("team/**"):
            with pytest.raises(AssertionError, match=r"the subscription 'team/\*\*'"):
                assert_quiescent(system)


async def test_other_systems_are_not_asked() -> None:
    """What stands at the same path in another one is somebody else."""
    async with open_system("one") as one, open_system("two") as two:
        await start(two)

        assert_quiescent(one, "actor")
