"""Starting: in order, rolled back as a whole, or not at all."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, crash, hangs, ignores, obedient, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStartedEvent,
    ActorStoppedError,
    AlreadyPresentError,
    AskCycleError,
    CancelCause,
    ReplySlot,
    StartFailedError,
    StartTimeoutError,
    SupervisorGaveUpEvent,
    SupervisorRef,
    SupervisorStoppingError,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision._orders import StartChild


async def broken(_ctx: ActorContext) -> None:
    """Fail to start."""
    raise LookupError("no")


async def noted(ctx: ActorContext, order: list[str]) -> None:
    """Note start and end."""
    order.append(f"+{ctx.name}")
    async for _ in ctx.messages():
        pass
    await settle()
    order.append(f"-{ctx.name}")


async def test_start_order_and_reverse_stop_order() -> None:
    """S14: children start in order and stop in exact reverse order, one at a time."""
    order: list[str] = []
    async with open_system() as system:
        await system.start_child(supervisor("team", children=[child(name, noted, order) for name in "abc"]))

    assert order == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_the_next_starts_when_the_one_before_has_started() -> None:
    """S14: not merely when its task runs."""
    order: list[str] = []

    async def slow(ctx: ActorContext) -> None:
        order.append("slow begins")
        await settle()
        order.append("slow has started")
        await obedient(ctx)

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("slow", slow), child("b", noted, order)]))

        assert order == ["slow begins", "slow has started", "+b"]
        assert [info.name for info in team.which_children()] == ["slow", "b"]


async def test_a_failed_start_rolls_back() -> None:
    """S13: what started before is stopped, what comes after is never started, the cause is told, nothing stays."""
    order: list[str] = []
    async with open_system() as system:
        children = [child("a", noted, order), child("b", broken), child("c", noted, order)]
        with pytest.raises(StartFailedError) as caught:
            await system.start_child(supervisor("team", children=children))

        assert order == ["+a", "-a"]
        assert (caught.value.path, type(caught.value.cause)) == ("/team/b", LookupError)
        assert caught.value.__cause__ is caught.value.cause
        assert await states(system) == {}


async def test_a_failed_start_deep_below_fails_the_whole() -> None:
    """S13, S16: through two levels the cause is still that of the child that failed."""
    async with open_system() as system:
        inner = supervisor("inner", children=[child("x"), child("broken", broken)])
        with pytest.raises(StartFailedError) as caught:
            await system.start_child(supervisor("team", children=[child("a"), inner]))

        assert caught.value.path == "/team/inner/broken"
        assert await states(system) == {}


async def test_a_dynamic_start_that_fails_leaves_nothing() -> None:
    """S15: no spec, no ref, no restart counted."""
    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(supervisor("team", max_restarts=0))
        for _ in range(3):
            with pytest.raises(StartFailedError):
                await team.start_child(child("b", broken))

        assert await states(team) == {}
        assert told(events, SupervisorGaveUpEvent) == []


async def test_a_start_that_hangs_times_out(autojump_clock: trio.testing.MockClock) -> None:
    """S17: cancelled after `start_timeout`, rolled back, a typed error."""
    async with open_system() as system:
        with pytest.raises(StartTimeoutError) as caught:
            await start(system, hangs, start_timeout=3)

        assert (trio.current_time(), caught.value.seconds) == (3, 3)
        assert system.which_children() == ()


async def test_a_start_that_will_not_even_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """S17, S32: given up after the cleanup grace, with the same typed error; its task is named."""
    release = trio.Event()

    async def wedged(_ctx: ActorContext) -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with open_system() as system:
        with pytest.raises(StartTimeoutError):
            await start(system, wedged, start_timeout=3)

        assert trio.current_time() == 8
        assert (system.which_children(), system.leftovers().names) == ((), ("actor /actor",))
        release.set()


async def test_a_static_start_that_hangs_fails_the_supervisor(autojump_clock: trio.testing.MockClock) -> None:
    """S17, S13: in its own time; its siblings are rolled back."""
    order: list[str] = []
    children = [child("a", noted, order), child("hangs", hangs, start_timeout=2)]
    async with open_system() as system:
        with pytest.raises(StartTimeoutError) as caught:
            await system.start_child(supervisor("team", children=children))

        assert (caught.value.path, order) == ("/team/hangs", ["+a", "-a"])


async def test_a_supervisor_takes_the_time_of_its_children(autojump_clock: trio.testing.MockClock) -> None:
    """S17: only children have a start time-out; a supervisor of slow ones has none of its own."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(25)
        await obedient(ctx)

    async with open_system() as system:
        await system.start_child(supervisor("team", children=[child(name, slow) for name in "ab"]))

        assert trio.current_time() == 50


