"""What a run leaves behind in memory: nothing that only the garbage collector could find."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from tinyagent_actors import AgentRef, AgentSpec, Model, StreamOptions, open_stream, open_system, tool
from tinyagent_actors.actors import current_cell
from tinyagent_actors.messages import Context, UserMessage
from tinyagent_actors.providers import Engine
from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Reply, open_endpoint
from tinyagent_actors.tools import ToolContext


def calls_first(request: ChatRequest) -> Reply:
    """Let an agent call its tool and then answer; whoever has no tool is answered without end."""
    if not request.tools:
        return Reply(text="word " * 1000, delivery=Delivery(delay_between=0.05))
    return Reply(text="done") if request.results else Reply(tool_calls=[CallSpec(name="work", arguments={})])


@attrs.define
class Watched:
    """Objects whose end is watched for."""

    refs: list[weakref.ref[Any]] = attrs.field(factory=list)

    def add(self, *objects: object) -> None:
        self.refs += map(weakref.ref, objects)

    def add_agent_here(self, ctx: ToolContext) -> None:
        """Watch the agent whose tool calls this, its run, what that may spend, and the call."""
        cell = current_cell()
        assert cell is not None
        agent = cell.address.body
        self.add(agent, agent.run, agent.account, agent.run.clocks, ctx)

    @property
    def alive(self) -> set[str]:
        return {type(left).__name__ for left in (ref() for ref in self.refs) if left is not None}


@contextmanager
def without_collector() -> Iterator[None]:
    """Have nothing collected in the block."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_run_that_ends_leaves_no_circle(engine: Engine) -> None:
    """T36: an agent that was asked, used its tool and was stopped is freed as its last reference goes."""
    watched = Watched()

    @tool
    async def work(ctx: ToolContext) -> str:
        watched.add_agent_here(ctx)
        return "worked"

    with trio.fail_after(60), without_collector():
        async with open_endpoint(calls_first) as endpoint, open_system() as system:
            model, options = Model("scripted", provider="custom", base_url=endpoint.url), StreamOptions(engine=engine)
            spec = AgentSpec("agent", model=model, tools=[work], options=options, restart="temporary")
            agent: AgentRef = await system.start_child(spec)
            assert (await agent.ask("go")).text == "done"
            await agent.stop()

        assert len(watched.refs) == 5
        assert watched.alive == set()


async def test_a_cancelled_run_leaves_no_circle(engine: Engine) -> None:
    """T36: an agent that is stopped while its tool reads a stream is freed as its last reference goes, with the stream."""
    watched = Watched()
    begun = trio.Event()

    @tool
    async def work(ctx: ToolContext) -> None:
        options = StreamOptions(engine=engine)
        async with open_stream(model, Context("", (UserMessage("go"),)), options) as stream:
            await stream.next_events()
            watched.add_agent_here(ctx)
            watched.add(stream, stream._source)
            begun.set()
            while await stream.next_events():
                pass

    with trio.fail_after(60), without_collector():
        async with open_endpoint(calls_first) as endpoint, open_system() as system:
            model = Model("scripted", provider="custom", base_url=endpoint.url)
            options = StreamOptions(engine=engine)
            spec = AgentSpec("agent", model=model, tools=[work], options=options, restart="temporary")
            agent: AgentRef = await system.start_child(spec)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(agent.ask, "go")
                await begun.wait()
                await agent.stop()

        assert len(watched.refs) == 7
        assert watched.alive == set()
