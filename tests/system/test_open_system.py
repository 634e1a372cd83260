"""open_system: whatever ends it, the same ordered stop; nothing left, or named."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, crash, deaf, run_with_ctrl_c, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStoppedError,
    CancelCause,
    RestartIntensityExceededError,
    SpecError,
    System,
    SystemFailedError,
    SystemStoppedEvent,
    open_system,
    supervisor,
)
from tinyagent_actors.actors import Runtime, current_runtime


async def noted(ctx: ActorContext, order: list[str]) -> None:
    """Note the end, after letting everybody else do what they can."""
    async for _ in ctx.messages():
        pass
    await settle()
    order.append(ctx.name)


def team(order: list[str]) -> Any:
    return supervisor("team", children=[child(name, noted, order) for name in "abc"])


async def test_leaving_the_block_stops_the_tree_in_order() -> None:
    """S14: in reverse order of the starts; then nothing of it is left."""
    order: list[str] = []
    async with open_system() as system:
        await start(system, noted, order, name="first")
        await system.start_child(team(order))
        ref = system.child("team/a")

    assert order == ["c", "b", "a", "first"]
    assert (system.is_stopped, system.leftovers().total) == (True, 0)
    assert (await ref.wait_stopped()).reason == "shutdown"
    for query in (system.which_children, system.count_children, lambda: system.child("team")):
        with pytest.raises(ActorStoppedError):
            query()


async def test_no_task_is_left() -> None:
    """Quiescence: when the block is left, no task of the tree runs, not for one more step."""

    def count() -> int:
        root = trio.lowlevel.current_root_task()
        assert root is not None
        found, frontier = 0, [root]
        while frontier:
            task = frontier.pop()
            found += 1
            frontier += [below for nursery in task.child_nurseries for below in nursery.child_tasks]
        return found

    before = count()
    async with open_system() as system:
        await system.start_child(team([]))
        assert count() > before

    assert count() <= before + 1  # the shutdown itself, in its last step


async def test_an_outer_cancel_stops_in_order() -> None:
    """Under a cancelled outer scope children still stop one by one, in reverse order, in their own time."""
    order: list[str] = []
    with trio.CancelScope() as scope:
        async with open_system() as system:
            await system.start_child(team(order))
            scope.cancel()
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert order == ["c", "b", "a"]


async def test_an_outer_deadline_is_exceeded_by_the_stop_alone(autojump_clock: trio.testing.MockClock) -> None:
    """An outer deadline ends the block; the ordered stop takes its time, and no more."""

    async def slow(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass
        await trio.sleep(2)

    with trio.move_on_after(3) as scope:
        async with open_system() as system:
            await start(system, slow)
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert trio.current_time() == 5


async def test_entered_in_a_cancelled_scope() -> None:
    """The block is not run; the tree that was just begun is ended; nothing hangs."""
    ran: list[str] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_system():
            ran.append("the block")

    assert scope.cancelled_caught
    assert ran == []
    await settle()


async def test_an_exception_of_the_body_passes_through_as_it_is() -> None:
    """It is not wrapped, and comes after the ordered stop."""
    order: list[str] = []
    with pytest.raises(ValueError, match="mine") as caught:
        async with open_system() as system:
            await system.start_child(team(order))
            raise ValueError("mine")

    assert order == ["c", "b", "a"]
    assert type(caught.value) is ValueError


async def test_a_root_that_gives_up_cancels_the_block() -> None:
    """S19: the block is cancelled; SystemFailedError says what the root gave up for."""
    with pytest.raises(SystemFailedError) as caught:
        async with open_system("doomed", max_restarts=0) as system:
            await crash(await start(system))
            await trio.sleep_forever()

    assert isinstance(caught.value.cause, RestartIntensityExceededError)
    assert "doomed" in str(caught.value)


async def test_a_root_that_gives_up_outranks_what_the_block_raised_because_of_it() -> None:
    """S19: an ask that failed with the system does not hide that the system failed; it is the context."""
    with pytest.raises(SystemFailedError) as caught:
        async with open_system(max_restarts=0) as system:
            ref = await start(system)
            await ref.ask(ValueError("boom"))

    assert isinstance(caught.value.__context__, ActorStoppedError)


async def test_a_root_that_is_killed_has_failed() -> None:
    """S48: whoever kills the root ends the system, and the block hears of it."""
    with pytest.raises(SystemFailedError):
        async with open_system() as system:
            ref = await start(system, deaf)
            system.root.kill()
            await trio.sleep_forever()

    assert (await ref.wait_stopped()).reason == "killed"


async def test_stopping_the_root_ends_the_block() -> None:
    """S39: an actor may stop the whole system; the block is cancelled, and that is no failure."""

    async def ends_it_all(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            await system.root.stop("an actor's wish")

    order: list[str] = []
    async with open_system() as system:
        await system.start_child(team(order))
        ref = await start(system, ends_it_all)
        await ref.tell("go")
        await trio.sleep_forever()

    assert order == ["c", "b", "a"]
    assert (await system.root.wait_stopped()).reason == "shutdown"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_fatal_exceptions_stop_the_system_and_come_out(kind: type[BaseException]) -> None:
    """S49: in a child it is no restart: the whole system stops in order, then it is raised."""

    async def fatally(ctx: ActorContext) -> None:
        ctx.started()
        raise kind

    order: list[str] = []
    with pytest.raises(kind):
        async with open_system() as system:
            await system.start_child(team(order))
            await start(system, fatally)
            await trio.sleep_forever()

    assert order == ["c", "b", "a"]


async def test_a_fatal_exception_outranks_what_the_block_raises() -> None:
    """S49: it is not lost behind an error of the block's cleanup."""

    async def fatally(ctx: ActorContext) -> None:
        ctx.started()
        raise SystemExit(5)

    with pytest.raises(SystemExit):
        async with open_system() as system:
            await start(system, fatally)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("of the cleanup")


