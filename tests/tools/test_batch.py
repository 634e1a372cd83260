"""The tool runner: exactly one result for each call, whatever happens."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools._calls import run_out_of_time
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ToolExecutionEndEvent, ToolExecutionUpdateEvent, ToolLateCompletionEvent
from tinyagent_actors.messages import InvalidToolCall, ToolCall
from tinyagent_actors.tools import CallBatch, ToolContext, tool


@tool
async def double(number: int) -> int:
    """Double."""
    await trio.lowlevel.checkpoint()
    return number * 2


@tool
async def fail() -> None:
    """Raise."""
    raise LookupError("nothing there")


@tool(timeout=2)
async def hang() -> None:
    """Wait for ever."""
    await trio.sleep_forever()


@tool(timeout=2)
async def stubborn(seconds: float) -> None:
    """Swallow the cancel for a while."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)


@tool(timeout=2)
async def tidy(seconds: float) -> None:
    """Wait for ever, and take a while to clean up."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)


@tool
def in_thread(text: str) -> str:
    """Run in a thread."""
    return text.upper()


@tool
async def steps() -> Any:
    """Tell progress."""
    yield "one"
    yield "two"
    yield "done"


TOOLS = {one.name: one for one in (double, fail, hang, stubborn, tidy, in_thread, steps)}


def make(*calls: Any, runtime: Runtime | None = None) -> CallBatch:
    made = tuple(ToolCall(f"c{place}", *call) if isinstance(call, tuple) else call for place, call in enumerate(calls))
    return CallBatch(made, TOOLS, runtime=runtime or Runtime("test"), path="/", run=1, turn=1)


def told(runtime: Runtime, kind: Any, subscription: Any) -> list[Any]:
    events = []
    while (event := subscription.next_nowait()) is not None:
        if isinstance(event, kind):
            events.append(event)
    return events


async def test_results_come_in_call_order_and_one_failure_cancels_nobody() -> None:
    """T15: the failed call is an error result, its siblings finish."""
    batch = make(("double", {"number": 4}), ("fail", {}), ("in_thread", {"text": "x"}), ("double", {"number": 5}))
    await batch.wait()
    results = batch.results()

    assert [result.text for result in results] == ["8", "LookupError: nothing there", "X", "10"]
    assert [result.is_error for result in results] == [False, True, False, False]


async def test_what_may_not_run_does_not() -> None:
    """Unknown tools, cut calls and arguments that do not fit: an error result that the model can use."""
    batch = make(("nope", {}), InvalidToolCall("c1", "double", '{"num', "cut"), ("double", {"number": "4"}))
    await batch.wait()
    unknown, cut, wrong = (result.text for result in batch.results())

    assert "no tool 'nope'" in unknown
    assert "double" in unknown
    assert '{"num' in cut
    assert "number" in wrong


async def test_a_timeout_ends_the_tool_and_says_which(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the tool's own deadline, or the run's, whichever is nearer; siblings finish."""
    batch = make(("hang", {}), ("double", {"number": 1}))
    await batch.wait()
    hung, doubled = batch.results()
    assert "tool deadline after 2 s" in hung.text
    assert doubled.text == "2"

    batch = make(("hang", {}))
    with trio.move_on_after(1):
        await batch.wait()
    assert "caller deadline after 1 s" in batch.results()[0].text


async def test_a_cancel_before_the_start_is_no_timeout() -> None:
    """A run that is cancelled already has no deadline that could have come: each call is `cancelled`."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = make(("hang", {}), ("double", {"number": 1}), runtime=runtime)
    with trio.CancelScope() as scope:
        scope.cancel()
        await batch.wait()

    assert scope.cancelled_caught
    assert [event.outcome for event in told(runtime, ToolExecutionEndEvent, events)] == ["cancelled", "cancelled"]


async def test_a_cancel_stays_one_while_the_tool_cleans_up(autojump_clock: trio.testing.MockClock) -> None:
    """What ended the tool is what came first, also if its deadline passes during the cleanup."""
    batch = make(("tidy", {"seconds": 3}))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.sleep(1)
            scope.cancel()

    assert trio.current_time() == 4
    assert batch.results()[0].text == "cancelled: the run was cancelled"


async def test_a_tool_that_will_not_end_is_abandoned(autojump_clock: trio.testing.MockClock) -> None:
    """T02: after the grace the outcome is `abandoned`, it stands among the leftovers, and its end is told as late."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = make(("stubborn", {"seconds": 60}), runtime=runtime)
    await batch.wait()

    assert "abandoned" in batch.results()[0].text
    assert trio.current_time() == 7
    assert runtime.leftovers.snapshot().names == ("tool stubborn of /",)
    assert [event.outcome for event in told(runtime, ToolExecutionEndEvent, events)] == ["abandoned"]
    await trio.sleep(60)
    assert runtime.leftovers.snapshot().total == 0
    assert len(told(runtime, ToolLateCompletionEvent, events)) == 1


