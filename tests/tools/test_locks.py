"""Locks of tools, and calls that are run again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools._calls import batch_of, batch_with, run_out_of_time, unread
from tinyagent_actors import ActorContext, ActorRef, ChildSpec, SpecError, ToolContext, open_system, tool
from tinyagent_actors.actors import Runtime, WaitGraph
from tinyagent_actors.events import ToolRetryEvent
from tinyagent_actors.tools._locks import ToolLocks


def locks_of(runtime: Runtime) -> ToolLocks:
    return runtime.resource(ToolLocks, lambda made_for: ToolLocks(made_for.wait_graph))


async def test_calls_with_one_lock_run_one_after_another(autojump_clock: trio.testing.MockClock) -> None:
    """First come first served, over all agents of a system; a call without the lock waits for nobody."""
    runtime = Runtime("test")
    log: list[str] = []

    @tool(locks=("disk",))
    async def writes(ctx: ToolContext) -> None:
        log.append(f"{ctx.path} {ctx.tool_call_id} begins")
        await trio.sleep(1)
        log.append(f"{ctx.path} {ctx.tool_call_id} ends")

    @tool
    async def free() -> None:
        log.append("free")

    async with trio.open_nursery() as nursery:
        for path in ("/a", "/b"):
            nursery.start_soon(batch_of(writes, writes, runtime=runtime, path=path).wait)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(batch_of(free, runtime=runtime).wait)

    assert log.pop(1) == "free"
    assert log[::2] == [line.replace("ends", "begins") for line in log[1::2]]
    assert {line.split()[0] for line in log[:4]} == {"/a"}
    assert trio.current_time() == 4
    assert locks_of(runtime).holders() == {}
    assert len(runtime.wait_graph) == 0


async def test_calls_of_one_message_have_a_lock_in_their_order(autojump_clock: trio.testing.MockClock) -> None:
    """So that what reads a file comes after what writes it, if the model said so; in whatever order Trio runs their tasks."""
    log: list[str] = []

    @tool(locks=("disk",))
    async def step(ctx: ToolContext) -> None:
        await trio.lowlevel.checkpoint()
        log.append(ctx.tool_call_id)

    @tool
    async def free() -> None: ...

    await batch_of(*[step, free] * 10).wait()

    assert log == [f"c{number}" for number in range(0, 20, 2)]


async def test_locks_are_taken_in_sorted_order(autojump_clock: trio.testing.MockClock) -> None:
    """Two calls that name them the other way round do not stop each other; the names may come from the arguments."""

    def both(arguments: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"file:{name}" for name in arguments["names"])

    @tool(locks=both)
    async def copies(names: list[str]) -> str:
        await trio.sleep(1)
        return "-".join(names)

    batch = batch_with([(copies, {"names": names}) for names in (["x", "y"], ["y", "x"], ["z"])])
    with trio.fail_after(10):
        await batch.wait()

    assert [result.text for result in batch.results()] == ["x-y", "y-x", "z"]
    assert trio.current_time() == 2


async def test_a_call_that_waits_for_a_lock_can_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """It leaves the queue and holds nothing, not even what it had already; who is behind it moves up."""
    runtime = Runtime("test")
    ran: list[str] = []

    @tool(locks=("b",), timeout=10)
    async def holds() -> None:
        await trio.sleep(5)

    @tool(locks=("a", "b"), timeout=1)
    async def impatient() -> None:
        ran.append("impatient")

    @tool(locks=("a",), timeout=10)
    async def patient() -> None:
        ran.append(f"patient at {trio.current_time():g}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch_of(holds, runtime=runtime).wait)
        await trio.testing.wait_all_tasks_blocked()
        batch = batch_of(impatient, runtime=runtime)
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(batch_of(patient, runtime=runtime).wait)

    assert ran == ["patient at 1"]
    assert "timed out" in batch.results()[0].text
    assert len(runtime.wait_graph) == 0


async def test_a_circle_through_a_lock_and_an_ask_is_refused() -> None:
    """Whoever would close it gets `AskCycleError`, be it the one who asks, or the one who wants the lock."""

    @tool(locks=("ledger",))
    async def asks_under_the_lock(ctx: ToolContext) -> str:
        await trio.testing.wait_all_tasks_blocked()
        return str(await asked[0].ask("go"))

    @tool(locks=("ledger",))
    async def wants_the_lock() -> str:
        return "had it"

    asked: list[ActorRef] = []
    texts: dict[str, str] = {}

    async def second(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            batch = batch_of(wants_the_lock, runtime=ctx.runtime, path=ctx.path)
            await batch.wait()
            texts["second"] = batch.results()[0].text
            ctx.reply(texts["second"])

    async def first(ctx: ActorContext) -> None:
        ctx.started()
        batch = batch_of(asks_under_the_lock, runtime=ctx.runtime, path=ctx.path)
        await batch.wait()
        texts["first"] = batch.results()[0].text

    async with open_system() as system:
        asked.append(await system.start_child(ChildSpec("second", second)))
        ref = await system.start_child(ChildSpec("first", first, restart="temporary"))
        with trio.fail_after(30):
            await ref.wait_stopped()
        assert len(system.runtime.wait_graph) == 0

    assert texts["second"].startswith("AskCycleError")
    assert "/second" in texts["second"]
    assert "/first" in texts["second"]


async def test_an_ask_that_closes_a_circle_with_a_lock_is_refused() -> None:
    """Here the other waits for the lock already; the one that holds it may not ask it."""
    is_waiting = trio.Event()

    @tool(locks=("ledger",))
    async def asks_under_the_lock() -> str:
        await is_waiting.wait()
        await trio.testing.wait_all_tasks_blocked()
        return str(await refs["second"].ask("go"))

    @tool(locks=("ledger",))
    async def wants_the_lock() -> str:
        return "had it"

    refs: dict[str, ActorRef] = {}
    texts: dict[str, str] = {}

    async def runs(ctx: ActorContext, name: str) -> None:
        ctx.started()
        if name == "second":
            await trio.testing.wait_all_tasks_blocked()
            is_waiting.set()
        made = asks_under_the_lock if name == "first" else wants_the_lock
        batch = batch_of(made, runtime=ctx.runtime, path=ctx.path)
        await batch.wait()
        texts[name] = batch.results()[0].text

    async with open_system() as system:
        for name in ("first", "second"):
            refs[name] = await system.start_child(ChildSpec(name, runs, args=(name,), restart="temporary"))
        with trio.fail_after(30):
            for ref in refs.values():
                await ref.wait_stopped()

    assert texts["first"].startswith("AskCycleError")
    assert texts["second"] == "had it"


async def test_a_sibling_that_asks_closes_no_circle() -> None:
    """The call that holds the lock waits for nobody, so it lets go of it in the end, though its sibling asks who wants it."""

    @tool(locks=("ledger",))
    async def holds() -> str:
        await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        return "held it"

    @tool
    async def asks() -> str:
        return str(await asked[0].ask("go"))

    @tool(locks=("ledger",))
    async def wants_the_lock() -> str:
        return "had it"

    asked: list[ActorRef] = []
    texts: list[str] = []

    async def second(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            batch = batch_of(wants_the_lock, runtime=ctx.runtime, path=ctx.path)
            await batch.wait()
            ctx.reply(batch.results()[0].text)

    async def first(ctx: ActorContext) -> None:
        ctx.started()
        batch = batch_of(holds, asks, runtime=ctx.runtime, path=ctx.path)
        await batch.wait()
        texts.extend(result.text for result in batch.results())

    async with open_system() as system:
        asked.append(await system.start_child(ChildSpec("second", second)))
        ref = await system.start_child(ChildSpec("first", first, restart="temporary"))
        with trio.fail_after(30):
            await ref.wait_stopped()

    assert texts == ["held it", "had it"]


async def test_what_was_given_up_goes_on_holding_its_locks(autojump_clock: trio.testing.MockClock) -> None:
    """T02: what the lock protects is in use until the tool has really ended; its agent waits for it no more."""
    runtime = Runtime("test")

    @tool(locks=("disk",), timeout=1, cleanup_grace=1)
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)

    @tool(locks=("disk",))
    async def next_one() -> str:
        return f"at {trio.current_time():g}"

    first = batch_of(stubborn, runtime=runtime)
    await first.wait()
    assert "abandoned" in first.results()[0].text
    assert list(locks_of(runtime).holders()) == ["disk"]
    second = batch_of(next_one, runtime=runtime)
    await second.wait()

    assert second.results()[0].text == "at 10"


async def test_an_abandoned_thread_goes_on_holding_its_locks(running_clock: trio.testing.MockClock) -> None:
    """T05: likewise a thread that nothing can end."""
    runtime = Runtime("test")
    has_begun, release = threading.Event(), threading.Event()
    log: list[str] = []

    @tool(locks=("disk",), timeout=60)
    def blocks() -> None:
        has_begun.set()
        release.wait(30)
        log.append("thread ends")

    @tool(locks=("disk",))
    async def next_one() -> None:
        log.append("next begins")

    first = batch_of(blocks, runtime=runtime)
    await run_out_of_time(first, running_clock, has_begun.is_set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch_of(next_one, runtime=runtime).wait)
        await trio.testing.wait_all_tasks_blocked()
        release.set()

    assert log == ["thread ends", "next begins"]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abc"), max_size=3), st.integers(0, 4), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_no_lock_is_ever_held_twice(wants: list[tuple[list[str], int, bool]]) -> None:
    """Whoever wants what, in whatever order, however long, and cancelled or not: one holder a name, all end, nothing is left."""

    async def main() -> None:
        graph = WaitGraph()
        locks = ToolLocks(graph)
        held: set[str] = set()
        done = 0

        async def call(number: int, names: list[str], seconds: int, is_hasty: bool) -> None:  # noqa: FBT001  # as drawn
            nonlocal done
            with trio.move_on_after(1.5 if is_hasty else 1000):
                claims = await locks.acquire(f"call {number}", names, lambda: None)
                try:
                    assert held.isdisjoint(names)
                    held.update(names)
                    await trio.sleep(seconds)
                finally:
                    held.difference_update(names)
                    claims.release()
            done += 1

        async with trio.open_nursery() as nursery:
            for number, want in enumerate(wants):
                nursery.start_soon(call, number, *want)
        assert done == len(wants)
        assert locks.holders() == {}
        assert len(graph) == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# Retries.


async def test_a_tool_that_may_be_run_again_is(autojump_clock: trio.testing.MockClock) -> None:
    """After longer and longer waits, within its one timeout; each failure is told, the result is the last attempt's."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    tried: list[float] = []

    @tool(effect="read", retries=3)
    async def flaky() -> str:
        tried.append(round(trio.current_time(), 3))
        if len(tried) < 3:
            message = f"attempt {len(tried)}"
            raise ConnectionError(message)
        return "read"

    batch = batch_of(flaky, runtime=runtime)
    await batch.wait()

    assert batch.results()[0].text == "read"
    assert tried == [0, 0.2, 0.6]
    told = unread(events, ToolRetryEvent)
    assert [(event.attempt, str(event.error)) for event in told] == [
        (1, "ConnectionError: attempt 1"),
        (2, "ConnectionError: attempt 2"),
    ]


