"""What a tool may do with what is around it: scopes, context variables, clocks, asyncio."""

from __future__ import annotations

import contextvars
import time
import types
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
import trio.testing

from tests.tools._calls import batch_of
from tinyagent_actors import ToolContext, tool


@tool
async def ok() -> str:
    await trio.lowlevel.checkpoint()
    return "ok"


async def test_a_scope_that_is_opened_in_one_call_and_closed_in_another() -> None:
    """T32: an exit stack with a nursery, handed from call to call: an error result, and the run, and Trio, go on unharmed."""
    stacks: list[AsyncExitStack] = []

    @tool
    async def opens() -> str:
        stack = AsyncExitStack()
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.cancel_scope.cancel()
        stacks.append(stack)
        return "opened"

    @tool
    async def closes() -> str:
        await stacks.pop().aclose()
        return "closed"

    first = batch_of(opens)
    await first.wait()
    second = batch_of(closes)
    await second.wait()
    third = batch_of(ok)
    await third.wait()

    assert first.results()[0].is_error
    assert third.results()[0].text == "ok"


async def test_context_variables_go_in_and_not_across() -> None:
    """T33: a call sees the variables of its run; what it sets is seen by no sibling, no later call, and not by the run."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    @tool
    async def sets(ctx: ToolContext) -> str:
        before = variable.get()
        variable.set(f"set by {ctx.tool_call_id}")
        await trio.lowlevel.checkpoint()
        return f"{before}, then {variable.get()}"

    @tool
    def sets_in_thread(ctx: ToolContext) -> str:
        before = variable.get()
        variable.set(f"set by {ctx.tool_call_id}")
        return f"{before}, then {variable.get()}"

    variable.set("the run's")
    for _ in range(2):
        batch = batch_of(sets, sets_in_thread, sets)
        await batch.wait()
        assert [result.text for result in batch.results()] == [
            f"the run's, then set by c{number}" for number in range(3)
        ]
    assert variable.get() == "the run's"


async def test_a_jump_of_the_wall_clock_moves_no_deadline(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T34: deadlines are Trio's, so a mock clock moves them, and the system's clock does not."""

    @tool(timeout=3600)
    async def jumps() -> None:
        monkeypatch.setattr(time, "time", lambda: 4e9)
        monkeypatch.setattr(time, "time_ns", lambda: 4 * 10**18)
        await trio.sleep_forever()

    batch = batch_of(jumps)
    with trio.fail_after(4000):
        await batch.wait()

    assert trio.current_time() == 3600
    assert "after 3.6e+03 s" in batch.results()[0].text


async def _sleep() -> None:
    import asyncio

    await asyncio.sleep(1)


async def _future() -> None:
    import asyncio

    await asyncio.get_running_loop().create_future()


async def _task() -> None:
    import asyncio

    async with asyncio.TaskGroup() as group:
        group.create_task(_sleep())


@pytest.mark.parametrize("function", [_sleep, _future, _task])
async def test_asyncio_in_a_tool_is_an_error_not_a_hang(function: Callable[[], Any]) -> None:
    """T35: asyncio's own calls find no loop of theirs, and the result says so."""
    foreign = tool(name="foreign")(function)
    batch = batch_of(foreign)
    with trio.fail_after(30):
        await batch.wait()

    assert batch.results()[0].is_error
    assert any(word in batch.results()[0].text for word in ("no running event loop", "asyncio"))


@types.coroutine
def _foreign_await() -> Any:
    return (yield "something of another library's")


async def test_an_await_that_trio_does_not_know_is_an_error() -> None:
    """T35: a bare awaitable of another library is told off in its own words, and the call ends."""

    @tool
    async def foreign() -> None:
        await _foreign_await()

    batch = batch_of(foreign)
    with trio.fail_after(30):
        await batch.wait()

    assert batch.results()[0].is_error


async def test_a_tool_sees_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """T34: what it awaits can read the deadline that holds, without being told."""

    @tool(timeout=7)
    async def looks() -> float:
        return trio.current_effective_deadline()

    batch = batch_of(looks)
    await batch.wait()

    assert batch.results()[0].text == "7.0"
