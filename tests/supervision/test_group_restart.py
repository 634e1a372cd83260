"""In the middle of the restart of a group: crashes, orders, stops; one restart, nobody twice, nobody forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import (
    Notes,
    child,
    crash,
    hangs,
    incarnations,
    noted,
    obedient,
    settle,
    start_team,
    states,
    told,
)
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorRestartedEvent,
    AskCycleError,
    ProviderError,
    StartFailedError,
    SupervisorRef,
    SupervisorStoppingError,
    open_system,
)


async def crashing_at(ctx: ActorContext, notes: Notes, crashing: str, now: trio.Event) -> None:
    """Note start and end; if it is one of those that crash, do that when all do, in the first incarnation."""
    async with trio.open_nursery() as nursery:
        if ctx.name in crashing and ctx.ref.incarnation == 1:
            nursery.start_soon(raise_at, now, ctx.name)
        await noted(ctx, notes)
        nursery.cancel_scope.cancel()


async def raise_at(now: trio.Event, name: str) -> None:
    await now.wait()
    raise ValueError(name)


@pytest.mark.parametrize("crashing", ["ab", "bc", "abc"])
async def test_crashes_in_one_tick_make_one_group_restart(crashing: str) -> None:
    """S46: several crash at once: one group restart, no half-started duplicates, all causes are told."""
    notes, now = Notes(), trio.Event()
    async with open_system() as system, system.subscribe("**") as events:
        children = [child(name, crashing_at, notes, crashing, now) for name in "abc"]
        team = await start_team(system, "one_for_all", *children, max_restarts=1)
        told(events)
        notes.take()
        now.set()
        await settle()

        assert incarnations(team) == "a2 b2 c2"
        assert sorted(notes[:3]) == ["-a", "-b", "-c"]
        assert notes[3:] == ["+a", "+b", "+c"]
        errors = {str(event.error) for event in told(events, ActorCrashedEvent)}
        assert errors == {f"ValueError: {name}" for name in crashing}


@pytest.mark.parametrize("crashing", ["ab", "bc", "abc"])
async def test_crashes_in_one_tick_under_rest_for_one(crashing: str) -> None:
    """S46: whichever is heard of first: who stands before the first that crashed is untouched, the others run once each in the end."""
    notes, now = Notes(), trio.Event()
    async with open_system() as system, system.subscribe("**") as events:
        children = [child(name, crashing_at, notes, crashing, now) for name in "abc"]
        team = await start_team(system, "rest_for_one", *children, max_restarts=len(crashing))
        notes.take()
        now.set()
        await settle()

        group = [name for name in "abc" if name >= crashing[0]]
        assert await states(team) == dict.fromkeys("abc", "running")
        assert [name for name in "abc" if team.child(name).incarnation > 1] == group
        assert {name: notes.count(f"+{name}") - notes.count(f"-{name}") for name in group} == dict.fromkeys(group, 0)
        assert notes[-len(group) :] == [f"+{name}" for name in group]
        errors = {str(event.error) for event in told(events, ActorCrashedEvent)}
        assert errors == {f"ValueError: {name}" for name in crashing}


async def test_an_earlier_sibling_that_crashes_widens_the_group(autojump_clock: trio.testing.MockClock) -> None:
    """S46: rest_for_one restarts [B, C] when A crashes: the group becomes [A, B, C], nobody starts twice; both are counted."""
    notes = Notes()
    async with open_system() as system:
        team = await start_team(
            system,
            "rest_for_one",
            child("a", noted, notes),
            child("b", noted, notes),
            child("c", noted, notes, 2),
            max_restarts=2,
        )
        notes.take()
        await crash(team.child("b"))
        await trio.sleep(1)
        await crash(team.child("a"))
        await trio.sleep(5)

        assert notes.take() == "-b -a -c +a +b +c"
        assert incarnations(team) == "a2 b2 c2"


@pytest.mark.parametrize("end", ["crash", "kill"])
@pytest.mark.parametrize("phase", ["asked", "waiting"])
async def test_an_exit_in_a_group_that_is_stopped_starts_no_second_restart(
    end: str, phase: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S47: C crashes while the restart of B is stopping it, or has not yet come to it: it comes back with the group, once."""
    notes = Notes()
    release = trio.Event()

    async def held(ctx: ActorContext) -> None:
        ctx.started()
        await ctx.wait_stopping()
        await release.wait()
        if phase == "asked":
            raise ValueError("while it was stopped")

    async with open_system() as system, system.subscribe("**") as events:
        team = await start_team(
            system,
            "rest_for_one",
            child("a"),
            child("b", noted, notes),
            child("c", noted, notes),
            child("d", held, shutdown=60),
            max_restarts=1,
        )
        await crash(team.child("b"))
        await trio.sleep(1)
        told(events)
        if phase == "asked" and end == "kill":
            team.child("d").kill()
        elif phase == "waiting":
            c = team.child("c")
            await (crash(c) if end == "crash" else _kill(c))
        release.set()
        await trio.sleep(1)

        assert incarnations(team) == "a1 b2 c2 d2"
        assert await states(team) == dict.fromkeys("abcd", "running")
        assert [event.path for event in told(events, ActorRestartedEvent)] == ["/team/b", "/team/c", "/team/d"]


