"""Supervisors: starts, restarts, intensity, stops."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    AlreadyPresentError,
    AlreadyStartedError,
    AskCycleError,
    ChildNotFoundError,
    ChildRunningError,
    ChildSpec,
    Exit,
    Ignore,
    SpecError,
    StartFailedError,
    StartTimeoutError,
    SupervisorGaveUpEvent,
    SupervisorRef,
    SystemFailedError,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision import RestartWindow, is_restarted


async def obedient(ctx: ActorContext) -> None:
    """End as it is told: crash, return, or serve."""
    async for message in ctx.messages():
        if message == "return":
            return
        if isinstance(message, Exception):
            raise message
        ctx.reply(message)


def child(name: str, function: Any = obedient, **options: Any) -> ChildSpec:
    return ChildSpec(name, function, **options)


async def crash(ref: ActorRef) -> None:
    await ref.tell(ValueError("boom"))
    await ref.wait_stopped()


async def settled(team: SupervisorRef) -> dict[str, str]:
    await trio.testing.wait_all_tasks_blocked()
    return {info.name: info.state for info in team.which_children()}


async def test_one_for_one_restarts_only_the_one() -> None:
    """S01: only the child that crashed is a new incarnation; the counts say so."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("b")]))
        a, b = team.child("a"), team.child("b")
        await crash(a)

        assert await settled(team) == {"a": "running", "b": "running"}
        assert team.child("a") != a
        assert team.child("b") == b
        assert team.count_children().active == 2


