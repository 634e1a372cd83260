"""Stopping: in reverse order, each in its time; what will not end is given up, and holds nobody."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, deaf, obedient, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorRestartedEvent,
    AskCycleError,
    CancelCause,
    SupervisorGaveUpEvent,
    SupervisorRef,
    SupervisorStoppingError,
    open_system,
    supervisor,
)
from tinyagent_actors.actors import WaitGraph


async def slow(ctx: ActorContext, seconds: float = 2) -> None:
    """Take time to stop."""
    async for _ in ctx.messages():
        pass
    await trio.sleep(seconds)


async def test_a_child_that_ignores_its_stop_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """S32: after its shutdown time it is cancelled and reported killed; its siblings are still stopped in order."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("deaf", deaf, shutdown=5)]))
        a, ref = team.child("a"), team.child("deaf")
        await team.stop()
        ended = await ref.wait_stopped()

        assert trio.current_time() == 5
        assert ended.reason == "killed"
        assert ended.cause is not None
        assert (ended.cause.by, ended.cause.source) == ("outside", "shutdown")
        assert (await a.wait_stopped()).reason == "shutdown"


async def test_shutdown_kill_skips_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    """S33: cancelled at once, in its turn."""
    async with open_system() as system:
        ref = await start(system, deaf, shutdown="kill")
        await ref.stop()

        assert trio.current_time() == 0
        assert (await ref.wait_stopped()).reason == "killed"


async def test_shutdown_inf_waits(autojump_clock: trio.testing.MockClock) -> None:
    """S34: as long as it takes; nested supervisors give each child its own time."""
    async with open_system() as system:
        inner = supervisor("inner", children=[child("x", slow, 30, shutdown=60), child("y", slow, 30, shutdown=60)])
        team = await system.start_child(
            supervisor("team", children=[inner, child("z", slow, 40, shutdown=float("inf"))])
        )
        refs = [system.child(path) for path in ("team/inner/x", "team/inner/y", "team/z")]
        await team.stop()

        assert trio.current_time() == 100
        assert {(await ref.wait_stopped()).reason for ref in refs} == {"shutdown"}


