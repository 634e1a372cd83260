"""Restarts: who, how often, and what a supervisor does that gives up."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import HostileError, child, crash, obedient, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    DeadLetterEvent,
    Exit,
    ProviderError,
    RestartIntensityExceededError,
    StartFailedError,
    SupervisorGaveUpEvent,
    SupervisorRef,
    SystemFailedError,
    open_system,
    supervisor,
)
from tinyagent_actors.events import SubscriberFailedEvent
from tinyagent_actors.supervision._supervisor import Supervisor


async def test_one_for_one_restarts_only_the_one() -> None:
    """S01: only the child that crashed is a new incarnation; the counts say 2 of 2."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("b")]))
        a, b = team.child("a"), team.child("b")
        await crash(a)

        assert await states(team) == {"a": "running", "b": "running"}
        assert team.child("a") != a
        assert team.child("b") == b
        count = team.count_children()
        assert (count.specs, count.active, count.supervisors, count.workers) == (2, 2, 0, 2)


@pytest.mark.parametrize("end", ["return", "crash", "kill", "stop"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_restart_types(restart: Any, end: str) -> None:
    """S04, S05, S06: permanent always; transient only after an abnormal end, else its spec stays; temporary never, and its spec goes."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a", restart=restart)]))
        a = team.child("a")
        match end:
            case "return":
                await a.tell("return")
            case "crash":
                await a.tell(ValueError("boom"))
            case "kill":
                a.kill()
            case _:
                await a.stop()
        await a.wait_stopped()

        comes_again = end != "stop" and (restart == "permanent" or end in ("crash", "kill"))
        wanted = {} if restart == "temporary" else {"a": "running" if comes_again else "stopped"}
        assert await states(team) == wanted


async def test_start_args_are_used_again_and_state_is_not() -> None:
    """S08: an incarnation is made anew from the spec; what the one before it had is gone."""

    async def counter(ctx: ActorContext, total: int, *, step: int) -> None:
        async for message in ctx.messages():
            if isinstance(message, Exception):
                raise message
            total += step
            ctx.reply(total)

    async with open_system() as system:
        ref = await start(system, counter, 10, kwargs={"step": 5})
        assert [await ref.ask("count") for _ in range(2)] == [15, 20]
        await crash(ref)
        assert await ref.ask("count") == 15


async def test_the_mailbox_survives() -> None:
    """S62: of n queued messages the one in hand is lost to the crash, the others come in order to the next incarnation."""
    gate = trio.Event()
    seen: list[tuple[int, object]] = []

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await gate.wait()
            seen.append((ctx.ref.incarnation, message))
            if message == 1:
                raise ValueError

    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, fragile)
        for number in range(5):
            await ref.tell(number)
        gate.set()
        await settle()

        assert seen == [(1, 0), (1, 1), (2, 2), (2, 3), (2, 4)]
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["crashed_in_hand"]


async def test_senders_that_wait_are_served_by_the_next() -> None:
    """S62, S64: with the policy `block` a crash loses nothing of what waits to come in, and keeps the order."""
    gate = trio.Event()
    seen: list[object] = []

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await gate.wait()
            if message == 0:
                raise ValueError
            seen.append(message)

    async with open_system() as system:
        ref = await start(system, fragile, mailbox_capacity=1)
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(ref.tell, number)
                await settle()
            gate.set()
        await settle()

    assert seen == [1, 2, 3, 4]


async def test_refs_of_any_incarnation_reach_the_child() -> None:
    """S67: sends go on through the old ref, also while there is no incarnation."""
    async with open_system() as system:
        ref = await start(system)
        await ref.tell(ValueError("boom"))
        await ref.tell("silent")

        assert await ref.ask("there?") == "there?"
        assert system.runtime.dead_letters.count == 1


async def test_intensity_exceeded_gives_up_and_the_parent_restarts() -> None:
    """S19, S25, S26: the third crash stops all children, the supervisor exits shutdown with its cause, its transient self is restarted; static children come back, dynamic ones do not."""
    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(
            supervisor("team", children=[child("a"), child("b")], max_restarts=2, restart="transient")
        )
        await team.start_child(child("dynamic"))
        told(events)
        for _ in range(3):
            await crash(team.child("a"), ValueError("boom"))
            await settle()
        again = system.child("team", SupervisorRef)
        ended = await team.wait_stopped()
        report = told(events, SupervisorGaveUpEvent, ActorStoppedEvent, ActorCrashedEvent)

        assert again.incarnation == 2
        assert await states(again) == {"a": "running", "b": "running"}
        assert ended.reason == "shutdown"
        assert isinstance(ended.error, RestartIntensityExceededError)
        assert [(event.path, event.type) for event in report] == [
            *[("/team/a", "actor_crashed")] * 3,
            ("/team", "supervisor_gave_up"),
            ("/team/dynamic", "actor_stopped"),
            ("/team/b", "actor_stopped"),
            ("/team", "actor_crashed"),
        ]
        assert str(report[3].error) == "ValueError: boom"


async def test_three_levels_escalate() -> None:
    """S25: the middle one gives up, its parent restarts it by its own strategy, its sibling is not touched."""
    async with open_system() as system:
        middle = supervisor("middle", children=[child("x")], max_restarts=0)
        top = await system.start_child(supervisor("top", children=[middle, child("sibling")], max_restarts=1))
        sibling = top.child("sibling")
        await crash(system.child("top/middle/x"))
        await settle()

        assert system.child("top/middle", SupervisorRef).incarnation == 2
        assert top.child("sibling") == sibling
        assert await system.child("top/middle/x").ask("again") == "again"


async def test_a_give_up_climbs_to_the_root() -> None:
    """S19, S25: level by level; the body is cancelled, and `open_system` says what happened at the top."""
    with pytest.raises(SystemFailedError) as caught:
        async with open_system("doomed", max_restarts=0) as system:
            await system.start_child(supervisor("team", children=[child("a")], max_restarts=0))
            await crash(system.child("team/a"))
            await trio.sleep_forever()

    assert isinstance(caught.value.cause, RestartIntensityExceededError)
    assert (caught.value.system, caught.value.cause.path) == ("doomed", "/")
    assert isinstance(caught.value.cause.cause, RestartIntensityExceededError)
    assert str(caught.value.cause.cause.cause) == "ValueError: boom"


async def test_the_window_slides(autojump_clock: trio.testing.MockClock) -> None:
    """S20: crashes that lie apart never escalate, however many; two within the window do."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")], max_restarts=1, max_seconds=1))
        for _ in range(6):
            await crash(team.child("a"))
            await trio.sleep(2.1)
        assert await states(team) == {"a": "running"}

        for _ in range(2):
            await crash(team.child("a"))
            await settle()
        assert system.child("team", SupervisorRef).incarnation == 2