async def test_a_cancel_reaches_the_tools_and_every_call_has_its_result() -> None:
    """T13, T24: cancelled while running, or before it began: one result each, and `Cancelled` passes on."""
    batch = make(("hang", {}), ("hang", {}))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert [result.text for result in batch.results()] == ["cancelled: the run was cancelled"] * 2

    batch = make(("hang", {}))
    with trio.CancelScope() as scope:
        scope.cancel()
        await batch.wait()
    assert len(batch.results()) == 1


async def test_threads_are_abandoned_and_counted(running_clock: trio.testing.MockClock) -> None:
    """T05: the result says so now, the thread is a leftover until it ends."""
    import threading

    has_begun, release = threading.Event(), threading.Event()

    @tool(timeout=60)
    def blocks() -> None:
        """Block."""
        has_begun.set()
        release.wait(10)

    runtime = Runtime("test")
    batch = CallBatch((ToolCall("c", "blocks"),), {"blocks": blocks}, runtime=runtime, path="/", run=1, turn=1)
    await run_out_of_time(batch, running_clock, has_begun.is_set)
    assert "timed out" in batch.results()[0].text
    assert runtime.leftovers.snapshot().threads == 1
    release.set()
    with trio.fail_after(10):
        while runtime.leftovers.snapshot().threads:
            await trio.lowlevel.checkpoint()


async def test_progress_of_a_generator() -> None:
    """T19: each value but the last is progress; the last is the result."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = make(("steps", {}), runtime=runtime)
    await batch.wait()

    assert batch.results()[0].text == "done"
    updates = told(runtime, ToolExecutionUpdateEvent, events)
    assert [event.partial_result.content[0].text for event in updates] == ["one", "two"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "done"),
        ({"a": 1}, '{"a":1}'),
        (b"x", "TypeError"),
        (object(), "TypeError"),
        ("a\ud800\0", "a\ufffd\ufffd"),
    ],
)
async def test_what_a_tool_returns(value: Any, text: str) -> None:
    """T17, T18: a result that any request can carry, or an error result."""

    @tool
    async def give() -> Any:
        """Give."""
        return value

    batch = CallBatch((ToolCall("c", "give"),), {"give": give}, runtime=Runtime("t"), path="/", run=1, turn=1)
    await batch.wait()

    assert text in batch.results()[0].text


async def test_a_huge_result_is_cut_with_a_marker() -> None:
    """T17: bounded before it enters an event or a prompt."""

    @tool
    async def huge() -> str:
        """Give a lot."""
        return "x" * 10_000_000

    runtime = Runtime("t")
    batch = CallBatch((ToolCall("c", "huge"),), {"huge": huge}, runtime=runtime, path="/", run=1, turn=1)
    await batch.wait()
    await runtime.close_resources()

    assert len(batch.results()[0].text) < 270_000
    assert "10000000 characters in all" in batch.results()[0].text


async def test_context_variables_flow_in_and_asyncio_is_told_off() -> None:
    """T33, T35: a tool sees its caller's context; hidden asyncio code is an error, not a hang."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")

    @tool
    async def look(ctx: ToolContext) -> str:
        """Look."""
        return f"{variable.get()} {ctx.tool_call_id}"

    @tool
    async def foreign() -> None:
        """Sleep the wrong way."""
        import asyncio

        await asyncio.sleep(0.1)

    tools = {"look": look, "foreign": foreign}
    batch = CallBatch(
        (ToolCall("c", "look"), ToolCall("d", "foreign")), tools, runtime=Runtime("t"), path="/", run=1, turn=1
    )
    await batch.wait()
    looked, failed = batch.results()

    assert looked.text == "mine c"
    assert failed.is_error


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [("double", {"number": 1}), ("fail", {}), ("hang", {}), ("stubborn", {"seconds": 3}), ("nope", {})]
        ),
        max_size=6,
    ),
    st.sampled_from([0.0, 0.5, 2.0, 3.0, 100.0]),
)
def test_exactly_one_result_whatever_happens(calls: list[Any], cancel_after: float) -> None:
    """After any mixture of outcomes and any moment of a cancel, each call has one result, in order, and nothing is left."""

    async def main() -> None:
        runtime = Runtime("test")
        batch = make(*calls, runtime=runtime)
        with trio.move_on_after(cancel_after):
            await batch.wait()
        results = batch.results()
        assert [result.tool_call_id for result in results] == [call.id for call in batch.calls]
        await trio.sleep(20)
        assert runtime.leftovers.snapshot().total == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