@pytest.mark.parametrize("end", ["return", "crash", "kill"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("most", [0, 3])
async def test_children_that_end_by_themselves_meanwhile(
    end: str, restart: Any, most: int, autojump_clock: trio.testing.MockClock
) -> None:
    """S35: while the supervisor stops, no restart follows, nothing hangs, exits are told as they were."""
    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(
            supervisor("team", children=[child("a", restart=restart), child("last", slow)], max_restarts=most)
        )
        a = team.child("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(team.stop)
            await settle()
            if end == "kill":
                a.kill()
            else:
                await a.tell("return" if end == "return" else ValueError("boom"))
        reasons = {"return": "normal", "crash": "error", "kill": "killed"}

        assert (await a.wait_stopped()).reason == reasons[end]
        assert (await team.wait_stopped()).reason == "shutdown"
        assert told(events, ActorRestartedEvent, SupervisorGaveUpEvent) == []


async def test_orders_are_refused_while_it_stops(autojump_clock: trio.testing.MockClock) -> None:
    """S38: with a typed error, no orphan is started; queries answer from state all the time."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("last", slow)]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(team.stop)
            await settle()
            for order in (
                lambda: team.start_child(child("new")),
                lambda: team.terminate_child("a"),
                lambda: team.restart_child("a"),
                lambda: team.delete_child("a"),
            ):
                with pytest.raises(SupervisorStoppingError):
                    await order()

            assert await states(team) == {"a": "running", "last": "stopping"}
            assert team.count_children().active == 2
            assert team.child("a", ActorRef).path == "/team/a"


async def test_a_start_that_is_going_on_is_ended_by_the_stop(autojump_clock: trio.testing.MockClock) -> None:
    """S38: whoever waits for it is told."""

    async def begin(team: SupervisorRef) -> None:
        with pytest.raises(Exception, match="failed to start"):
            await team.start_child(child("new", lambda ctx: trio.sleep_forever()))  # noqa: ASYNC105  # given, not called

    async with open_system() as system:
        team = await system.start_child(supervisor("team"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin, team)
            await settle()
            await team.stop()


async def test_two_stops_wait_for_one_end(autojump_clock: trio.testing.MockClock) -> None:
    """S12: everybody who asked is told when it is over; the first cause stays."""
    async with open_system() as system:
        ref = await start(system, slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop, "first")
            await settle()
            nursery.start_soon(ref.stop, "second")
            nursery.start_soon(system.terminate_child, "actor", "third")
        ended = await ref.wait_stopped()

        assert trio.current_time() == 2
        assert ended.cause is not None
        assert ended.cause.why == "first"


async def test_a_kill_hurries_a_stop(autojump_clock: trio.testing.MockClock) -> None:
    """S40: a child that has a long shutdown time may still be killed."""
    async with open_system() as system:
        ref = await start(system, deaf, shutdown=1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await trio.sleep(1)
            ref.kill("no more")

        assert trio.current_time() == 1
        assert (await ref.wait_stopped()).reason == "killed"
        assert await states(system) == {"actor": "stopped"}


async def test_a_child_that_will_not_end_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """S32, T02: it stands among the leftovers, by name; the supervisor, `stop` and the system go on without it."""
    stuck = Stuck()
    async with open_system() as system:
        ref = await start(system, stuck, shutdown=1)
        await ref.stop()
        ended = await ref.wait_stopped()

        assert trio.current_time() == 6
        assert (ended.reason, ended.abandoned) == ("killed", True)
        assert system.leftovers().names == ("actor /actor",)
        stuck.released.set()
        await settle()
        assert system.leftovers().total == 0


async def test_a_killed_child_that_will_not_end_is_replaced(autojump_clock: trio.testing.MockClock) -> None:
    """S32, S37: the supervisor starts the next incarnation beside the one that it gave up, and keeps serving."""
    stuck = Stuck()

    async def first_is_stuck(ctx: ActorContext) -> None:
        await (stuck(ctx) if ctx.ref.incarnation == 1 else obedient(ctx))

    async with open_system() as system:
        ref = await start(system, first_is_stuck)
        ref.kill()
        with trio.fail_after(10):
            assert await ref.ask("anybody?") == "anybody?"

        assert trio.current_time() == 5
        stuck.released.set()
        await settle()
        assert await ref.ask("still there") == "still there"


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_what_will_not_end_deep_below_holds_nobody(depth: int, autojump_clock: trio.testing.MockClock) -> None:
    """S32, T02: each level goes on without it, to the root; the leftovers name the culprit and nobody else."""
    stuck = Stuck()
    spec = child("stuck", stuck, shutdown=1)
    for level in range(depth):
        spec = supervisor(f"s{level}", children=[child("before"), spec])
    order: list[str] = []

    async def noted(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass
        order.append(ctx.name)

    async with open_system(shutdown=100) as system:
        await start(system, noted, name="first")
        await system.start_child(spec)
    left = system.leftovers()

    assert trio.current_time() == 6
    assert order == ["first"]
    assert [name.rpartition("/")[2] for name in left.names] == ["stuck"]
    assert (await system.root.wait_stopped()).abandoned
    stuck.released.set()
    await settle()
    assert system.leftovers().total == 0


async def test_a_killed_supervisor_with_a_child_that_will_not_end(autojump_clock: trio.testing.MockClock) -> None:
    """S32, S48: its whole subtree is given up at once: nobody waits for anything below, and its successor is not touched."""
    stuck = Stuck()
    gone: list[str] = []
    starts: list[str] = []

    async def wait(ref: ActorRef) -> None:
        await ref.wait_stopped()
        await ref.wait_gone()
        gone.append(ref.path)

    async def first_is_stuck(ctx: ActorContext) -> None:
        starts.append(ctx.path)
        await (stuck(ctx) if len(starts) == 1 else obedient(ctx))

    async with open_system() as system:
        inner = supervisor("inner", children=[child("x"), child("stuck", first_is_stuck)])
        team = await system.start_child(supervisor("team"))
        await team.start_child(inner)
        async with trio.open_nursery() as nursery:
            for path in ("team/inner", "team/inner/x", "team/inner/stuck"):
                nursery.start_soon(wait, system.child(path))
            await settle()
            team.kill()
            with trio.fail_after(20):
                await team.wait_stopped()
        again = system.child("team", SupervisorRef)
        await again.start_child(inner)

        assert sorted(gone) == ["/team/inner", "/team/inner/stuck", "/team/inner/x"]
        assert system.leftovers().names == ("actor /team/inner/stuck",)
        stuck.released.set()
        await settle()
        assert system.leftovers().total == 0
        assert await states(again) == {"inner": "running"}
        assert await system.child("team/inner/x").ask("here") == "here"


async def test_what_was_given_up_waits_for_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """S32, S60: its edges in the wait-for graph go: the next incarnation is refused nothing because of it."""
    release = trio.Event()

    async def asks(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            await obedient(ctx)
            return
        async for _ in ctx.messages():
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(system.child("target", ActorRef).ask, "held")
                    await release.wait()

    async def target(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "ask back":
                try:
                    ctx.reply(await system.child("asker", ActorRef).ask("back"))
                except AskCycleError:
                    ctx.reply("refused")
            else:
                slots.append(ctx.defer_reply())

    slots: list[Any] = []
    async with open_system() as system:
        await start(system, target, name="target")
        asker = await start(system, asks, name="asker")
        await asker.tell("go")
        await settle()
        assert await system.child("target", ActorRef).ask("ask back") == "refused"
        asker.kill()
        await asker.wait_stopped()
        assert await system.child("target", ActorRef).ask("ask back") == "back"
        slots[0].reply("now")
        release.set()
        await settle()
        assert isinstance(system.runtime.wait_graph, WaitGraph)
        assert len(system.runtime.wait_graph) == 0


async def test_killing_a_supervisor_leaves_nobody_waiting() -> None:
    """S48: the subtree goes with it, queued orders fail, the parent starts it anew."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        a = team.child("a")
        team.kill()
        with trio.fail_after(5):
            await a.wait_gone()

        assert await states(system.child("team", SupervisorRef)) == {"a": "running"}


async def test_orders_to_a_supervisor_that_is_being_killed(autojump_clock: trio.testing.MockClock) -> None:
    """S38, S48: an order that comes while its children still clean up is refused when they are gone."""

    async def tidy(ctx: ActorContext) -> None:
        ctx.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", tidy)], restart="temporary"))
        team.kill()
        await settle()
        with pytest.raises(SupervisorStoppingError):
            await team.start_child(child("b"))

        assert trio.current_time() == 2


async def test_a_stop_during_a_restart_loop() -> None:
    """S28: the child that crashes again and again is stopped, with no late restart."""
    starts: list[int] = []

    async def crashes(ctx: ActorContext) -> None:
        starts.append(ctx.ref.incarnation)
        ctx.started()
        raise ValueError

    async with open_system() as system:
        team = await system.start_child(
            supervisor("team", children=[child("a", crashes)], max_restarts=10**9, max_seconds=1)
        )
        with trio.fail_after(5):
            await team.stop()
        count = len(starts)
        await settle()

        assert len(starts) == count


async def test_a_second_cause_changes_nothing() -> None:
    """Provenance: who asked first is who ended it."""
    async with open_system() as system:
        ref = await start(system)
        assert ref._cell is not None
        first, second = (CancelCause(by, "a test", "stop") for by in ("first", "second"))
        ref._cell.request_stop(first)
        ref._cell.request_stop(second)

        assert (await ref.wait_stopped()).cause == first


async def test_a_crash_over_its_stop_is_not_restarted() -> None:
    """S35, S47: a child that raises because it is asked to stop has ended for good, and its error is told."""

    async def touchy(ctx: ActorContext) -> None:
        ctx.started()
        await ctx.wait_stopping()
        raise ValueError("boom")

    async with open_system() as system:
        ref = await start(system, touchy)
        with trio.fail_after(5):
            await ref.stop()

        assert (await ref.wait_stopped()).reason == "error"
        assert await states(system) == {"actor": "stopped"}


async def test_a_crash_at_the_stop_is_not_restarted() -> None:
    """S35, S47: crash and stop in one tick: whichever comes first, the child ends for good."""
    for _ in range(20):
        async with open_system() as system:
            ref = await start(system)
            ref.tell_nowait(ValueError("boom"))
            with trio.fail_after(5):
                await ref.stop()

            assert await states(system) == {"actor": "stopped"}