async def test_a_cancelled_start_is_rolled_back(autojump_clock: trio.testing.MockClock) -> None:
    """T25: the caller that goes away while the child starts leaves no child behind, and no dead letter."""
    async with open_system() as system:
        with trio.move_on_after(1):
            await start(system, hangs)
        await trio.sleep(10)

        assert system.which_children() == ()
        assert system.runtime.dead_letters.count == 0


async def test_a_start_that_is_cancelled_when_it_succeeds_is_rolled_back() -> None:
    """T25: the answer and the cancel in one tick: a child that nobody was told of does not stay."""
    gate = trio.Event()

    async def gated(ctx: ActorContext) -> None:
        await gate.wait()
        await obedient(ctx)

    async with open_system() as system:
        scope = trio.CancelScope()

        async def starting() -> None:
            with scope:
                await start(system, gated)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(starting)
            await settle()
            gate.set()
            scope.cancel()

        assert scope.cancelled_caught
        assert await states(system) == {}
        assert system.runtime.dead_letters.count == 0


async def test_a_start_that_was_never_begun_is_not_rolled_back() -> None:
    """T25: cancelled before the supervisor looked at the order, nothing is started at all."""
    began: list[str] = []

    async def counted(ctx: ActorContext) -> None:
        began.append(ctx.name)

    async with open_system() as system:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(system.start_child, child("a", counted))
                scope.cancel()
        await settle()

    assert began == []


