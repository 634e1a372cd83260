"""Significant children: whose end is the end of their supervisor."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import child, crash, obedient, settle, start_team, states
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    Exit,
    ProviderError,
    SpecError,
    StartFailedError,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision import ends_all


def significant(name: str, function: Any = obedient, restart: Any = "transient", **options: Any) -> Any:
    return child(name, function, restart=restart, significant=True, **options)


ANY: dict[str, Any] = {"auto_shutdown": "any_significant", "restart": "transient"}
ALL: dict[str, Any] = {"auto_shutdown": "all_significant", "restart": "transient"}


async def end_of(ref: ActorRef) -> Exit:
    """Wait for the end of an actor, but not for ever."""
    with trio.fail_after(5):
        return await ref.wait_stopped()


async def test_any_significant_transient_child() -> None:
    """S41: its normal end stops the siblings, the supervisor exits shutdown and says why; a crash only restarts it."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", child("a"), significant("s"), child("b"), **ANY)
        a = team.child("a")
        await crash(team.child("s"))
        assert await states(team) == {"a": "running", "s": "running", "b": "running"}
        await team.child("s").tell("return")
        ended = await end_of(team)

        assert (ended.reason, ended.error, ended.is_abnormal) == ("shutdown", None, False)
        assert ended.cause is not None
        assert (ended.cause.by, ended.cause.source) == ("/team", "auto_shutdown")
        assert ended.cause.why == "the significant child 's' ended"
        assert (await a.wait_stopped()).reason == "shutdown"
        assert await states(system) == {"team": "stopped"}


async def test_a_significant_child_that_never_succeeds() -> None:
    """S41: a crash after which it is not tried again is an end for good."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s"), **ANY)
        await crash(team.child("s"), ProviderError("auth", "no such key"))

        assert (await end_of(team)).reason == "shutdown"


@pytest.mark.parametrize("end", ["return", "crash", "kill"])
async def test_any_end_of_a_temporary_one(end: str) -> None:
    """S42: a temporary significant child ends its supervisor however it ends."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s", restart="temporary"), child("b"), **ANY)
        s = team.child("s")
        match end:
            case "return":
                await s.tell("return")
            case "crash":
                await crash(s)
            case _:
                s.kill()
        assert (await end_of(team)).reason == "shutdown"


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one", "dynamic"])
async def test_all_significant(strategy: Any) -> None:
    """S43: the first of two ends: nothing; the last: shutdown. Others do not matter."""
    async with open_system() as system:
        team = await start_team(system, strategy, **ALL)
        for spec in (significant("s"), child("x", restart="transient"), significant("t", restart="temporary")):
            await team.start_child(spec)
        await team.child("s").tell("return")
        await team.child("x").tell("return")
        await settle()
        assert (await states(team))["t"] == "running"
        await crash(team.child("t"))

        assert (await end_of(team)).reason == "shutdown"


async def test_all_significant_counts_those_that_are_back() -> None:
    """S43: one that was ended and started again is to end again."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s"), significant("t"), **ALL)
        await team.child("s").tell("return")
        await settle()
        await team.restart_child("s")
        await team.child("t").tell("return")
        await settle()
        assert await states(team) == {"s": "running", "t": "stopped"}
        await team.child("s").tell("return")

        assert (await end_of(team)).reason == "shutdown"


@pytest.mark.parametrize("restart", ["transient", "temporary"])
@pytest.mark.parametrize("how", ["terminate", "stop"])
async def test_an_end_that_was_ordered_ends_nobody_else(how: str, restart: Any) -> None:
    """S44: `terminate_child` and `ref.stop()` of a significant child are no reason for an automatic shutdown."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s", restart=restart), child("b"), **ANY)
        await (team.terminate_child("s") if how == "terminate" else team.child("s").stop())

        assert (await states(team))["b"] == "running"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_a_bystander_ends_nobody(strategy: Any, restart: Any) -> None:
    """S44: a significant child that is stopped because a sibling crashed is no reason either, also if it is temporary."""
    async with open_system() as system:
        team = await start_team(system, strategy, child("a"), significant("s", restart=restart), **ANY)
        await crash(team.child("a"))
        wanted = {"a": "running"} | ({"s": "running"} if restart == "transient" else {})

        assert await states(team) == wanted