@pytest.mark.parametrize("end", ["return", "crash"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_restart_types(restart: Any, end: str) -> None:
    """S04, S05, S06: permanent always; transient only after an abnormal end, else its spec stays; temporary never, and its spec goes."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", restart=restart)]))
        a = team.child("a")
        await a.tell("return" if end == "return" else ValueError("boom"))
        await a.wait_stopped()
        states = await settled(team)

        wanted = {"permanent": "running", "transient": "stopped" if end == "return" else "running"}
        assert states == ({} if restart == "temporary" else {"a": wanted[restart]})


async def test_start_order_and_reverse_stop_order() -> None:
    """S14: children start in order and stop in exact reverse order, one at a time."""
    order: list[str] = []

    async def noted(ctx: ActorContext) -> None:
        order.append(f"+{ctx.name}")
        async for _ in ctx.messages():
            pass
        await trio.testing.wait_all_tasks_blocked()
        order.append(f"-{ctx.name}")

    async with open_system() as system:
        await system.start_child(supervisor("team", children=[child(name, noted) for name in "abc"]))

    assert order == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_failed_start_rolls_back() -> None:
    """S13: what started before is stopped, what comes after is never started, the cause is told."""
    started: list[str] = []

    async def noted(ctx: ActorContext) -> None:
        started.append(ctx.name)
        await obedient(ctx)

    async def broken(_ctx: ActorContext) -> None:
        raise LookupError("no")

    async with open_system() as system:
        with pytest.raises(StartFailedError) as caught:
            await system.start_child(
                supervisor("team", children=[child("a", noted), child("b", broken), child("c", noted)])
            )

        assert started == ["a"]
        assert (caught.value.path, type(caught.value.cause)) == ("/team/b", LookupError)
        assert system.which_children() == ()


async def test_a_dynamic_start_that_fails_leaves_nothing() -> None:
    """S15: no spec, no ref, no restart counted."""

    async def broken(_ctx: ActorContext) -> None:
        raise LookupError("no")

    async with open_system() as system:
        team = await system.start_child(supervisor("team", max_restarts=0))
        with pytest.raises(StartFailedError):
            await team.start_child(child("b", broken))

        assert await settled(team) == {}


async def test_a_start_that_hangs_times_out(autojump_clock: trio.testing.MockClock) -> None:
    """S17: cancelled after `start_timeout`, rolled back, a typed error."""

    async def hangs(_ctx: ActorContext) -> None:
        await trio.sleep_forever()

    async with open_system() as system:
        with pytest.raises(StartTimeoutError) as caught:
            await system.start_child(child("a", hangs, start_timeout=3))

        assert caught.value.seconds == 3
        assert system.which_children() == ()


async def test_a_cancelled_start_is_rolled_back(autojump_clock: trio.testing.MockClock) -> None:
    """T25: the caller that goes away while the child starts leaves no child behind."""

    async def hangs(_ctx: ActorContext) -> None:
        await trio.sleep_forever()

    async with open_system() as system:
        with trio.move_on_after(1):
            await system.start_child(child("a", hangs))
        await trio.sleep(10)

        assert system.which_children() == ()


async def test_ignore() -> None:
    """S09: a child with nothing to do is no failure; a permanent one keeps its spec without a ref."""

    async def ignores(_ctx: ActorContext) -> None:
        raise Ignore

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", ignores)]))

        assert await settled(team) == {"a": "stopped"}
        assert await team.start_child(child("b", ignores, restart="temporary")) is None
        assert "b" not in await settled(team)


async def test_orders_that_do_not_fit() -> None:
    """S11, S12: names that are taken, children that run, are stopped or unknown; terminating twice is fine."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        with pytest.raises(AlreadyStartedError) as taken:
            await team.start_child(child("a"))
        assert taken.value.ref == team.child("a")
        with pytest.raises(ChildRunningError):
            await team.delete_child("a")
        with pytest.raises(ChildRunningError):
            await team.restart_child("a")
        with pytest.raises(ChildNotFoundError):
            await team.terminate_child("nobody")
        await team.terminate_child("a")
        await team.terminate_child("a")
        with pytest.raises(AlreadyPresentError):
            await team.start_child(child("a"))
        ref = await team.restart_child("a")
        assert await ref.ask("well?") == "well?"
        await team.terminate_child(ref)
        await team.delete_child("a")
        assert await settled(team) == {}


async def test_specs_are_checked_before_anything_starts() -> None:
    """S18: the field is named, and nothing was started."""
    for field, make in {
        "name": lambda: child("a/b"),
        "restart": lambda: child("a", restart="sometimes"),
        "shutdown": lambda: child("a", shutdown=-1),
        "max_restarts": lambda: supervisor("s", max_restarts=-1),
        "strategy": lambda: supervisor("s", strategy="all_for_none"),
        "children": lambda: supervisor("s", children=[child("a"), child("a")]),
    }.items():
        with pytest.raises(SpecError) as caught:
            make()
        assert caught.value.field == field


async def test_intensity_exceeded_gives_up_and_the_parent_restarts() -> None:
    """S19, S25, S26: the third crash stops all children, the supervisor exits shutdown with its cause, its parent starts it anew."""
    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(
            supervisor("team", children=[child("a"), child("b")], max_restarts=2, restart="transient")
        )
        await team.start_child(child("dynamic"))
        for _ in range(3):
            await crash(team.child("a"))
            await trio.testing.wait_all_tasks_blocked()
        again = system.child("team", SupervisorRef)

        assert again != team
        assert await settled(again) == {"a": "running", "b": "running"}
        told = []
        while (event := events.next_nowait()) is not None:
            told.append(event)
        assert sum(isinstance(event, SupervisorGaveUpEvent) for event in told) == 1


async def test_no_restart_at_all() -> None:
    """S21: with max_restarts=0 the first crash escalates; of the root it fails the system."""
    with pytest.raises(SystemFailedError):
        async with open_system(max_restarts=0) as system:
            ref = await system.start_child(child("a"))
            await crash(ref)
            await trio.sleep_forever()


async def test_the_window_slides(autojump_clock: trio.testing.MockClock) -> None:
    """S20: crashes that lie apart never escalate, however many."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")], max_restarts=1, max_seconds=1))
        for _ in range(6):
            await crash(team.child("a"))
            await trio.sleep(2.1)

        assert await settled(team) == {"a": "running"}


async def test_a_child_that_ignores_its_stop_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """S32: after its shutdown time it is cancelled and reported killed; its siblings are still stopped in order."""

    async def deaf(ctx: ActorContext) -> None:
        ctx.started()
        await trio.sleep_forever()

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("deaf", deaf, shutdown=5)]))
        a, ref = team.child("a"), team.child("deaf")
        began = trio.current_time()
        await team.stop()

        assert trio.current_time() - began == 5
        assert (await ref.wait_stopped()).reason == "killed"
        assert (await a.wait_stopped()).reason == "shutdown"


async def test_shutdown_kill_skips_the_grace() -> None:
    """S33: cancelled at once."""

    async def deaf(ctx: ActorContext) -> None:
        ctx.started()
        await trio.sleep_forever()

    async with open_system() as system:
        ref = await system.start_child(child("deaf", deaf, shutdown="kill"))
        with trio.fail_after(5):
            await ref.stop()

        assert (await ref.wait_stopped()).reason == "killed"


async def test_a_child_that_will_not_end_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """S32, T02: it stands among the leftovers, by name; the supervisor, `stop` and the system go on without it."""
    release = trio.Event()

    async def swallows(ctx: ActorContext) -> None:
        ctx.started()
        with trio.CancelScope(shield=True):
            await release.wait()

    async with open_system() as system:
        ref = await system.start_child(child("stuck", swallows, shutdown=1))
        await ref.stop()
        exited = await ref.wait_stopped()

        assert (exited.reason, exited.abandoned) == ("killed", True)
        assert system.leftovers().names == ("actor /stuck",)
        release.set()
        await trio.testing.wait_all_tasks_blocked()
        assert system.leftovers().total == 0


async def test_stop_from_inside_does_not_deadlock() -> None:
    """S39: the handler that stops its own tree is cancelled; the call never returns to it."""

    async def suicidal(ctx: ActorContext, team: list[SupervisorRef]) -> None:
        async for _ in ctx.messages():
            await team[0].stop()
            raise AssertionError("must not return")

    teams: list[SupervisorRef] = []
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", suicidal, args=(teams,))]))
        teams.append(team)
        await team.child("a").tell("go")
        with trio.fail_after(5):
            await team.wait_gone()


async def test_starting_a_sibling_while_starting_is_refused() -> None:
    """A child that asks its still starting supervisor for another one would wait for itself."""

    async def impatient(_ctx: ActorContext, teams: list[SupervisorRef]) -> None:
        await teams[0].start_child(child("b"))

    teams: list[SupervisorRef] = []
    async with open_system() as system:
        team = await system.start_child(supervisor("team"))
        teams.append(team)
        with pytest.raises(StartFailedError) as caught:
            await team.start_child(child("a", impatient, args=(teams,)))

        assert isinstance(caught.value.cause, AskCycleError)


async def test_the_report_names_every_transition_and_its_cause() -> None:
    """S68: started, crashed, restarted, stopped: in order, each caused by the one before. The lost message is told by the way."""
    async with open_system() as system, system.subscribe("a") as events:
        ref = await system.start_child(child("a"))
        await crash(ref)
        await trio.testing.wait_all_tasks_blocked()
        await ref.stop("enough")
        told: list[Any] = []
        while (event := events.next_nowait()) is not None:
            told.append(event)
        lost = told.pop(2)

        assert (lost.reason, lost.cause) == ("crashed_in_hand", told[1].seq)
        kinds = [ActorStartedEvent, ActorCrashedEvent, ActorRestartedEvent, ActorStoppedEvent]
        assert [type(event) for event in told] == kinds
        assert [event.cause for event in told[1:]] == [event.seq for event in told[:-1]]
        assert (told[-1].why, told[-1].source) == ("enough", "stop")


async def test_killing_a_supervisor_leaves_nobody_waiting() -> None:
    """S48: the subtree goes with it, queued orders fail, the parent starts it anew."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        a = team.child("a")
        team.kill()
        with trio.fail_after(5):
            await a.wait_gone()
            await trio.testing.wait_all_tasks_blocked()

        assert await settled(system.child("team", SupervisorRef)) == {"a": "running"}


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(0, 4), st.floats(0.1, 5))
def test_the_restart_window_counts_what_lies_in_it(times: list[float], most: int, seconds: float) -> None:
    """S20: a restart is allowed as long as no more than `max_restarts` lie within `max_seconds`."""
    window = RestartWindow(most, seconds)
    times.sort()
    for place, now in enumerate(times):
        within = sum(now - before <= seconds for before in times[: place + 1])
        assert window.allows(now) is (within <= most)


def test_never_is_never() -> None:
    """An error that can never succeed is not tried again, whatever the restart type."""
    failed = Exit("error", ValueError())
    assert not is_restarted("permanent", failed, "never")
    assert is_restarted("transient", failed, "default")