async def _kill(ref: ActorRef) -> None:
    ref.kill()
    await ref.wait_stopped()


async def test_what_ends_by_itself_in_its_group_is_judged_by_its_own_type(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S05, S47: a transient sibling that has done its work before it was asked to stop does not come back; nor one whose error says never."""
    notes = Notes()
    async with open_system() as system:
        children = [
            child("a", noted, notes),
            child("done", restart="transient"),
            child("lost"),
            child("last", noted, notes, 3),
        ]
        team = await start_team(system, "one_for_all", *children)
        await crash(team.child("a"))
        await trio.sleep(1)
        await team.child("done").tell("return")
        await crash(team.child("lost"), ProviderError("auth", "no such key"))
        await trio.sleep(5)

        assert await states(team) == {"a": "running", "done": "stopped", "lost": "stopped", "last": "running"}


async def test_one_that_is_back_and_crashes_again_counts_again(autojump_clock: trio.testing.MockClock) -> None:
    """S46, S22: A is back and crashes while B is still starting: one agenda takes the place of the other, B is not started twice; the crash counts."""
    notes = Notes()

    async def slow(ctx: ActorContext) -> None:
        notes.append(f"~{ctx.name}")
        if ctx.ref.incarnation > 1:
            await trio.sleep(1)
        await noted(ctx, notes)

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a", noted, notes), child("b", slow), max_restarts=2)
        notes.take()
        await crash(team.child("a"))
        await settle()
        assert await states(team) == {"a": "running", "b": "starting"}
        await crash(team.child("a"))
        await team.child("b").ask("there?")

        assert notes.take() == "-a -b +a ~b -a +b -b +a ~b +b"
        assert incarnations(team) == "a3 b3"


async def test_orders_wait_for_the_end_of_a_group_restart(autojump_clock: trio.testing.MockClock) -> None:
    """S02: in the middle of it mutations are queued, and carried out in order when it is over; queries are answered at once."""
    done: list[tuple[str, float]] = []

    async def order(name: str, call: Callable[[], Any]) -> None:
        await call()
        done.append((name, trio.current_time()))

    async with open_system() as system:
        notes = Notes()
        team = await start_team(system, "one_for_all", child("a"), child("slow", noted, notes, 3))
        await crash(team.child("a"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(order, "start", lambda: team.start_child(child("new")))
            await settle()
            nursery.start_soon(order, "terminate", lambda: team.terminate_child("a"))
            await settle()
            assert await states(team) == {"a": "restarting", "slow": "stopping"}
            assert (team.count_children().specs, done) == (2, [])

        assert sorted(done) == [("start", 3), ("terminate", 3)]
        assert await states(team) == {"a": "stopped", "slow": "running", "new": "running"}


async def test_a_stop_of_a_member_in_the_middle(autojump_clock: trio.testing.MockClock) -> None:
    """S02, S28: `ref.stop()` is meant also then: whoever is stopped, waits or is about to be stopped does not come back; the others do."""
    notes = Notes()
    async with open_system() as system:
        children = [child("a"), child("b", noted, notes), child("c", noted, notes, 3), child("d")]
        team = await start_team(system, "one_for_all", *children)
        await crash(team.child("a"))
        await trio.sleep(1)
        assert await states(team) == {"a": "restarting", "b": "running", "c": "stopping", "d": "restarting"}
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(team.child(name).stop)
        await trio.sleep(5)

        assert await states(team) == {"a": "stopped", "b": "stopped", "c": "stopped", "d": "running"}
        assert notes == ["+b", "+c", "-b", "-c"]


async def test_a_member_that_terminates_itself_in_the_middle(autojump_clock: trio.testing.MockClock) -> None:
    """S39: from inside the group that is being stopped the caller is cancelled at once; it does not come back."""

    async def suicidal(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            await ctx.wait_stopping()
            await system.child("team", SupervisorRef).terminate_child("b")

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b", suicidal, shutdown=float("inf")))
        await team.child("b").tell("go")
        await settle()
        await crash(team.child("a"))
        await settle()

        assert await states(team) == {"a": "running", "b": "stopped"}


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_an_order_of_a_member_that_is_waited_for_is_refused(restart: Any) -> None:
    """S60: the supervisor waits for it to end before it obeys anybody: it would wait for itself."""
    refused: list[tuple[str, ...]] = []

    async def orders(ctx: ActorContext) -> None:
        ctx.started()
        await ctx.wait_stopping()
        with pytest.raises(AskCycleError) as caught:
            await system.child("team", SupervisorRef).start_child(child("new"))
        refused.append(caught.value.cycle)

    async with open_system() as system:
        team = await start_team(
            system, "one_for_all", child("a"), child("b", orders, shutdown=float("inf"), restart=restart)
        )
        with trio.fail_after(5):
            await crash(team.child("a"))
            await team.child("a").ask("back?")

    assert refused[:1] == [("/team/b", "/team", "/team/b")]


async def test_an_order_of_a_member_that_is_restarted_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """S60: it has to start before the supervisor obeys: it would wait for itself."""
    refused: list[int] = []

    async def orders(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            with pytest.raises(AskCycleError):
                await system.child("team", SupervisorRef).terminate_child("a")
            refused.append(ctx.ref.incarnation)
        await obedient(ctx)

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b", orders))
        await crash(team.child("a"))
        await team.child("b").ask("back?")

    assert (refused, trio.current_time()) == ([2], 0)


@pytest.mark.parametrize("phase", ["stopping", "starting"])
@pytest.mark.parametrize("how", ["stop", "kill", "give_up"])
async def test_the_end_of_the_supervisor_wins(how: str, phase: str, autojump_clock: trio.testing.MockClock) -> None:
    """S28, S35: a stop, a kill, a give-up in the middle of a group restart: nobody is started any more, all end, waiting orders are refused."""
    notes = Notes()

    async def slow(ctx: ActorContext) -> None:
        if phase == "starting" and ctx.ref.incarnation > 1:
            await trio.sleep(3)
        await noted(ctx, notes, 3 if phase == "stopping" else 0)

    refused: list[float] = []

    async def order() -> None:
        with pytest.raises(SupervisorStoppingError):
            await team.start_child(child("new"))
        refused.append(trio.current_time())

    children = [child("a", noted, notes), child("b", noted, notes), child("c", slow), child("d", noted, notes)]
    async with open_system() as system:
        most = 1 if how == "give_up" else 9
        team = await start_team(system, "rest_for_one", *children, max_restarts=most, restart="temporary")
        await crash(team.child("b"))
        await trio.sleep(1)
        notes.take()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(order)
            await settle()
            match how:
                case "stop":
                    nursery.start_soon(team.stop)
                case "kill":
                    team.kill()
                case _:
                    await crash(team.child("a"))
        ended = await team.wait_stopped()

        assert ended.reason == ("killed" if how == "kill" else "shutdown")
        assert refused != []
        assert await states(system) == {}
        assert notes.count("+a") + notes.count("+b") + notes.count("+d") == 0
        await trio.sleep(60)
        assert [note for note in notes.take().split() if note.startswith("+")] == (
            ["+c"] if phase == "starting" and how != "kill" else []
        )


async def test_messages_of_bystanders_survive(autojump_clock: trio.testing.MockClock) -> None:
    """S62: what lies in the mailbox of a bystander, and what is sent while it is stopped, reaches its next incarnation, in order."""
    seen: list[tuple[int, object]] = []

    async def slow(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append((ctx.ref.incarnation, message))
            await trio.sleep(2)
            ctx.reply(message)

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b", slow, shutdown=9, mailbox_capacity=2))
        b, answers = team.child("b"), []

        async def ask(number: int) -> None:
            answers.append(await b.ask(number))

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(ask, number)
                await settle()
            await crash(team.child("a"))
            await trio.sleep(1)
            nursery.start_soon(ask, 5)

        assert seen == [(1, 0), *((2, number) for number in range(1, 6))]
        assert answers == list(range(6))
        assert system.runtime.dead_letters.count == 1


async def test_an_addition_that_is_starting_comes_with_its_group(autojump_clock: trio.testing.MockClock) -> None:
    """S02, S15: whoever waits for its start gets the ref of the incarnation that started; a temporary one failed to start."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(2)
        await obedient(ctx)

    refs: list[ActorRef] = []

    async def begin() -> None:
        refs.append(await team.start_child(child("new", slow)))

    async def begin_temporary() -> None:
        with pytest.raises(StartFailedError):
            await team.start_child(child("t", hangs, restart="temporary", shutdown=0.5))

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await settle()
            nursery.start_soon(begin_temporary)
            await trio.sleep(1)
            await crash(team.child("a"))

        assert await states(team) == {"a": "running", "new": "running"}
        assert (refs, refs[0].incarnation) == ([team.child("new")], 2)


async def test_the_caller_of_an_addition_goes_away_in_the_middle(autojump_clock: trio.testing.MockClock) -> None:
    """S02, T25: an addition that waits for its turn in a group restart is rolled back when its caller goes."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(2)
        await obedient(ctx)

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b", noted, Notes(), 9, shutdown=10))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(team.start_child, child("new", slow))
            await trio.sleep(1)
            await crash(team.child("a"))
            await trio.sleep(3)
            assert (await states(team))["new"] == "restarting"
            nursery.cancel_scope.cancel()
        assert await states(team) == {"a": "restarting", "b": "stopping"}
        await trio.sleep(20)

        assert await states(team) == {"a": "running", "b": "running"}


async def test_a_crash_during_the_start_up_restarts_the_group_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13, S02: a static child crashes before the last one has started: first all start, then the group is restarted, once."""
    notes = Notes()

    async def slow(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            await trio.sleep(2)
        await noted(ctx, notes)

    async def begin() -> None:
        children = [child("a", noted, notes), child("b", noted, notes), child("c", slow), child("d", noted, notes)]
        await start_team(system, "one_for_all", *children, max_restarts=1)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await trio.sleep(1)
            await crash(system.child("team/b"))
            await crash(system.child("team/a"))
            team = system.child("team", SupervisorRef)
            assert await states(team) == {"a": "restarting", "b": "restarting", "c": "starting", "d": "stopped"}
        await settle()

        assert notes.take() == "+a +b -b -a +c +d -d -c +a +b +c +d"
        assert (incarnations(team), trio.current_time()) == ("a2 b2 c2 d2", 2)


async def test_a_child_that_is_stopped_before_its_postponed_restart(autojump_clock: trio.testing.MockClock) -> None:
    """S28, S13: it stays stopped, and nobody is restarted for it."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(2)
        await obedient(ctx)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_team, system, "one_for_all", child("a"), child("b", slow))
            await trio.sleep(1)
            await crash(system.child("team/a"))
            await system.child("team/a").stop()
        team = system.child("team", SupervisorRef)

        assert await states(team) == {"a": "stopped", "b": "running"}
        assert team.child("b").incarnation == 1