async def test_it_climbs_through_significant_supervisors_only() -> None:
    """S45: a worker ends; its significant supervisor ends, and so does the one above; at the one that is not significant it stops."""
    async with open_system() as system:
        inner = supervisor("inner", children=[significant("w"), child("x")], significant=True, **ANY)
        middle = supervisor("middle", children=[inner, child("y")], **ANY)
        top = await system.start_child(
            supervisor("top", children=[middle, child("z")], **ANY | {"restart": "permanent"})
        )
        refs = [system.child(path) for path in ("top/middle/inner", "top/middle")]
        await system.child("top/middle/inner/w").tell("return")
        reasons = [(await end_of(ref)).reason for ref in refs]

        assert reasons == ["shutdown", "shutdown"]
        assert await states(top) == {"middle": "stopped", "z": "running"}


async def test_a_permanent_supervisor_comes_back() -> None:
    """S45, S04: what ends itself is restarted by its own restart type, like any child."""
    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s"), auto_shutdown="any_significant")
        await team.child("s").tell("return")
        await end_of(team)
        assert await states(system) == {"team": "running"}

        assert await system.child("team/s", ActorRef).ask("again") == "again"


async def test_an_end_during_the_start_up(autojump_clock: trio.testing.MockClock) -> None:
    """S41, S13: a significant child that is done before the last static child has started ends its supervisor after the start."""

    async def slow(ctx: ActorContext) -> None:
        await trio.sleep(1)
        await obedient(ctx)

    async def brief(ctx: ActorContext) -> None:
        ctx.started()

    async with open_system() as system:
        team = await start_team(system, "one_for_one", significant("s", brief), child("slow", slow), **ANY)
        ended = await end_of(team)

        assert (ended.reason, ended.started, trio.current_time()) == ("shutdown", True, 1)


async def test_a_start_that_fails_is_no_end() -> None:
    """S41, S15: whoever asked for it is told; the supervisor goes on."""

    async def broken(_ctx: ActorContext) -> None:
        raise LookupError

    async with open_system() as system:
        team = await start_team(system, "one_for_one", child("a"), **ANY)
        with pytest.raises(StartFailedError):
            await team.start_child(significant("s", broken, "temporary"))

        assert await states(team) == {"a": "running"}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: child("a", significant=True), "significant"),
        (lambda: child("a", significant="yes", restart="transient"), "significant"),
        (lambda: supervisor("team", children=[significant("a")]), "significant"),
        (lambda: supervisor("team", template=significant("a")), "significant"),
        (lambda: supervisor("team", auto_shutdown="always"), "auto_shutdown"),
        (lambda: supervisor("team", significant=True), "significant"),
    ],
)
def test_what_is_not_allowed(make: Any, field: str) -> None:
    """S18: a permanent child cannot be significant, nor any child where `auto_shutdown` is never; the field is named."""
    with pytest.raises(SpecError) as refused:
        make()

    assert refused.value.field == field


async def test_a_significant_child_of_a_supervisor_that_does_not_care() -> None:
    """S18: also at run time it is refused, and nothing is started."""
    async with open_system() as system:
        with pytest.raises(SpecError) as refused:
            await system.start_child(significant("s"))

        assert refused.value.field == "significant"
        assert await states(system) == {}


def test_when_an_end_ends_all() -> None:
    """S41, S43: the whole table."""
    kinds: tuple[Any, ...] = ("never", "any_significant", "all_significant")
    table = {
        (kind, is_significant, are_left): ends_all(kind, is_significant=is_significant, are_others_left=are_left)
        for kind, is_significant, are_left in itertools.product(kinds, (True, False), (True, False))
    }

    assert {case for case, is_end in table.items() if is_end} == {
        ("any_significant", True, True),
        ("any_significant", True, False),
        ("all_significant", True, False),
    }