async def test_a_restart_that_fails_is_tried_again_and_counted() -> None:
    """S22: each failed start counts; too many of them escalate."""
    starts: list[int] = []

    async def hesitant(ctx: ActorContext, failures: int) -> None:
        starts.append(ctx.ref.incarnation)
        if 1 < ctx.ref.incarnation <= 1 + failures:
            raise LookupError("not yet")
        await obedient(ctx)

    async with open_system(max_restarts=100) as system:
        await system.start_child(supervisor("team", children=[child("a", hesitant, 2)], max_restarts=3))
        await crash(system.child("team/a"))
        assert await system.child("team/a").ask("there") == "there"
        assert (starts, system.child("team", ActorRef).incarnation) == ([1, 2, 3, 4], 1)

        starts.clear()
        await system.start_child(supervisor("other", children=[child("a", hesitant, 9)], max_restarts=3))
        await crash(system.child("other/a"))
        await settle()
        assert (starts, system.child("other", ActorRef).incarnation) == ([1, 2, 3, 4, 1], 2)


async def test_a_supervisor_that_gives_up_while_it_starts_has_failed_to_start() -> None:
    """S13, S22: whoever started it is told so; it is not restarted for ever."""
    gate = trio.Event()

    async def begin() -> None:
        children = [child("a"), child("slow", gated)]
        with pytest.raises(StartFailedError) as caught:
            await system.start_child(supervisor("team", children=children, max_restarts=0))
        assert isinstance(caught.value.cause, RestartIntensityExceededError)

    async def gated(ctx: ActorContext) -> None:
        await gate.wait()
        await obedient(ctx)

    async with open_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await settle()
            await crash(system.child("team/a"))
            await settle()
            gate.set()

        assert await states(system) == {}


async def test_an_error_that_says_never_is_not_restarted() -> None:
    """How it restarts is an attribute of the error: what cannot succeed is not tried again, even if permanent."""
    async with open_system() as system:
        await start(system, restart="permanent")
        await crash(system.child("actor"), ProviderError("auth", "no such key"))

        assert await states(system) == {"actor": "stopped"}


