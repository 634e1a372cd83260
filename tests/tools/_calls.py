"""How the tests of tools run calls: a batch of its own, outside of any system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
import trio.testing

from tests.tools._processes import until
from tinyagent_actors.actors import Runtime, Subscription
from tinyagent_actors.events import Event
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.tools import CallBatch, Tool


def batch_of(*tools: Tool, runtime: Runtime | None = None, **options: Any) -> CallBatch:
    """One call, without arguments, of each tool."""
    return batch_with([(tool, {}) for tool in tools], runtime=runtime, **options)


def batch_with(
    calls: list[tuple[Tool, dict[str, Any]]], *, runtime: Runtime | None = None, **options: Any
) -> CallBatch:
    """These calls, named c0, c1 and so on."""
    made = tuple(ToolCall(f"c{place}", tool.name, arguments) for place, (tool, arguments) in enumerate(calls))
    named = {tool.name: tool for tool, _ in calls}
    return CallBatch(made, named, runtime=runtime or Runtime("test"), **{"path": "/a", "run": 1, "turn": 1} | options)


async def run_out_of_time(batch: CallBatch, clock: trio.testing.MockClock, has_begun: Callable[[], bool]) -> None:
    """Run a batch whose calls are all past their deadline as soon as they have begun, and not before."""
    with trio.fail_after(120):  # of which the jump takes 60
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await until(has_begun)
            clock.jump(60)


def unread(subscription: Subscription, kind: type[Event]) -> list[Any]:
    """Take what lies in a subscription, and give the events of one kind."""
    events = []
    while (event := subscription.next_nowait()) is not None:
        if isinstance(event, kind):
            events.append(event)
    return events
