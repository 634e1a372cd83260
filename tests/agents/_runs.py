"""Runs outside of any agent, under a virtual clock, and the tools that their models call."""

from __future__ import annotations

from typing import Any

import trio

from tests.agents._scripted import Say, ScriptedCall, config_of
from tinyagent_actors import ToolResultMessage, tool
from tinyagent_actors.actors import Runtime
from tinyagent_actors.agents import Run


@tool(timeout=30)
async def hang() -> None:
    """Wait for ever."""
    await trio.sleep_forever()


@tool
async def quick() -> str:
    """Be done."""
    return "done"


HANG = Say("Let me see.", (("hang", {}),))


def make(call: ScriptedCall, *tools: Any, above: Any = (), **limits: Any) -> tuple[Run, Any]:
    runtime = Runtime("test")
    return Run(1, runtime, "/a", config_of(call, *tools, **limits), [], above=above), runtime.bus.open_subscription(
        "**"
    )


def told(subscription: Any, kind: Any) -> list[Any]:
    events = []
    while (event := subscription.next_nowait()) is not None:
        if isinstance(event, kind):
            events.append(event)
    return events


def results(run: Run) -> list[str]:
    return [message.text for message in run.transcript if isinstance(message, ToolResultMessage)]
