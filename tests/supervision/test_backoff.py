"""Back-off: how long a child waits for its restart, and what may happen meanwhile."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests._kernel import Notes, child, crash, incarnations, noted, obedient, settle, start, start_team, states, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorRestartedEvent,
    ActorRestartScheduledEvent,
    AlreadyStartedError,
    Backoff,
    ChildRunningError,
    DeadLetterEvent,
    MailboxFullError,
    ProviderError,
    RestartIntensityExceededError,
    SpecError,
    SupervisorRef,
    open_system,
    supervisor,
)
from tinyagent_actors.events import structure_event, unstructure
from tinyagent_actors.supervision import backoff_seconds

STEADY = Backoff(jitter=0)


async def crashes(ctx: ActorContext, starts: list[float], crashing: int = 10**9, seconds: float = 0) -> None:
    """Note the time of each start; crash after a while, in the first incarnations."""
    starts.append(trio.current_time())
    ctx.started()
    await trio.sleep(seconds)
    if ctx.ref.incarnation <= crashing:
        raise ValueError
    await obedient(ctx)


def gaps(starts: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


async def test_each_failure_doubles_the_wait(autojump_clock: trio.testing.MockClock) -> None:
    """S27: repeated crashes are restarted after 1, 2, 4, 8, 10, 10 seconds."""
    starts: list[float] = []
    async with open_system() as system:
        await start_team(system, "one_for_one", child("a", crashes, starts, 6), backoff=STEADY)
        await system.child("team/a").ask("at last?")

    assert gaps(starts) == [1, 2, 4, 8, 10, 10]


async def test_failed_starts_double_it_too(autojump_clock: trio.testing.MockClock) -> None:
    """S27, S22: a restart that fails to start is a failure like any other."""
    starts: list[float] = []

    async def hesitant(ctx: ActorContext) -> None:
        starts.append(trio.current_time())
        if 1 < ctx.ref.incarnation < 5:
            raise LookupError
        await obedient(ctx)

    async with open_system() as system:
        ref = await start(system, hesitant, backoff=STEADY)
        await crash(ref)
        assert await ref.ask("at last?") == "at last?"

    assert gaps(starts) == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("reset_after", "seconds", "waits"),
    [(None, 9.9, [1, 2, 4]), (None, 10, [1, 1, 1]), (3, 2.9, [1, 2, 4]), (3, 3, [1, 1, 1])],
)
async def test_a_quiet_period_resets_it(
    reset_after: float | None, seconds: float, waits: list[float], autojump_clock: trio.testing.MockClock
) -> None:
    """S27: an incarnation that ran `reset_after` seconds (by itself `max_seconds`) makes its end the first failure again."""
    starts: list[float] = []
    backoff = Backoff(jitter=0, reset_after=reset_after)
    async with open_system() as system:
        ref = await start(system, crashes, starts, 3, seconds, backoff=backoff)
        await ref.ask("at last?")

    assert gaps(starts) == pytest.approx([seconds + wait for wait in waits])


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.integers(0, 10**6),
    st.floats(0, 1),
)
def test_the_wait_is_bounded(least: float, more: float, jitter: float, failures: int, random: float) -> None:
    """S27: never shorter than without jitter, never longer than `max_seconds` and its jitter, never shorter than for fewer failures."""
    backoff, bare = Backoff(least, least + more, jitter), Backoff(least, least + more, 0)
    seconds, least_seconds = backoff_seconds(backoff, failures, random), backoff_seconds(bare, failures, random)

    assert least_seconds <= seconds <= least_seconds * (1 + jitter)
    assert least <= least_seconds <= least + more
    assert backoff_seconds(bare, failures + 1, 0) >= least_seconds


def test_jitter_only_adds() -> None:
    """S27: with all of it, a tenth more; with none of it, nothing less."""
    assert [backoff_seconds(Backoff(), 0, random) for random in (0, 0.5, 1)] == pytest.approx([1, 1.05, 1.1])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"min_seconds": -1}, "backoff.min_seconds"),
        ({"min_seconds": math.nan}, "backoff.min_seconds"),
        ({"min_seconds": True}, "backoff.min_seconds"),
        ({"min_seconds": 2, "max_seconds": 1}, "backoff.max_seconds"),
        ({"max_seconds": math.inf}, "backoff.max_seconds"),
        ({"jitter": -0.1}, "backoff.jitter"),
        ({"jitter": 1.1}, "backoff.jitter"),
        ({"jitter": "much"}, "backoff.jitter"),
        ({"reset_after": -1}, "backoff.reset_after"),
        ({"reset_after": "never"}, "backoff.reset_after"),
    ],
)
def test_a_back_off_that_is_none_is_refused(fields: dict[str, Any], field: str) -> None:
    """S18: the field is named."""
    with pytest.raises(SpecError) as caught:
        Backoff(**fields)

    assert caught.value.field == field


@pytest.mark.parametrize("make", [lambda: supervisor("s", backoff=1), lambda: child("c", backoff=True)])
def test_what_is_no_back_off_is_refused(make: Any) -> None:
    """S18: of a supervisor, and of a child."""
    with pytest.raises(SpecError) as caught:
        make()

    assert caught.value.field == "backoff"


async def test_the_childs_own_back_off_comes_first(autojump_clock: trio.testing.MockClock) -> None:
    """S27: its spec overrules its supervisor; with 0 seconds it is started at once."""
    ours: list[float] = []
    theirs: list[float] = []
    async with open_system() as system:
        await start_team(
            system,
            "one_for_one",
            child("a", crashes, ours, 1, backoff=Backoff(5, 5, jitter=0)),
            child("b", crashes, theirs, 1, backoff=Backoff(0, 0)),
            backoff=STEADY,
        )
        await system.child("team/a").ask("at last?")

    assert (ours, theirs) == ([0, 5], [0, 0])


async def test_an_error_that_asks_for_a_back_off_gets_one(autojump_clock: trio.testing.MockClock) -> None:
    """S27: also where the supervisor has none, and spread over as long again; others of its errors are restarted at once."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system)
        await crash(ref, ProviderError("overloaded", "busy", retryable=True))
        assert await states(system) == {"actor": "restarting"}
        await ref.ask("at last?")
        assert 1 <= trio.current_time() <= 2

        await crash(system.child("actor"))
        assert await states(system) == {"actor": "running"}
        assert len(told(events, ActorRestartScheduledEvent)) == 1