async def test_classify_overrules_the_error() -> None:
    """The spec has the last word."""
    seen: list[Exit] = []

    def classify(exited: Exit) -> Any:
        seen.append(exited)
        return "never"

    async with open_system() as system:
        ref = await start(system, classify=classify)
        await crash(ref)

        assert await states(system) == {"actor": "stopped"}
        assert [exited.reason for exited in seen] == ["error"]


@pytest.mark.parametrize("error", [ValueError("hook"), HostileError()])
async def test_a_classify_that_raises_takes_nobody_along(error: Exception) -> None:
    """S31: it is reported, the child is restarted as usual, its siblings stay."""

    def classify(_exited: Exit) -> Any:
        raise error

    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(supervisor("team", children=[child("a", classify=classify), child("b")]))
        b = team.child("b")
        await crash(team.child("a"))

        assert await states(team) == {"a": "running", "b": "running"}
        assert (team.child("b"), team.child("a").incarnation) == (b, 2)
        (report,) = told(events, SubscriberFailedEvent)
        assert report.subscriber == "classify of /team/a"
        assert report.error.error_type == type(error).__name__


async def test_the_report_names_every_transition_and_its_cause() -> None:
    """S68: started, crashed, restarted, stopped: in order, each caused by the one before. The lost message is told by the way."""
    async with open_system() as system, system.subscribe("a") as events:
        ref = await system.start_child(child("a"))
        await crash(ref)
        await settle()
        await ref.stop("enough")
        report = told(events)
        lost = report.pop(2)

        assert (lost.reason, lost.cause) == ("crashed_in_hand", report[1].seq)
        kinds = [ActorStartedEvent, ActorCrashedEvent, ActorRestartedEvent, ActorStoppedEvent]
        assert [type(event) for event in report] == kinds
        assert [event.cause for event in report[1:]] == [event.seq for event in report[:-1]]
        assert [event.incarnation for event in report] == [1, 1, 2, 2]
        assert (report[-1].why, report[-1].source) == ("enough", "stop")


async def test_crashes_in_one_tick_are_told_one_by_one() -> None:
    """S46: two children crash at once: two restarts, both causes told, no half-started duplicate."""
    async with open_system() as system, system.subscribe("**") as events:
        team = await system.start_child(supervisor("team", children=[child("a"), child("b")]))
        for name in "ab":
            team.child(name).tell_nowait(ValueError(name))

        assert await states(team) == {"a": "running", "b": "running"}
        assert {str(event.error) for event in told(events, ActorCrashedEvent)} == {"ValueError: a", "ValueError: b"}
        assert [team.child(name).incarnation for name in "ab"] == [2, 2]


async def test_a_fault_of_the_supervisors_own_is_its_parents_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    """S48: a fault in a supervisor while it handles a crash ends its subtree; the parent sees an error and starts it anew."""

    def faulty(supervisor: Supervisor, *_: Any) -> Any:
        monkeypatch.undo()
        raise AssertionError(f"a fault in {supervisor.path}")

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a"), child("b")]))
        b = team.child("b")
        monkeypatch.setattr(Supervisor, "_classify", faulty)
        await crash(team.child("a"))
        with trio.fail_after(5):
            await b.wait_gone()
        ended = await team.wait_stopped()

        assert (ended.reason, str(ended.error)) == ("error", "a fault in /team")
        assert await states(system.child("team", SupervisorRef)) == {"a": "running", "b": "running"}


async def test_mail_to_a_supervisor_is_a_dead_letter() -> None:
    """A supervisor has no use for messages; an ask is told so, nobody waits for room."""
    async with open_system() as system, system.subscribe("team") as events:
        team = await system.start_child(supervisor("team"))
        for number in range(200):
            await team.tell(number)
        with pytest.raises(Exception, match="went on without answering"):
            await team.ask("anything")

        assert {event.reason for event in told(events, DeadLetterEvent)} == {"unhandled"}
        assert system.runtime.dead_letters.count == 201


async def test_a_child_that_crashes_at_once_starves_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """S22: a restart loop without end leaves room for others."""

    async def crashes(ctx: ActorContext) -> None:
        ctx.started()
        raise ValueError

    async with open_system(max_restarts=10**9) as system:
        ref = await start(system, crashes)
        other = await start(system, name="other")
        for number in range(10):
            assert await other.ask(number) == number
        with trio.fail_after(5):
            await ref.stop()
        assert await states(system) == {"actor": "stopped", "other": "running"}