async def test_the_last_failure_is_the_result(autojump_clock: trio.testing.MockClock) -> None:
    """retries=2 is three attempts."""
    tried: list[int] = []

    @tool(effect="idempotent", retries=2)
    def broken() -> None:
        tried.append(1)
        message = f"attempt {len(tried)}"
        raise ConnectionError(message)

    autojump_clock.autojump_threshold = float("inf")
    autojump_clock.rate = 1000
    batch = batch_of(broken)
    await batch.wait()

    assert batch.results()[0].text == "ConnectionError: attempt 3"


async def test_no_attempt_follows_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """The timeout counts all attempts and waits together; a call that is ended is not begun again."""
    tried: list[float] = []

    @tool(effect="read", retries=100, timeout=1)
    async def broken() -> None:
        tried.append(trio.current_time())
        raise ConnectionError

    batch = batch_of(broken)
    await batch.wait()

    assert "timed out" in batch.results()[0].text
    assert len(tried) == 3
    assert trio.current_time() == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"retries": 1}, "retries"),
        ({"retries": -1, "effect": "read"}, "retries"),
        ({"retries": True, "effect": "read"}, "retries"),
        ({"effect": "twice"}, "effect"),
        ({"locks": "disk"}, "locks"),
        ({"locks": ("",)}, "locks"),
        ({"cleanup_grace": -1}, "cleanup_grace"),
        ({"timeout": "1"}, "timeout"),
    ],
)
def test_a_wrong_option_is_refused_at_once(options: dict[str, Any], field: str) -> None:
    """It is named; what has effects that would come twice is never run again."""
    with pytest.raises(SpecError) as caught:
        tool(**options)

    assert caught.value.field == field


async def test_locks_that_cannot_be_named_are_an_error_of_the_call() -> None:
    """A function of the arguments that raises: that call's error result, and nothing is held."""

    def names(arguments: Mapping[str, Any]) -> tuple[str, ...]:
        return (str(arguments["none"]),)

    @tool(locks=names)
    async def never() -> None: ...

    batch = batch_of(never)
    await batch.wait()

    assert batch.results()[0].text == "KeyError: 'none'"