async def test_never_is_never_also_with_a_back_off(autojump_clock: trio.testing.MockClock) -> None:
    """S27: what cannot succeed is not tried again, sooner or later."""
    async with open_system() as system:
        ref = await start(system, backoff=STEADY)
        await crash(ref, ProviderError("auth", "no such key"))
        await trio.sleep(100)

        assert await states(system) == {"actor": "stopped"}


async def test_waiting_restarts_count_toward_the_intensity(autojump_clock: trio.testing.MockClock) -> None:
    """S27, S19: the defaults never exceed it; shorter waits may."""
    starts: list[float] = []
    async with open_system() as system:
        await start_team(system, "one_for_one", child("a", crashes, starts), backoff=STEADY)
        team = await system.start_child(
            supervisor("hasty", children=[child("a", crashes, [], backoff=Backoff(0.1, 0.1))], restart="temporary")
        )
        ended = await team.wait_stopped()
        await trio.sleep(100)

        assert isinstance(ended.error, RestartIntensityExceededError)
        assert system.child("team", ActorRef).incarnation == 1
        assert len(starts) > 10


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("how", ["stop", "kill", "leave"])
async def test_a_stop_ends_the_wait(strategy: Any, how: str, autojump_clock: trio.testing.MockClock) -> None:
    """S28: the supervisor that is stopped during a back-off is gone at once, its timer too: no late restart."""
    starts: list[float] = []
    async with open_system() as system:
        team = await start_team(
            system, strategy, child("a", crashes, starts), child("b"), backoff=STEADY, restart="temporary"
        )
        await trio.sleep(0.5)
        assert (await states(team))["a"] == "restarting"
        body = team.address.body
        match how:
            case "stop":
                await team.stop()
            case "kill":
                team.kill()
                await team.wait_stopped()
            case _:
                await system.root.stop()
        assert trio.current_time() == 0.5
        assert body._runner.timers.next_due() == float("inf") or how == "kill"

        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        assert starts == [0]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_administration_of_a_child_that_waits(strategy: Any, autojump_clock: trio.testing.MockClock) -> None:
    """S29: it is shown as restarting, without a ref; delete and restart are refused; terminate ends the wait; a later restart works."""
    mood: list[str] = []

    async def moody(ctx: ActorContext) -> None:
        ctx.started()
        if not mood:
            raise ValueError
        await obedient(ctx)

    async with open_system() as system:
        team = await start_team(system, strategy, child("a", moody), child("b"), backoff=STEADY)
        a = team.child("a")
        await trio.sleep(0.5)
        waiting = {"a": "restarting", "b": "running" if strategy == "one_for_one" else "restarting"}
        assert await states(team) == waiting
        assert team.which_children()[0].ref is None
        count = team.count_children()
        assert (count.specs, count.active) == (2, list(waiting.values()).count("running"))
        for order in (team.delete_child, team.restart_child):
            with pytest.raises(ChildRunningError) as refused:
                await order("a")
            assert refused.value.state == "restarting"
        with pytest.raises(AlreadyStartedError) as taken:
            await team.start_child(child("a"))
        assert taken.value.ref == a

        await team.terminate_child("a")
        await a.wait_gone()
        assert trio.current_time() == 0.5
        assert await states(team) == {"a": "stopped", "b": "running"}
        await trio.sleep(10)
        assert await states(team) == {"a": "stopped", "b": "running"}
        mood.append("well")
        assert await (await team.restart_child("a")).ask("well?") == "well?"


