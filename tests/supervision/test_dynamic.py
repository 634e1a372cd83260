"""Dynamic supervisors: many alike, started at run time, stopped at once, with a bound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import child, crash, deaf, ignores, obedient, start_team, states
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    AlreadyPresentError,
    AlreadyStartedError,
    Backoff,
    ChildNotFoundError,
    MaxChildrenError,
    RestartIntensityExceededError,
    SpecError,
    StartFailedError,
    SupervisorRef,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision._agenda import FEWEST, TURNS
from tinyagent_actors.supervision._children import Children


async def slow(ctx: ActorContext, seconds: float) -> None:
    """Take time to stop."""
    async for _ in ctx.messages():
        pass
    await trio.sleep(seconds)


async def show(ctx: ActorContext, *args: Any, **kwargs: Any) -> None:
    """Answer with the arguments; end as told."""
    async for message in ctx.messages():
        if isinstance(message, Exception):
            raise message
        ctx.reply((args, kwargs))


async def test_all_are_asked_to_stop_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """S36: the time a stop takes is that of the slowest, not the sum; each has its own shutdown time."""
    async with open_system() as system:
        team = await start_team(system, "dynamic")
        refs = [await team.start_child(child(f"c{n}", slow, 1 + n / 10, shutdown=9)) for n in range(20)]
        refs.append(await team.start_child(child("deaf", deaf, shutdown=2)))
        await team.stop()

        assert trio.current_time() == pytest.approx(2.9)
        reasons = [(await ref.wait_stopped()).reason for ref in refs]
        assert reasons == [*["shutdown"] * 20, "killed"]


async def test_a_give_up_asks_all_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """S36, S19: also then."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", max_restarts=0, restart="temporary")
        for number in range(5):
            await team.start_child(child(f"c{number}", slow, 3))
        await crash(await team.start_child(child("a")))
        ended = await team.wait_stopped()

        assert isinstance(ended.error, RestartIntensityExceededError)
        assert trio.current_time() == 3


async def test_those_that_are_many_are_asked_in_groups(autojump_clock: trio.testing.MockClock) -> None:
    """S36: a few in each turn of the loop, whether any of them has ended or not; after so many turns all have been asked."""
    async with open_system() as system, trio.open_nursery() as nursery:
        team = await start_team(system, "dynamic")
        for number in range(2 * FEWEST * TURNS):
            await team.start_child(child(f"c{number}", slow, 3))
        nursery.start_soon(team.stop)
        asked = []
        for _ in range(TURNS + 10):
            await trio.lowlevel.checkpoint()
            asked.append(sum(info.state == "stopping" for info in team.which_children()))

        steps = [after - before for before, after in itertools.pairwise(asked)]
        assert (
            0 < max(steps) <= 2 * 2 * FEWEST
        )  # its turn comes before or after this task's, so it may have two in between
        assert asked[-1] == 2 * FEWEST * TURNS
        assert trio.current_time() == 0
    assert trio.current_time() == 3


async def test_a_restart_uses_the_same_args() -> None:
    """S08: a dynamic child is restarted with the arguments it was started with."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", template=child("worker", show, 1, kwargs={"a": 2}))
        ref = await team.start_another(3, b=4)
        assert await ref.ask("args") == ((1, 3), {"a": 2, "b": 4})
        await crash(ref)

        assert await ref.ask("args") == ((1, 3), {"a": 2, "b": 4})
        assert team.child(ref.path.rpartition("/")[2]).incarnation == 2


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_what_ends_is_forgotten(restart: Any) -> None:
    """S06, S09: no spec stays of a dynamic child that was stopped, ended or ignored its start, whatever its type."""
    async with open_system() as system:
        team = await start_team(system, "dynamic")
        await team.start_child(child("a", restart=restart))
        await team.terminate_child("a")
        b = await team.start_child(child("b", restart=restart))
        await b.stop()
        assert await team.start_child(child("c", ignores, restart=restart)) is None
        if restart != "permanent":
            d = await team.start_child(child("d", restart=restart))
            await d.tell("return")
            await d.wait_gone()

        assert await states(team) == {}
        for order in (team.restart_child, team.delete_child):
            with pytest.raises(ChildNotFoundError):
                await order("a")


async def test_ignoring_a_restart_is_forgotten() -> None:
    """S09: a dynamic child that has nothing to do when it is restarted goes, and nothing is restarted for it."""

    async def once(ctx: ActorContext) -> None:
        await (obedient(ctx) if ctx.ref.incarnation == 1 else ignores(ctx))

    async with open_system() as system:
        team = await start_team(system, "dynamic")
        ref = await team.start_child(child("a", once))
        await crash(ref)
        await ref.wait_gone()

        assert await states(team) == {}


async def test_a_failed_start_leaves_nothing() -> None:
    """S15: no spec, no ref, no restart counted, and no place taken."""

    async def broken(_ctx: ActorContext) -> None:
        raise LookupError

    async with open_system() as system:
        team = await start_team(system, "dynamic", max_restarts=0, max_children=1)
        for _ in range(3):
            with pytest.raises(StartFailedError):
                await team.start_child(child("a", broken))

        assert await states(team) == {}


@pytest.mark.parametrize("strategy", ["dynamic", "one_for_one", "one_for_all", "rest_for_one"])
async def test_max_children(strategy: Any) -> None:
    """S30: one more is refused with a typed error, until one of them is gone."""
    async with open_system() as system:
        team = await start_team(system, strategy, max_children=2)
        for name in "ab":
            await team.start_child(child(name))
        with pytest.raises(MaxChildrenError) as refused:
            await team.start_child(child("c"))
        assert (refused.value.supervisor, refused.value.max_children) == ("/team", 2)
        assert str(refused.value) == "/team has its 2 children already"
        with pytest.raises(AlreadyStartedError):
            await team.start_child(child("a"))

        await team.terminate_child("a")
        if strategy != "dynamic":
            with pytest.raises(AlreadyPresentError):
                await team.start_child(child("a"))
            with pytest.raises(MaxChildrenError):
                await team.start_child(child("c"))
            await team.delete_child("a")
        await team.start_child(child("c"))
        assert await states(team) == {"b": "running", "c": "running"}


async def test_children_that_wait_for_a_restart_count(autojump_clock: trio.testing.MockClock) -> None:
    """S30: a restarting child takes its place among `max_children`."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", max_children=1, backoff=Backoff(jitter=0))
        await crash(await team.start_child(child("a")))
        assert await states(team) == {"a": "restarting"}
        with pytest.raises(MaxChildrenError):
            await team.start_child(child("b"))

        await team.terminate_child("a")
        assert await (await team.start_child(child("b"))).ask("in its place") == "in its place"


