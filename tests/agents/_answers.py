"""A model without a provider, for tests under the virtual clock: each answer is a function of the context, with the time it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from tinyagent_actors import AssistantMessage, ChildSpec, Context, Model, TextContent, ToolCall, Usage
from tinyagent_actors.agents import AgentRef, ModelStream, RunConfig, run_agent_actor
from tinyagent_actors.events import StreamEvent
from tinyagent_actors.tools import Tool

Answer = Callable[[Context], Awaitable[AssistantMessage]]
MODEL = Model("scripted", provider="custom", base_url="http://127.0.0.1:9")


@attrs.define(eq=False)
class _Stream:
    answer: Answer
    context: Context
    model: Model | None = None
    message: AssistantMessage | None = None

    async def next_events(self) -> list[StreamEvent]:
        """Take the time of the answer."""
        if self.message is None:
            self.message = await self.answer(self.context)
        return []

    async def result(self) -> AssistantMessage:
        """Give it."""
        assert self.message is not None
        return self.message


@attrs.define(eq=False)
class AnswersCall:
    """A `ModelCall` that gives answers."""

    answer: Answer
    contexts: list[Context] = attrs.field(factory=list)
    """What was asked."""

    @asynccontextmanager
    async def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AsyncIterator[ModelStream]:
        """Give the next answer."""
        self.contexts.append(context)
        yield _Stream(self.answer, context)


def says(text: str = "ok", seconds: float = 0.0, input: int = 10, output: int = 5) -> Answer:  # noqa: A002  # the field
    """Answer with a text."""

    async def answer(_context: Context) -> AssistantMessage:
        await trio.sleep(seconds)
        return AssistantMessage((TextContent(text),), usage=Usage(input, output))

    return answer


def calls(*names: str, usage: Usage | None = None) -> AssistantMessage:
    """Give an answer that calls tools, by name or by name and arguments."""
    made = tuple(ToolCall(f"c{place}", name, {}) for place, name in enumerate(names))
    return AssistantMessage(made, "tool_use", usage=usage or Usage(10, 5))


def agent(
    name: str,
    call: AnswersCall | Answer,
    *args: Any,
    tools: tuple[Tool, ...] = (),
    compaction: Any = None,
    **options: Any,
) -> ChildSpec[Any, Any, AgentRef]:
    """Give the spec of an agent that asks it."""
    config = RunConfig(
        MODEL,
        call if isinstance(call, AnswersCall) else AnswersCall(call),
        tools={tool.name: tool for tool in tools},
        definitions=tuple(tool.definition for tool in tools),
        compaction=compaction,
    )
    return ChildSpec(name, run_agent_actor, args=(config, *args), ref_type=AgentRef, **options)