async def test_the_shutdown_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """After `shutdown` seconds what is left is cancelled, however long its own shutdown time is."""
    async with open_system(shutdown=3) as system:
        ref = await start(system, deaf, shutdown=1000)

    ended = await ref.wait_stopped()
    assert trio.current_time() == 3
    assert (ended.reason, ended.cause and ended.cause.by) == ("killed", "open_system")


async def test_what_will_not_end_is_left_and_named(autojump_clock: trio.testing.MockClock) -> None:
    """T02: after the ordered stop and the grace; whoever waits for anything of it is told; the last event counts it."""
    stuck = Stuck()
    gone: list[str] = []

    async def wait(ref: ActorRef) -> None:
        await ref.wait_stopped()
        await ref.wait_gone()
        gone.append(ref.path)

    async with trio.open_nursery() as nursery:
        async with open_system(shutdown=3) as system:
            subscription = system.runtime.bus.open_subscription("**")
            inner = supervisor("inner", children=[child("stuck", stuck, shutdown=1000)])
            await system.start_child(supervisor("team", children=[inner]))
            for path in ("team", "team/inner", "team/inner/stuck"):
                nursery.start_soon(wait, system.child(path))
            nursery.start_soon(system.root.wait_gone)
        assert trio.current_time() == 8
        assert system.leftovers().names == ("actor /team/inner/stuck",)

    last = told(subscription)[-1]
    assert isinstance(last, SystemStoppedEvent)
    assert (last.tasks, last.names) == (1, ("actor /team/inner/stuck",))
    assert sorted(gone) == ["/team", "/team/inner", "/team/inner/stuck"]
    stuck.released.set()
    await settle()
    assert system.leftovers().total == 0


async def test_stopping_twice_hurries(autojump_clock: trio.testing.MockClock) -> None:
    """T30: the first request begins the ordered stop, the second cancels what is left."""
    cause = CancelCause("a test", "in a hurry", "signal")

    async def hurry(system: System) -> None:
        await trio.sleep(1)
        system.request_stop(cause)
        await trio.sleep(1)
        system.request_stop(cause)

    async with trio.open_nursery() as nursery:
        async with open_system(shutdown=1000) as system:
            ref = await start(system, deaf, shutdown=1000)
            nursery.start_soon(hurry, system)
            await trio.sleep_forever()

    assert trio.current_time() == 2
    ended = await ref.wait_stopped()
    assert (ended.reason, ended.cause and ended.cause.why) == ("killed", "told twice, by a test")