async def test_names_are_made_and_never_used_again() -> None:
    """S08: the template's name with a number, one that is not taken; also after the supervisor was restarted."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", template=child("worker"))
        names = [(await team.start_another()).path.rpartition("/")[2] for _ in range(2)]
        await team.terminate_child("worker-2")
        await team.start_another(name="worker-3")
        names += [(await team.start_another()).path.rpartition("/")[2]]
        team.kill()
        await team.wait_stopped()
        await states(system)
        names += [(await team.start_another()).path.rpartition("/")[2]]

        assert names == ["worker-1", "worker-2", "worker-4", "worker-5"]
        assert await states(team) == {"worker-5": "running"}


async def test_without_a_template() -> None:
    """S18: there is nothing to make another of."""
    async with open_system() as system:
        team = await start_team(system, "dynamic")
        with pytest.raises(SpecError) as refused:
            await team.start_another()

        assert refused.value.field == "template"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"strategy": "dynamic", "children": [child("a")]}, "children"),
        ({"max_children": 1, "children": [child("a"), child("b")]}, "max_children"),
        ({"max_children": -1}, "max_children"),
        ({"max_children": True}, "max_children"),
        ({"max_children": 1.5}, "max_children"),
        ({"template": "worker"}, "children"),
        ({"strategy": "simple_one_for_one"}, "strategy"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, Any], field: str) -> None:
    """S18: the field is named, nothing is started."""
    with pytest.raises(SpecError) as refused:
        supervisor("team", **options)

    assert refused.value.field == field


@pytest.mark.parametrize("strategy", ["dynamic", "one_for_one"])
async def test_no_event_looks_at_all_children(strategy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: starts, crashes, restarts and ends cost the same among many as among few: nobody goes through all children."""
    scans: list[int] = []
    iterate = Children.__iter__

    def counted(self: Children) -> Iterator[Any]:
        scans.append(len(self))
        return iterate(self)

    async with open_system() as system:
        team = await start_team(system, strategy, max_restarts=10**6)
        monkeypatch.setattr(Children, "__iter__", counted)
        refs = [await team.start_child(child(f"c{number}", restart="transient")) for number in range(100)]
        for ref in refs[:50]:
            await crash(ref)
        for ref in refs[:25]:
            await ref.tell("return")
            await ref.wait_gone()
        for ref in refs[25:50]:
            await team.terminate_child(ref)

        assert scans == []
        assert sum(info.state == "running" for info in team.which_children()) == 50


async def test_many_are_terminated_one_by_one(autojump_clock: trio.testing.MockClock) -> None:
    """S10: two thousand temporary children leave no spec, no timer and no scan behind."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", template=child("c", restart="temporary"))
        refs: list[ActorRef] = [await team.start_another() for _ in range(2_000)]
        for ref in refs:
            await team.terminate_child(ref)

        assert team.count_children().specs == 0
        timers = team.address.body._runner.timers
        assert len(timers._heap) <= 2 * 2_000 + 64
        assert timers.next_due() == float("inf")


async def test_dynamic_children_do_not_come_back_with_their_supervisor() -> None:
    """S25: what was started at run time goes with the incarnation that started it."""
    async with open_system() as system:
        team = await start_team(system, "dynamic", max_restarts=0)
        await crash(await team.start_child(child("a")))
        await states(system)

        assert await states(system.child("team", SupervisorRef)) == {}
        assert system.child("team", SupervisorRef).incarnation == 2
