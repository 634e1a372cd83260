"""What the tests of approvals share: tools that want it, and ways to look."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from tests.agents._scripted import Say
from tinyagent_actors import Agent, ApprovalRequest, System, tool
from tinyagent_actors.actors import Runtime
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.tools import CallBatch

ran: list[Any] = []
"""What the tools below have done since the test began."""


@tool(approval="always", timeout=10)
async def delete(path: str) -> str:
    """Delete a file."""
    ran.append(path)
    return f"deleted {path}"


@tool(approval=lambda arguments: arguments["path"].startswith("/etc"))
async def write(path: str) -> str:
    """Write a file."""
    ran.append(path)
    return f"wrote {path}"


@tool(timeout=5)
async def slow() -> str:
    """Take a while."""
    await trio.sleep(3)
    return "slept"


DELETE = Say("", (("delete", {"path": "a.txt"}),))


def make(*calls: tuple[str, dict[str, Any]], tools: Any = (delete, write, slow), **options: Any) -> CallBatch:
    made = tuple(ToolCall(f"c{place}", *call) for place, call in enumerate(calls))
    runtime = Runtime("test")
    return CallBatch(made, {one.name: one for one in tools}, runtime=runtime, path="/a", run=1, turn=1, **options)


async def asked(system: System | Agent, count: int = 1) -> tuple[ApprovalRequest, ...]:
    """Wait until so many calls are parked."""
    for _ in range(100):
        if len(system.approvals()) >= count:
            return system.approvals()
        await trio.testing.wait_all_tasks_blocked()
    raise AssertionError("nothing is parked")


def told(subscription: Any, *kinds: Any) -> list[Any]:
    events = []
    while (event := subscription.next_nowait()) is not None:
        if isinstance(event, kinds):
            events.append(event)
    return events