async def test_ignore() -> None:
    """S09: a child with nothing to do is no failure; a permanent one keeps its spec without a ref; a temporary one goes."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", ignores), child("b")]))

        assert await states(team) == {"a": "stopped", "b": "running"}
        assert [info.ref for info in team.which_children() if info.name == "a"] == [None]
        assert await team.start_child(child("c", ignores, restart="temporary")) is None
        assert await team.start_child(child("d", ignores)) is None
        assert await states(team) == {"a": "stopped", "b": "running", "d": "stopped"}
        with pytest.raises(AlreadyPresentError):
            await team.start_child(child("d"))
        assert await team.restart_child("a") is None
        assert await states(team) == {"a": "stopped", "b": "running", "d": "stopped"}


async def test_ignore_at_a_restart() -> None:
    """S09: also then: no failure, no further restart."""

    async def once(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            await ignores(ctx)
        await obedient(ctx)

    async with open_system() as system:
        ref = await start(system, once)
        await crash(ref)
        with trio.fail_after(5):
            await ref.wait_gone()

        assert await states(system) == {"actor": "stopped"}


async def test_starting_a_sibling_while_starting_is_refused() -> None:
    """S60: a child that asks its supervisor for another one while it starts would wait for itself; so would one deep below."""

    async def impatient(_ctx: ActorContext, path: str) -> None:
        await teams[path].start_child(child("b"))

    teams: dict[str, SupervisorRef] = {}
    async with open_system() as system:
        teams["team"] = await system.start_child(supervisor("team"))
        with pytest.raises(StartFailedError) as caught:
            await teams["team"].start_child(child("a", impatient, "team"))
        assert isinstance(caught.value.cause, AskCycleError)

        async def looks_up(_ctx: ActorContext) -> None:
            await system.child("outer", SupervisorRef).start_child(child("b"))

        inner = supervisor("inner", children=[child("x", looks_up)])
        with pytest.raises(StartFailedError) as caught:
            await system.start_child(supervisor("outer", children=[inner]))
        assert isinstance(caught.value.cause, AskCycleError)


async def test_a_starting_actor_may_ask_others_for_children() -> None:
    """S60: what is not waiting for it can be asked."""

    async def builds(ctx: ActorContext) -> None:
        await other.start_child(child("built"))
        await obedient(ctx)

    async with open_system() as system:
        other = await system.start_child(supervisor("other"))
        await start(system, builds)

        assert await states(other) == {"built": "running"}


async def test_orders_wait_while_it_starts() -> None:
    """S38: an order that comes while the static children start is carried out after them."""
    gate = trio.Event()
    order: list[str] = []

    async def gated(ctx: ActorContext) -> None:
        await gate.wait()
        await noted(ctx, order)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.start_child, supervisor("team", children=[child("static", gated)]))
            await settle()
            team = system.child("team", SupervisorRef)
            nursery.start_soon(team.start_child, child("dynamic", noted, order))
            await settle()
            assert [info.name for info in team.which_children()] == ["static"]
            gate.set()

        assert order == ["+static", "+dynamic"]


async def test_a_killed_start_leaves_nobody_waiting() -> None:
    """S38, S48: a supervisor that is killed while its first child starts: starts, orders and refs all come to an end."""
    refused: list[type] = []

    async def order(team: SupervisorRef) -> None:
        with pytest.raises(SupervisorStoppingError):
            await team.start_child(child("dynamic"))
        refused.append(SupervisorStoppingError)

    async def begin() -> None:
        with pytest.raises(StartFailedError):
            await system.start_child(supervisor("team", children=[child("a", hangs), child("b")]))
        refused.append(StartFailedError)

    async with open_system() as system, system.subscribe("**") as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await settle()
            team = system.child("team", SupervisorRef)
            pending = team.child("b", ActorRef)
            nursery.start_soon(order, team)
            nursery.start_soon(pending.wait_gone)
            await settle()
            team.kill()
            with trio.fail_after(5):
                await team.wait_gone()

        assert sorted(kind.__name__ for kind in refused) == ["StartFailedError", "SupervisorStoppingError"]
        assert [event.path for event in told(events, ActorStartedEvent)] == []
        assert await states(system) == {}


async def test_a_stop_that_comes_before_the_first_step() -> None:
    """S28, S38: a supervisor that is told to stop before its task has run starts nothing and ends."""
    began: list[str] = []

    async def counted(ctx: ActorContext) -> None:
        began.append(ctx.name)

    async with open_system() as system:
        root = system.root.address.body
        slot = ReplySlot("/", float("inf"), system.runtime.dead_letters)
        root.order(StartChild(supervisor("team", children=[child("a", counted)]), slot))
        root._lane.serve()
        team = system.child("team", ActorRef)
        assert team._cell is not None
        team._cell.request_stop(CancelCause("a test", "at once", "stop"))
        with trio.fail_after(5):
            ended = await team.wait_stopped()

    assert (ended.reason, ended.started, began) == ("shutdown", False, [])


async def test_a_static_child_may_be_stopped_before_its_turn() -> None:
    """S28: it is passed over, and the others start."""
    gate = trio.Event()

    async def gated(ctx: ActorContext) -> None:
        await gate.wait()
        await obedient(ctx)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                system.start_child, supervisor("team", children=[child("a", gated), child("b"), child("c")])
            )
            await settle()
            team = system.child("team", SupervisorRef)
            with trio.fail_after(5):
                await team.child("b", ActorRef).stop()
            gate.set()

        assert await states(team) == {"a": "running", "b": "stopped", "c": "running"}


async def test_a_child_that_is_stopped_while_it_starts(autojump_clock: trio.testing.MockClock) -> None:
    """S28: it ends within its `shutdown`; whoever started it is told; it is not restarted."""

    async def begin() -> None:
        with pytest.raises(StartFailedError):
            await start(system, hangs, shutdown=2)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await settle()
            await system.child("actor", ActorRef).stop()

        assert trio.current_time() == 2


async def test_start_timeout_holds_while_it_is_being_stopped(autojump_clock: trio.testing.MockClock) -> None:
    """S17, S34: with `shutdown=inf` a start that hangs still ends at its start time-out."""

    async def begin() -> None:
        with pytest.raises(StartFailedError):
            await start(system, hangs, shutdown=float("inf"), start_timeout=4)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await settle()
            await system.child("actor", ActorRef).stop()

        assert trio.current_time() == 4


async def test_a_kill_while_starting_has_its_whole_grace(autojump_clock: trio.testing.MockClock) -> None:
    """S17, S32: the time to clean up counts from the kill, not from the end of the start time-out."""
    cleaned: list[float] = []

    async def tidy(_ctx: ActorContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            cleaned.append(trio.current_time())

    async def begin() -> None:
        with pytest.raises(StartFailedError):
            await start(system, tidy, start_timeout=2)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await trio.sleep(1)
            system.child("actor", ActorRef).kill()

        assert cleaned == [4]
        assert system.leftovers().total == 0


async def test_refs_of_a_supervisor_that_is_gone_say_so() -> None:
    """S38: queries and orders are typed errors."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", restart="temporary"))
        await team.stop()

        for query in (team.which_children, team.count_children, lambda: team.child("a")):
            with pytest.raises(ActorStoppedError):
                query()
        with pytest.raises(ActorStoppedError):
            await team.start_child(child("a"))


async def test_many_children_start_and_end(autojump_clock: trio.testing.MockClock) -> None:
    """S10: a thousand temporary children come and go, and leave neither specs nor timers."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team"))
        refs = [await team.start_child(child(f"c{number}", restart="temporary")) for number in range(1_000)]
        assert team.count_children().active == 1_000
        for ref in refs:
            await ref.stop()

        assert await states(team) == {}
        timers = team.address.body._runner.timers
        assert (len(timers._heap) <= 2_064, timers.next_due()) == (True, float("inf"))


async def test_stuck_start_is_released(autojump_clock: trio.testing.MockClock) -> None:
    """S32: a child that was given up in its start, and ends after all, changes nothing any more."""
    stuck = Stuck()

    async def wedged(ctx: ActorContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            await stuck(ctx)

    async with open_system() as system:
        with pytest.raises(StartTimeoutError):
            await start(system, wedged, start_timeout=1)
        successor = await start(system)
        stuck.released.set()
        await settle()

        assert system.leftovers().total == 0
        assert await successor.ask("here") == "here"