async def test_a_stop_of_the_child_ends_its_wait(autojump_clock: trio.testing.MockClock) -> None:
    """S28, S29: `ref.stop()` returns at once, and what it had queued is a dead letter."""
    async with open_system() as system:
        ref = await start(system, crashes, [], backoff=STEADY)
        await trio.sleep(0.5)
        await ref.tell("queued")
        await ref.stop()

        assert trio.current_time() == 0.5
        assert system.runtime.dead_letters.count == 1
        await trio.sleep(10)
        assert await states(system) == {"actor": "stopped"}


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "reject"])
async def test_messages_during_a_back_off(policy: Any, autojump_clock: trio.testing.MockClock) -> None:
    """S64: they stay in the mailbox up to its capacity; then its policy applies, and what is dropped is told by an event."""
    seen: list[object] = []

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "crash":
                raise ValueError
            seen.append(message)

    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, fragile, mailbox_capacity=2, mailbox_policy=policy, backoff=STEADY)
        await crash_by(ref)
        told(events)
        for number in range(3):
            if policy == "reject" and number == 2:
                with pytest.raises(MailboxFullError):
                    await ref.tell(number)
            else:
                await ref.tell(number)
        letters = [(letter.reason, letter.count) for letter in told(events, DeadLetterEvent)]
        await trio.sleep(2)

        assert seen == ([1, 2] if policy == "drop_oldest" else [0, 1])
        assert letters == ([] if policy == "reject" else [("dropped", 1)])
        assert ref.statistics().dropped == 1


async def crash_by(ref: ActorRef) -> None:
    await ref.tell("crash")
    await ref.wait_stopped()


