"""The time that a cancelled tool has for its cleanup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.tools._calls import batch_of, unread
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ToolExecutionEndEvent
from tinyagent_actors.tools import Tool, tool


async def outcome_of(made: Tool, *, cancel_at: float | None = None) -> tuple[str, str, float]:
    """Run one call, whose run may be cancelled; give outcome, result and when it was settled."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(made, runtime=runtime)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            if cancel_at is not None:
                await trio.sleep(cancel_at)
                scope.cancel()
    (end,) = unread(events, ToolExecutionEndEvent)
    return end.outcome, batch.results()[0].text, trio.current_time()


async def test_a_handler_of_cancelled_may_await(autojump_clock: trio.testing.MockClock) -> None:
    """T03: a tool that catches Cancelled and cleans up with awaits is not cancelled again while it does."""
    cleaned = []

    @tool(timeout=2)
    async def careful() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            await trio.sleep(1)
            await trio.lowlevel.checkpoint()
            with trio.move_on_after(1):
                await trio.sleep_forever()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 1)
            cleaned.append(trio.current_time())
            raise

    assert await outcome_of(careful) == ("timed_out", "timed out: ended by the tool deadline after 2 s", 5)
    assert cleaned == [5]


async def test_the_window_opens_for_the_cancel_of_a_run(autojump_clock: trio.testing.MockClock) -> None:
    """T03: likewise where the run is cancelled, and where what was awaited was a mere checkpoint."""
    cleaned = []

    @tool
    async def busy() -> None:
        try:
            while True:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                await trio.lowlevel.checkpoint()
        finally:
            await trio.sleep(1)
            cleaned.append(trio.current_time())

    assert await outcome_of(busy, cancel_at=2) == ("cancelled", "cancelled: the run was cancelled", 4)
    assert cleaned == [4]


async def test_the_window_is_closed_after_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    """T03: cleanup_grace seconds, then what still awaits something is cancelled again, and says how it ended."""

    @tool(timeout=2, cleanup_grace=3)
    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            try:
                await trio.sleep_forever()
            finally:
                await trio.sleep_forever()

    @tool(timeout=2, cleanup_grace=3)
    async def angry() -> None:
        try:
            await trio.sleep_forever()
        finally:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                message = "no time"
                raise LookupError(message) from None

    assert await outcome_of(slow) == ("timed_out", "timed out: ended by the tool deadline after 2 s", 5)
    assert "LookupError: no time" in (await outcome_of(angry))[1]


async def test_a_tool_that_swallows_its_cancel_is_cancelled_again(autojump_clock: trio.testing.MockClock) -> None:
    """T03: the window is for the cleanup; what goes on as if nothing had been is cancelled at its next await."""
    went_on: list[str] = []

    @tool(timeout=2)
    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            await trio.sleep(1)
        await trio.lowlevel.checkpoint()
        went_on.append("after a wait in the handler")

    @tool(timeout=2)
    async def deaf() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            pass
        await trio.sleep(1)
        went_on.append("at once")

    assert (await outcome_of(stubborn))[0] == "timed_out"
    assert (await outcome_of(deaf))[0] == "timed_out"
    assert went_on == []


async def test_a_nursery_of_the_tool_ends_as_in_trio(autojump_clock: trio.testing.MockClock) -> None:
    """T03: where a nursery is open there is no window, which would let the nursery take the cancel for its own."""
    went_on: list[str] = []

    @tool(timeout=2)
    async def parallel() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                with pytest.raises(trio.Cancelled):
                    await trio.lowlevel.checkpoint()
        went_on.append("after the nursery")

    assert await outcome_of(parallel) == ("timed_out", "timed out: ended by the tool deadline after 2 s", 2)
    assert went_on == []


async def test_a_deadline_of_the_tool_s_own_in_its_cleanup(autojump_clock: trio.testing.MockClock) -> None:
    """T03: it ends that part of the cleanup, and nothing more of the tool runs."""
    went_on: list[str] = []

    @tool(timeout=2)
    async def bounded() -> None:
        with trio.move_on_after(3):
            try:
                await trio.sleep_forever()
            finally:
                await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        went_on.append("after its own deadline")

    assert (await outcome_of(bounded))[2] == 3
    assert went_on == []


async def test_the_exit_of_a_context_manager_may_await(autojump_clock: trio.testing.MockClock) -> None:
    """T31: an `__aexit__` that awaits, two of them: both end, and the error that was on its way is the one that is told."""
    closed = []

    @asynccontextmanager
    async def client(name: str) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await trio.sleep(1)
            closed.append(name)

    @tool(timeout=2)
    async def uses() -> None:
        async with client("outer"), client("inner"):
            try:
                await trio.sleep_forever()
            finally:
                message = "the connection is lost"
                raise ConnectionError(message)

    outcome, text, when = await outcome_of(uses)

    assert closed == ["inner", "outer"]
    assert (outcome, when) == ("timed_out", 4)
    assert text == (
        "timed out: ended by the tool deadline after 2 s; as it ended, it raised ConnectionError: the connection is lost"
    )


async def test_what_a_cancelled_tool_returns_is_no_success(autojump_clock: trio.testing.MockClock) -> None:
    """T23: a tool that hears of its cancel and returns has one outcome, which is not `finished`; the model reads what it gave."""

    @tool(timeout=2)
    async def partial() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "half of it"

    outcome, text, _ = await outcome_of(partial)

    assert outcome == "timed_out"
    assert text == "timed out: ended by the tool deadline after 2 s\nUntil then:\nhalf of it"


async def test_trio_sees_the_frames_of_a_tool() -> None:
    """What walks over a task's frames, as a view of a live tree does, sees where a tool is."""
    frames = []

    @tool
    async def inside() -> None:
        await trio.sleep_forever()

    batch = batch_of(inside)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.testing.wait_all_tasks_blocked()
            waiting = [trio.lowlevel.current_root_task()]
            while waiting and (task := waiting.pop()) is not None:
                waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
                if task.name.startswith("tool inside"):
                    frames += [frame.f_code.co_name for frame, _ in task.iter_await_frames()]
            scope.cancel()

    assert "inside" in frames
    assert "sleep_forever" in frames
