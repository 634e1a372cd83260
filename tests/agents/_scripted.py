"""A model in the program itself, for tests under a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from tinyagent_actors import AgentRef, ChildSpec, Limits, Model
from tinyagent_actors.agents import RunConfig, run_agent_actor
from tinyagent_actors.events import StreamEvent, StreamStart, TextDelta, TextStart
from tinyagent_actors.messages import AssistantMessage, Context, TextContent, ToolCall
from tinyagent_actors.tools import Tool

MODEL = Model("scripted", provider="custom", base_url="http://127.0.0.1:9")


@attrs.frozen
class Say:
    """One answer: its text at once, the rest after some seconds."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    seconds: float = 0.0


@attrs.define
class ScriptedCall:
    """A `ModelCall` that gives what stands in the script, in order, and keeps what it was asked."""

    script: list[Say]
    asked: list[Context] = attrs.field(factory=list)

    @asynccontextmanager
    async def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AsyncIterator[_ScriptedStream]:
        self.asked.append(context)
        yield _ScriptedStream(self.script[len(self.asked) - 1], len(self.asked))


@attrs.define
class _ScriptedStream:
    say: Say
    number: int
    model: Model | None = None
    step: int = 0

    async def next_events(self) -> list[StreamEvent]:
        await trio.lowlevel.checkpoint()
        self.step += 1
        if self.step == 1:
            return [StreamStart(), TextStart(0), TextDelta(0, self.say.text)]
        await trio.sleep(self.say.seconds)
        return []

    async def result(self) -> AssistantMessage:
        calls = [ToolCall(f"c{self.number}.{place}", *call) for place, call in enumerate(self.say.calls)]
        reason = "tool_use" if calls else "stop"
        return AssistantMessage((TextContent(self.say.text), *calls), stop_reason=reason, model="scripted")


def config_of(call: ScriptedCall, *tools: Tool, **limits: Any) -> RunConfig:
    return RunConfig(
        MODEL,
        call,
        tools={tool.name: tool for tool in tools},
        definitions=tuple(tool.definition for tool in tools),
        limits=Limits(**limits),
    )


def agent_spec(name: str, script: list[Say], *tools: Tool, **limits: Any) -> ChildSpec[object, object, AgentRef]:
    return ChildSpec(
        name, run_agent_actor, args=(config_of(ScriptedCall(script), *tools, **limits),), ref_type=AgentRef
    )