async def test_senders_that_block_wait_for_the_end_of_it(autojump_clock: trio.testing.MockClock) -> None:
    """S64, S62: with the policy `block` nothing is lost: senders and asks wait for the next incarnation, in order."""
    seen: list[object] = []

    async def echo(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if isinstance(message, Exception):
                raise message
            seen.append(message)
            ctx.reply(message)

    async with open_system() as system:
        ref = await start(system, echo, mailbox_capacity=1, backoff=STEADY)
        await crash(ref)
        answers: list[tuple[object, float]] = []

        async def ask(number: int) -> None:
            answers.append((await ref.ask(number), trio.current_time()))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(ask, number)
                await settle()
            assert ref.statistics().waiting == 3

        assert seen == list(range(4))
        assert sorted(answers) == [(number, 1) for number in range(4)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_waits_together(strategy: Any, autojump_clock: trio.testing.MockClock) -> None:
    """S27, S02: it is stopped at once and starts again after the wait of the one that failed; orders are taken meanwhile."""
    notes = Notes()
    async with open_system() as system:
        children = [child(name, noted, notes) for name in "abc"]
        team = await start_team(system, strategy, *children, backoff=Backoff(4, jitter=0))
        notes.take()
        await crash(team.child("b"))
        await settle()
        first = notes.take()
        await team.start_child(child("new", noted, notes))
        assert (first, notes.take()) == ("-b -c -a" if strategy == "one_for_all" else "-b -c", "+new")
        await trio.sleep(3.9)
        assert notes == []
        await trio.sleep(0.2)

        assert notes.take() == ("+a +b +c" if strategy == "one_for_all" else "+b +c")


async def test_a_group_goes_on_when_nobody_waits_any_more(autojump_clock: trio.testing.MockClock) -> None:
    """S29: the child whose back-off held its group is terminated: the others start at once."""
    async with open_system() as system:
        team = await start_team(system, "one_for_all", child("a"), child("b"), backoff=STEADY)
        await crash(team.child("a"))
        assert await states(team) == {"a": "restarting", "b": "restarting"}
        await team.terminate_child("a")

        assert await states(team) == {"a": "stopped", "b": "running"}
        assert trio.current_time() == 0


async def test_the_longest_wait_in_a_group_counts(autojump_clock: trio.testing.MockClock) -> None:
    """S27, S46: an earlier sibling crashes while the group of a later one waits: one group, started when the last wait is over."""
    async with open_system() as system:
        team = await start_team(
            system,
            "rest_for_one",
            child("a", backoff=Backoff(1, 1, jitter=0)),
            child("b", backoff=Backoff(5, 5, jitter=0)),
        )
        await crash(team.child("b"))
        await trio.sleep(2)
        await crash(team.child("a"))
        await trio.sleep(2.9)
        assert await states(team) == {"a": "restarting", "b": "restarting"}
        await trio.sleep(0.2)

        assert await states(team) == {"a": "running", "b": "running"}
        assert incarnations(team) == "a2 b2"


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_start_up_does_not_wait_for_a_back_off(strategy: Any, autojump_clock: trio.testing.MockClock) -> None:
    """S27, S13: a static child crashes during the start-up: the others start meanwhile; the wait of a group begins when they have."""
    async with open_system() as system:
        team = await start_team(system, strategy, child("a", crashes, [], 1), child("b"), backoff=STEADY)

        assert trio.current_time() == 0
        assert await states(team) == {"a": "restarting", "b": "running" if strategy == "one_for_one" else "restarting"}
        await trio.sleep(1.5)
        assert await states(team) == {"a": "running", "b": "running"}


async def test_the_report_of_a_back_off(autojump_clock: trio.testing.MockClock) -> None:
    """S68: crashed, scheduled with its delay, restarted: in order, each caused by the one before; there and back as a shape."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, crashes, [], 2, backoff=STEADY)
        await ref.ask("at last?")
        report = told(events)[1:]

        assert [type(event) for event in report] == [
            *(ActorCrashedEvent, ActorRestartScheduledEvent, ActorRestartedEvent),
            *(ActorCrashedEvent, ActorRestartScheduledEvent, ActorRestartedEvent),
        ]
        assert [event.cause for event in report[1:]] == [event.seq for event in report[:-1]]
        scheduled = [(event.incarnation, event.seconds, event.failures) for event in (report[1], report[4])]
        assert scheduled == [(1, 1, 1), (2, 2, 2)]
        assert structure_event(unstructure(report[1])) == report[1]


async def test_a_supervisor_that_waits(autojump_clock: trio.testing.MockClock) -> None:
    """S27, S25: a supervisor that gave up waits like any child, and comes back with its static children."""
    async with open_system() as system:
        inner = supervisor("inner", children=[child("x")], max_restarts=0)
        outer = await system.start_child(supervisor("outer", children=[inner], backoff=STEADY))
        await crash(system.child("outer/inner/x"))
        assert await states(outer) == {"inner": "restarting"}
        await trio.sleep(1.5)

        assert await states(outer) == {"inner": "running"}
        assert await states(system.child("outer/inner", SupervisorRef)) == {"x": "running"}