async def test_a_request_during_the_shutdown_does_not_hurry(autojump_clock: trio.testing.MockClock) -> None:
    """T30: the first signal that comes when the block was left already is still the first."""

    async def stop_once(system: System) -> None:
        await trio.sleep(1)
        system.request_stop(CancelCause("a test", "late", "signal"), fatal=SystemExit(143))

    async def slow(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass
        await trio.sleep(4)

    async with trio.open_nursery() as nursery:
        with pytest.raises(SystemExit):
            async with open_system() as system:
                ref = await start(system, slow)
                nursery.start_soon(stop_once, system)

    assert trio.current_time() == 4
    assert (await ref.wait_stopped()).reason == "shutdown"


def test_ctrl_c_in_the_block_stops_in_order() -> None:
    """T30: under a plain `trio.run` too; the interrupt comes out when it is done."""
    order: list[str] = []

    async def main() -> None:
        async with open_system() as system:
            await system.start_child(team(order))
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run_with_ctrl_c(main)

    assert order == ["c", "b", "a"]


def test_ctrl_c_during_the_shutdown_leaves_no_tree_behind() -> None:
    """T30: it hurries the stop, and does not break it off."""
    ends: list[str] = []

    async def deaf_and_noted(ctx: ActorContext) -> None:
        ctx.started()
        try:
            await trio.sleep_forever()
        finally:
            ends.append(ctx.name)

    async def main() -> None:
        async with open_system(shutdown=60) as system:
            await start(system, deaf_and_noted, name="deaf", shutdown=60)
            await start(system, interrupts, name="last")

    async def interrupts(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass
        # from the loop and not from this actor: an interrupt that nobody's frame gets goes to the main task
        trio.lowlevel.current_trio_token().run_sync_soon(signal.raise_signal, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_with_ctrl_c(main)

    assert ends == ["deaf"]


async def test_the_last_event_counts_what_is_left() -> None:
    """The end of a system is an event, with zeros where nothing is left; subscriptions end after it."""
    async with open_system() as system:
        subscription = system.runtime.bus.open_subscription("**")
    events = [event async for event in subscription]

    last = events[-1]
    assert isinstance(last, SystemStoppedEvent)
    assert (last.tasks, last.threads, last.streams, last.processes, last.names) == (0, 0, 0, 0, ())


async def test_dead_letters_that_were_not_told_are_told_at_the_end() -> None:
    """S67: the counts add up when the system is over."""
    async with open_system() as system:
        subscription = system.runtime.bus.open_subscription("actor")
        ref = await start(system)
        await ref.stop()
        told(subscription)
        for _ in range(50):
            ref.tell_nowait("nobody")

    assert sum(event.count for event in told(subscription)) == 50


@attrs.define(eq=False)
class Shared:
    """A shared part that notes when it is closed."""

    name: str
    closed: list[str]
    error: Exception | None = None

    async def aclose(self) -> None:
        """Note it, and fail if that is wanted."""
        self.closed.append(self.name)
        if self.error is not None:
            raise self.error


class Other(Shared):
    """Another kind of shared part."""


@pytest.mark.parametrize("source", ["kill", "outer", "strategy"])
async def test_a_root_that_was_cancelled_by_anybody_else_is_a_failure(source: str) -> None:
    """The block is cancelled, and that is never silent: the system has failed, whoever did it."""
    with pytest.raises(SystemFailedError):
        async with open_system() as system:
            system.root.address.owner.kill_child(system.root.address, CancelCause("a test", "it says so", source))
            await trio.sleep_forever()


async def test_shared_parts_are_closed_after_the_tree() -> None:
    """Last made first; one that fails keeps none of the others open, and is not silent."""
    closed: list[str] = []
    with pytest.raises(OSError, match="broken"):
        async with open_system() as system:
            await start(system, noted, closed, name="actor")
            system.runtime.resource(Shared, lambda _: Shared("first made", closed))
            system.runtime.resource(Other, lambda _: Other("last made", closed, OSError("broken")))

    assert closed == ["actor", "last made", "first made"]
    assert system.is_stopped


async def test_the_block_is_at_no_actor() -> None:
    """What is done there finds the system's shared parts; outside again, those of the run."""
    outside = current_runtime()
    async with open_system() as system:
        assert current_runtime() is system.runtime
        async with open_system("inner") as inner:
            assert current_runtime() is inner.runtime
        assert current_runtime() is system.runtime
        assert isinstance(system.runtime, Runtime)
    assert current_runtime() is outside


async def test_two_systems_do_not_touch_each_other() -> None:
    """Each has its own tree, events and stop."""
    async with open_system("one") as one:
        a = await start(one)
        async with open_system("two") as two:
            b = await start(two)
        assert await a.ask("alive") == "alive"
        with pytest.raises(ActorStoppedError):
            await b.ask("alive")
        assert await states(one) == {"actor": "running"}


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("name", {"name": "a/b"}),
        ("shutdown", {"shutdown": -1}),
        ("max_restarts", {"max_restarts": -1}),
        ("max_seconds", {"max_seconds": 0}),
    ],
)
async def test_wrong_arguments_are_named(field: str, options: dict[str, Any]) -> None:
    """S18: nothing was started."""
    with pytest.raises(SpecError) as caught:
        open_system(**options)

    assert caught.value.field == field


async def test_the_log_holds_every_event_to_the_last(tmp_path: Path) -> None:
    """A JSON line for each event, in order, without secrets."""

    async def leaky(ctx: ActorContext) -> None:
        ctx.started()
        raise ValueError("the key is sk-ant-0123456789abcdef")

    log = tmp_path / "run.jsonl"
    async with open_system(log=log) as system:
        await start(system, leaky, restart="temporary")
        await settle()
    records = [orjson.loads(line) for line in log.read_bytes().splitlines()]

    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["event"] == "system_stopped"
    assert b"0123456789abcdef" not in log.read_bytes()
    assert any(record["event"] == "actor_crashed" for record in records)


async def test_a_log_that_cannot_be_opened_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A typed error that names the field."""
    with pytest.raises(SpecError) as caught:
        async with open_system(log=tmp_path / "no" / "such.jsonl"):
            raise AssertionError("must not start")

    assert caught.value.field == "log"
