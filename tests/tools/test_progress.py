"""What a tool tells before its end."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from tests.tools._calls import batch_of, unread
from tinyagent_actors import ToolContext, tool
from tinyagent_actors.actors import Runtime, Subscription, block, conflate
from tinyagent_actors.events import ToolExecutionEndEvent, ToolExecutionUpdateEvent

FLOOD = 100_000


def shown(events: list[Any]) -> list[str]:
    return [event.partial_result.content[0].text for event in events]


async def test_a_flood_is_coalesced_at_its_source() -> None:
    """T20: 100,000 reports in a row are one event, the latest of them, before the end; memory holds one."""

    @tool
    async def floods(ctx: ToolContext) -> str:
        for number in range(FLOOD):
            ctx.report(f"{number}")
        return "done"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**", policy=block(10))
    await batch_of(floods, runtime=runtime).wait()

    assert shown(unread(events, ToolExecutionUpdateEvent)) == [f"{FLOOD - 1}"]


async def test_a_stalled_subscriber_holds_neither_the_tool_nor_others(autojump_clock: trio.testing.MockClock) -> None:
    """T20: of a tool that goes on reporting, one who loses nothing and does not read gets no more than it has room for."""

    @tool
    async def reports(ctx: ToolContext) -> str:
        for number in range(2000):
            ctx.report(f"{number}")
            await trio.lowlevel.checkpoint()
        return f"at {trio.current_time():g}"

    runtime = Runtime("test")
    stalled = runtime.bus.open_subscription("**", policy=block(10, stall=60))
    reader = runtime.bus.open_subscription("**", policy=conflate(256))
    batch = batch_of(reports, runtime=runtime)
    await batch.wait()

    assert batch.results()[0].text == "at 0"
    assert stalled.statistics()["peak"] <= 12
    told = list(iter(reader.next_nowait, None))
    assert isinstance(told[-1], ToolExecutionEndEvent)
    assert shown([event for event in told if isinstance(event, ToolExecutionUpdateEvent)])[-1] == "1999"


async def test_whoever_makes_room_gets_the_latest(autojump_clock: trio.testing.MockClock) -> None:
    """T20: what was told while there was no room is told as one, as soon as there is, while the tool goes on."""
    is_read = trio.Event()

    @tool
    async def reports(ctx: ToolContext) -> str:
        for number in range(100):
            ctx.report(f"{number}")
            await trio.lowlevel.checkpoint()
        await is_read.wait()
        return "done"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**", policy=block(4, stall=60))
    got: list[str] = []

    async def read() -> None:
        await trio.sleep(1)
        async for event in events:
            if isinstance(event, ToolExecutionUpdateEvent):
                got.extend(shown([event]))
                if got[-1] == "99":
                    is_read.set()
                    return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await batch_of(reports, runtime=runtime).wait()

    assert got[-1] == "99"
    assert len(got) <= 5


async def test_a_generator_waits_for_room(autojump_clock: trio.testing.MockClock) -> None:
    """T20: each value of an async generator is told; it is held while a subscriber that loses nothing has no room."""
    made: list[int] = []

    @tool
    async def counts() -> Any:
        for number in range(50):
            made.append(number)
            yield f"{number}"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**", policy=block(10, stall=60))
    got: list[str] = []

    async def read() -> None:
        await trio.sleep(1)
        assert len(made) < 20
        async for event in events:
            if isinstance(event, ToolExecutionUpdateEvent):
                got.extend(shown([event]))
            if isinstance(event, ToolExecutionEndEvent):
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        batch = batch_of(counts, runtime=runtime)
        await batch.wait()

    assert got == [f"{number}" for number in range(49)]
    assert batch.results()[0].text == "49"


async def test_a_generator_is_closed_in_its_own_task(autojump_clock: trio.testing.MockClock) -> None:
    """T19: cancelled in the middle of an endless one: closed in the same task and scope, and it may clean up with awaits."""
    closed: list[tuple[float, bool]] = []

    @tool(timeout=2)
    async def endless() -> Any:
        task = trio.lowlevel.current_task()
        try:
            while True:
                yield "more"
                await trio.sleep(0.5)
        finally:
            await trio.sleep(1)
            closed.append((trio.current_time(), trio.lowlevel.current_task() is task))

    batch = batch_of(endless)
    await batch.wait()

    assert closed == [(3, True)]
    assert "timed out" in batch.results()[0].text


async def test_a_generator_that_waits_for_room_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    """T19: cancelled between two of its values, where it does not run itself: it is closed there and then, in its own task."""
    closed: list[tuple[float, bool]] = []

    @tool(timeout=2)
    async def endless() -> Any:
        task = trio.lowlevel.current_task()
        try:
            while True:
                yield "more"
        finally:
            closed.append((trio.current_time(), trio.lowlevel.current_task() is task))

    runtime = Runtime("test")
    stalled = runtime.bus.open_subscription("**", policy=block(2, stall=60))
    batch = batch_of(endless, runtime=runtime)
    await batch.wait()

    assert closed == [(2, True)]
    assert stalled.statistics()["peak"] <= 4


async def test_progress_that_cannot_be_shown_ends_no_tool() -> None:
    """T18: bytes, say: the event tells their type, and the tool goes on."""

    @tool
    async def odd(ctx: ToolContext) -> str:
        ctx.report(b"bytes")
        await trio.testing.wait_all_tasks_blocked()
        ctx.report("text")
        return "done"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(odd, runtime=runtime)
    await batch.wait()

    assert shown(unread(events, ToolExecutionUpdateEvent)) == ["(progress that cannot be shown: TypeError)", "text"]
    assert batch.results()[0].text == "done"


async def test_progress_after_the_end_is_only_counted() -> None:
    """T05: a task of the tool's that outlives its call, in a nursery of somebody else's."""
    kept: list[ToolContext] = []

    @tool
    async def hands_out(ctx: ToolContext) -> str:
        kept.append(ctx)
        return "done"

    runtime = Runtime("test")
    events: Subscription = runtime.bus.open_subscription("**")
    await batch_of(hands_out, runtime=runtime).wait()
    kept[0].report("too late")
    await trio.testing.wait_all_tasks_blocked()

    assert unread(events, ToolExecutionUpdateEvent) == []
