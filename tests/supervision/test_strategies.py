"""Strategies that restart a group: who is stopped, who comes back, in which order."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import (
    Notes,
    Stuck,
    child,
    crash,
    deaf,
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
    ActorRef,
    ActorStoppedEvent,
    RestartIntensityExceededError,
    SupervisorGaveUpEvent,
    SupervisorRef,
    open_system,
    supervisor,
)


async def test_one_for_all_restarts_all() -> None:
    """S02: the others are stopped in reverse order, then all start again in start order; no old ref remains."""
    notes = Notes()
    async with open_system() as system:
        team = await start_team(system, "one_for_all", *(child(name, noted, notes) for name in "abc"))
        old = [team.child(name) for name in "abc"]
        notes.take()
        await crash(old[1])
        await settle()

        assert notes.take() == "-b -c -a +a +b +c"
        assert incarnations(team) == "a2 b2 c2"
        assert [team.child(name) == ref for name, ref in zip("abc", old, strict=True)] == [False] * 3
        assert {(await ref.wait_stopped()).reason for ref in (old[0], old[2])} == {"shutdown"}
        assert await old[0].ask("through an old ref") == "through an old ref"


async def test_rest_for_one_restarts_the_rest() -> None:
    """S03: those after the one that crashed are stopped in reverse order, then it and they start again; those before it are untouched."""
    notes = Notes()
    async with open_system() as system:
        team = await start_team(system, "rest_for_one", *(child(name, noted, notes) for name in "abcd"))
        a = team.child("a")
        notes.take()
        await crash(team.child("b"))
        await settle()

        assert notes.take() == "-b -d -c +b +c +d"
        assert incarnations(team) == "a1 b2 c2 d2"
        assert team.child("a") == a


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_stops_one_at_a_time(strategy: Any, autojump_clock: trio.testing.MockClock) -> None:
    """S02, S03: the next is asked when the one before has ended, each has its own shutdown time."""
    notes = Notes()
    async with open_system() as system:
        team = await start_team(
            system, strategy, child("a", noted, notes), child("b", noted, notes, 3), child("c", deaf, shutdown=2)
        )
        notes.take()
        await crash(team.child("a"))
        await trio.sleep(1)
        assert await states(team) == {"a": "restarting", "b": "running", "c": "stopping"}
        await trio.sleep(2)
        assert await states(team) == {"a": "restarting", "b": "stopping", "c": "restarting"}
        assert team.count_children().active == 1
        await team.child("a").ask("back?")
        await settle()

        assert trio.current_time() == 5
        assert notes.take() == "-a -b +a +b"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_bystander_goes(strategy: Any) -> None:
    """S07: it is stopped with the group and not started again, its spec goes, and it does not count toward the intensity."""
    async with open_system() as system:
        children = [child("a"), *(child(f"t{number}", restart="temporary") for number in range(3)), child("b")]
        team = await start_team(system, strategy, *children, max_restarts=1)
        t = team.child("t1")
        await crash(team.child("a"))
        await settle()

        assert await states(team) == {"a": "running", "b": "running"}
        assert (await t.wait_stopped()).reason == "shutdown"
        assert team.incarnation == system.child("team", ActorRef).incarnation


async def test_the_crash_of_a_temporary_child_concerns_nobody() -> None:
    """S06, S07: it is not restarted, so no group is."""
    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("t", restart="temporary"))
        await crash(team.child("t"))

        assert await states(team) == {"a": "running"}
        assert incarnations(team) == "a1"


async def test_what_had_ended_is_not_brought_back() -> None:
    """S02: a sibling that was terminated, or had done its work, stays stopped: what was meant is not undone by a crash."""
    async with open_system() as system:
        team = await start_team(
            system, "one_for_all", child("a"), child("done", restart="transient"), child("off"), child("b")
        )
        await team.child("done").tell("return")
        await team.terminate_child("off")
        await crash(team.child("a"))

        assert await states(team) == {"a": "running", "done": "stopped", "off": "stopped", "b": "running"}


async def test_one_for_all_starts_over_when_a_restart_fails() -> None:
    """S23, S22: B fails to start after A already did: A is stopped again and the whole group is tried anew; the failure counts."""
    notes = Notes()
    children = [child("a", noted, notes), child("b", noted, notes, 0, (2, 3)), child("c", noted, notes)]
    async with open_system() as system:
        team = await start_team(system, "one_for_all", *children, max_restarts=3)
        notes.take()
        await crash(team.child("c"))
        await settle()

        assert notes.take() == "-c -b -a +a !b -a +a !b -a +a +b +c"
        assert incarnations(team) == "a4 b4 c2"


async def test_rest_for_one_goes_on_from_the_one_that_failed() -> None:
    """S24, S22: B fails to start: tried again from B on; A, which is back already, is kept; the failure counts."""
    notes = Notes()
    children = [child("a", noted, notes), child("b", noted, notes, 0, (2, 3)), child("c", noted, notes)]
    async with open_system() as system:
        team = await start_team(system, "rest_for_one", *children, max_restarts=3)
        notes.take()
        await crash(team.child("a"))
        await settle()

        assert notes.take() == "-a -c -b +a !b !b +b +c"
        assert incarnations(team) == "a2 b4 c2"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_failed_restarts_of_a_group_exceed_the_intensity(strategy: Any) -> None:
    """S22, S19: each failed start counts; with one too many the supervisor gives up in the middle of its group."""
    notes = Notes()
    children = [child("a", noted, notes), child("b", noted, notes, 0, tuple(range(2, 9))), child("c", noted, notes)]
    async with open_system() as system, system.subscribe("**") as events:
        team = await start_team(system, strategy, *children, max_restarts=2, restart="temporary")
        await crash(team.child("a"))
        ended = await team.wait_stopped()

        assert isinstance(ended.error, RestartIntensityExceededError)
        assert (notes.count("!b"), notes[-1]) == (2, "-a")
        assert notes.count("+a") == notes.count("-a")
        assert notes.count("+c") == notes.count("-c") == 1
        assert len(told(events, SupervisorGaveUpEvent)) == 1


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_middle_supervisor_is_restarted_by_its_parents_strategy(strategy: Any) -> None:
    """S25: it gives up, stops its subtree, and its parent restarts the group; static grandchildren come back, dynamic ones do not."""
    async with open_system() as system:
        middle = supervisor("middle", strategy=strategy, children=[child("x"), child("y")], max_restarts=0)
        team = await start_team(system, strategy, middle, child("sibling"))
        await system.child("team/middle", SupervisorRef).start_child(child("dynamic"))
        await crash(system.child("team/middle/x"))
        await settle()

        assert incarnations(team) == "middle2 sibling2"
        assert incarnations(system.child("team/middle")) == "x1 y1"


async def test_a_bystander_that_is_a_supervisor_comes_back_whole() -> None:
    """S25: its subtree is stopped with it and starts anew; it takes orders again."""
    async with open_system() as system:
        inner = supervisor("inner", children=[child("x"), child("y")])
        team = await start_team(system, "one_for_all", inner, child("b"))
        x = system.child("team/inner/x")
        await crash(team.child("b"))
        await settle()
        inner_ref = system.child("team/inner", SupervisorRef)

        assert (inner_ref.incarnation, (await x.wait_stopped()).reason) == (2, "shutdown")
        assert await (await inner_ref.start_child(child("z"))).ask("new") == "new"
        assert incarnations(inner_ref) == "x1 y1 z1"


async def test_the_report_of_a_group_restart() -> None:
    """S68: who crashed, who was stopped for it, by whom and why, who is back: in order, each caused by the event before it."""
    async with open_system() as system, system.subscribe("team/**") as events:
        team = await start_team(system, "rest_for_one", child("a"), child("b"), child("c"))
        team.child("b").kill("a test")
        await settle()
        report = told(events)[4:]

        crashed, stopped, b, c = report
        assert [(event.type, event.path, event.incarnation) for event in report] == [
            ("actor_crashed", "/team/b", 1),
            ("actor_stopped", "/team/c", 1),
            ("actor_restarted", "/team/b", 2),
            ("actor_restarted", "/team/c", 2),
        ]
        assert isinstance(stopped, ActorStoppedEvent)
        assert (stopped.by, stopped.why, stopped.source) == ("/team", "'b' is restarted (rest_for_one)", "strategy")
        assert (b.cause, c.cause) == (crashed.seq, stopped.seq)


async def test_a_bystander_that_will_not_end_is_replaced(autojump_clock: trio.testing.MockClock) -> None:
    """S32: it is given up after its time, the group goes on without it, and its next incarnation starts."""
    stuck = Stuck()

    async def first_is_stuck(ctx: ActorContext) -> None:
        await (stuck(ctx) if ctx.ref.incarnation == 1 else obedient(ctx))

    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b", first_is_stuck, shutdown=1))
        await crash(team.child("a"))
        assert await team.child("b").ask("here") == "here"

        assert trio.current_time() == 6
        assert system.leftovers().names == ("actor /team/b",)
        stuck.released.set()
        await settle()
        assert incarnations(team) == "a2 b2"
