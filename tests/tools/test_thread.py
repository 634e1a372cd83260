"""Sync tools: threads that cannot be ended, and what is done about it."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import trio
import trio.testing

from tests.tools._calls import batch_of, run_out_of_time
from tests.tools._processes import until
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ToolExecutionEndEvent, ToolExecutionUpdateEvent, ToolLateCompletionEvent
from tinyagent_actors.tools import ToolContext, tool
from tinyagent_actors.tools._thread import THREADS, ToolThreads


async def test_a_timeout_is_told_now_and_what_comes_late_is_dropped(running_clock: trio.testing.MockClock) -> None:
    """T05: the result says `timed out` at once; a late result and late progress are told by an event, and are no result."""
    has_begun, release, has_gone_on = threading.Event(), threading.Event(), threading.Event()

    @tool(timeout=60)
    def slow(ctx: ToolContext) -> str:
        """Take long."""
        has_begun.set()
        release.wait(30)
        ctx.report("too late")
        ctx.report("too late again")
        has_gone_on.set()
        return "a result that nobody gets"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(slow, runtime=runtime)
    limiter = runtime.resource(ToolThreads, lambda _: ToolThreads()).limiter
    await run_out_of_time(batch, running_clock, has_begun.is_set)
    (result,) = batch.results()

    assert "timed out: ended by the tool deadline" in result.text
    assert "could not be ended" in result.text
    assert runtime.leftovers.snapshot().names == ("tool slow of /a",)
    assert runtime.leftovers.snapshot().threads == 1
    assert limiter.borrowed_tokens == 1
    release.set()
    await until(lambda: runtime.leftovers.snapshot().total == 0)
    told = list(iter(events.next_nowait, None))
    assert [event.type for event in told if hasattr(event, "type")] == [
        "tool_execution_start",
        "tool_execution_end",
        "tool_late_completion",
    ]
    assert isinstance(told[-1], ToolLateCompletionEvent)
    assert told[-1].updates == 2
    assert limiter.borrowed_tokens == 0
    assert batch.results() == (result,)


async def test_a_cancel_in_the_queue_for_a_thread_leaves_none() -> None:
    """T05: what was cancelled before it had a thread has none left over."""
    release = threading.Event()
    ran: list[str] = []

    @tool(timeout=30)
    def holds() -> None:
        """Hold a thread."""
        release.wait(30)

    @tool(timeout=0.05)
    def waits() -> None:
        """Wait for one."""
        ran.append("waits")

    runtime = Runtime("test")
    runtime.resource(ToolThreads, lambda _: ToolThreads()).limiter.total_tokens = 1
    async with trio.open_nursery() as nursery:
        first = batch_of(holds, runtime=runtime)
        nursery.start_soon(first.wait)
        await until(lambda: runtime.resource(ToolThreads, lambda _: ToolThreads()).limiter.borrowed_tokens == 1)
        second = batch_of(waits, runtime=runtime)
        await second.wait()
        assert "timed out" in second.results()[0].text
        assert runtime.leftovers.snapshot().total == 0
        release.set()
    assert ran == []


async def test_sync_tools_take_none_of_trio_s_threads() -> None:
    """T06: 41 sync tools at once, each of which calls back for a thread of Trio's: none waits for another for ever."""
    count = THREADS + 1
    inside = threading.Semaphore(0)
    release = threading.Event()

    @tool(timeout=60)
    def blocks() -> str:
        """Block, then have the loop use a thread."""
        inside.release()
        release.wait(30)
        return trio.from_thread.run(trio.to_thread.run_sync, threading.get_ident) and "ok"  # type: ignore[return-value]

    batch = batch_of(*[blocks] * count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        for _ in range(THREADS):
            await until(lambda: inside.acquire(blocking=False))
        with trio.fail_after(30):  # names and files still have theirs, while every tool thread is taken
            assert await trio.to_thread.run_sync(lambda: "free") == "free"
            assert await trio.Path(__file__).exists()
        release.set()
    assert [result.text for result in batch.results()] == ["ok"] * count


async def test_a_thread_that_calls_back_is_cancelled_there() -> None:
    """T07: a cancel of the call raises Cancelled in the thread that waits in `from_thread.run`; it may clean up there."""
    said: list[str] = []
    is_in_the_loop = trio.Event()

    async def wait_in_the_loop() -> None:
        is_in_the_loop.set()
        try:
            await trio.sleep_forever()
        finally:
            await trio.lowlevel.checkpoint()
            said.append("cleaned up in the loop")

    @tool(timeout=60)
    def calls_back() -> None:
        """Call back."""
        try:
            trio.from_thread.run(wait_in_the_loop)
        except trio.Cancelled:
            said.append("cancelled in the thread")
            raise

    runtime = Runtime("test")
    batch = batch_of(calls_back, runtime=runtime)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        with trio.fail_after(30):
            await is_in_the_loop.wait()
        nursery.cancel_scope.cancel()

    assert said == ["cleaned up in the loop", "cancelled in the thread"]
    assert batch.results()[0].text == "cancelled: the run was cancelled"
    assert runtime.leftovers.snapshot().total == 0


async def test_an_abandoned_thread_can_do_nothing_more_in_the_loop(running_clock: trio.testing.MockClock) -> None:
    """T07: its further calls fail with Cancelled, one after the other, and what they ask for is not done; no deadlock."""
    has_begun, release, is_over = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []
    failed: list[str] = []

    async def act() -> None:
        done.append("async")

    @tool(timeout=60)
    def persists() -> None:
        """Go on after the end."""
        has_begun.set()
        release.wait(30)
        calls: list[Callable[[], Any]] = [
            lambda: trio.from_thread.run(act),
            lambda: trio.from_thread.run_sync(done.append, "sync"),
            trio.from_thread.check_cancelled,
        ]
        for call in calls:
            try:
                call()
            except trio.Cancelled:
                failed.append("cancelled")
        is_over.set()

    runtime = Runtime("test")
    batch = batch_of(persists, runtime=runtime)
    await run_out_of_time(batch, running_clock, has_begun.is_set)
    release.set()
    await until(lambda: runtime.leftovers.snapshot().total == 0)

    assert is_over.is_set()
    assert failed == ["cancelled"] * 3
    assert done == []


async def test_a_living_thread_may_call_back() -> None:
    """T07: sync and async, with what they return or raise; T33: in the context of the call."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("the caller's")

    async def fails() -> None:
        raise LookupError("in the loop")

    async def look() -> str:
        await trio.lowlevel.checkpoint()
        return variable.get()

    @tool
    def calls_back() -> list[str]:
        """Call back."""
        variable.set(variable.get() + " thread")
        said = [trio.from_thread.run(look), trio.from_thread.run_sync(variable.get)]
        try:
            trio.from_thread.run(fails)
        except LookupError as error:
            said.append(str(error))
        trio.from_thread.check_cancelled()
        return said

    batch = batch_of(calls_back)
    with trio.fail_after(30):
        await batch.wait()

    assert batch.results()[0].text == '["the caller\'s thread","the caller\'s thread","in the loop"]'
    assert variable.get() == "the caller's"


async def test_progress_from_a_thread_comes_in_the_loop() -> None:
    """T05: `on_update` from a thread, as long as its call goes on, is published in the loop, the latest before the end."""

    @tool
    def tells(ctx: ToolContext) -> str:
        """Tell."""
        for number in range(1000):
            ctx.report(f"{number}")
        return "done"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    await batch_of(tells, runtime=runtime).wait()
    told = list(iter(events.next_nowait, None))

    assert isinstance(told[-1], ToolExecutionEndEvent)
    assert isinstance(told[-2], ToolExecutionUpdateEvent)
    assert told[-2].partial_result.content[0].text == "999"  # type: ignore[union-attr]  # it is text


async def test_a_sync_tool_that_gives_a_coroutine_is_told_off() -> None:
    """T35: a plain function that returns a coroutine has forgotten an `async`: an error that says so, and no warning."""

    async def work() -> None: ...

    @tool
    def forgets() -> Any:
        """Forget."""
        return work()

    batch = batch_of(forgets)
    await batch.wait()

    assert "must not return a coroutine" in batch.results()[0].text


def test_a_process_ends_though_threads_are_left() -> None:
    """T08: abandoned threads do not keep `trio.run` or the process; what they send afterwards is refused, not an accident."""
    program = textwrap.dedent(
        """
        import threading, time
        import trio, trio.testing
        from tinyagent_actors import tool
        from tinyagent_actors.actors import Runtime
        from tinyagent_actors.messages import ToolCall
        from tinyagent_actors.tools import CallBatch, ToolContext

        begun, over, refused = threading.Semaphore(0), threading.Event(), threading.Event()
        clock = trio.testing.MockClock(rate=1.0)

        @tool(timeout=600)
        def sleeps() -> None:
            "Sleep."
            begun.release()
            time.sleep(3600)

        @tool(timeout=600)
        def speaks(ctx: ToolContext) -> None:
            "Speak after the end."
            begun.release()
            over.wait(60)
            ctx.report("still there")
            try:
                trio.from_thread.run(trio.sleep, 0)
            except trio.RunFinishedError:
                refused.set()

        async def main():
            tools = {"sleeps": sleeps, "speaks": speaks}
            calls = (ToolCall("a", "sleeps"), ToolCall("b", "speaks"))
            batch = CallBatch(calls, tools, runtime=Runtime("test"), path="/", run=1, turn=1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(batch.wait)
                for _ in calls:
                    while not begun.acquire(blocking=False):
                        await trio.lowlevel.checkpoint()
                clock.jump(600)

        trio.run(main, clock=clock)
        over.set()
        print("refused" if refused.wait(60) else "no word", flush=True)
        """
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")
