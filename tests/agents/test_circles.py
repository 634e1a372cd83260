"""What a run leaves behind in memory: nothing that only the garbage collector could find."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tinyagent_actors import AgentRef, AgentSpec, Model, StreamOptions, open_stream, open_system, tool
from tinyagent_actors.messages import Context, UserMessage
from tinyagent_actors.providers import Engine
from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Reply, open_endpoint


def calls_first(request: ChatRequest) -> Reply:
    """Let an agent call its tool and then answer; whoever has no tool is answered without end."""
    if not request.tools:
        return Reply(text="word " * 1000, delivery=Delivery(delay_between=0.05))
    return Reply(text="done") if request.results else Reply(tool_calls=[CallSpec(name="work", arguments={})])


@contextmanager
def circles() -> Iterator[set[str]]:
    """Collect what is in circles after the block: the classes of this package, by name."""
    found: set[str] = set()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found |= {type(left).__name__ for left in gc.garbage if type(left).__module__.startswith("tinyagent_actors")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_run_that_ends_leaves_no_circle(engine: Engine) -> None:
    """T36: an agent that was asked, used its tool and was stopped is freed as its last reference goes, with its streams."""

    @tool
    async def work() -> str:
        return "worked"

    async def ask_once(name: str) -> None:
        model, options = Model("scripted", provider="custom", base_url=endpoint.url), StreamOptions(engine=engine)
        spec = AgentSpec(name, model=model, tools=[work], options=options, restart="temporary")
        agent: AgentRef = await system.start_child(spec)
        assert (await agent.ask("go")).text == "done"
        await agent.stop()

    with trio.fail_after(60):
        async with open_endpoint(calls_first) as endpoint, open_system() as system:
            await ask_once("first")
            with circles() as found:
                await ask_once("second")

    assert found == set()


async def test_a_cancelled_run_leaves_no_circle(engine: Engine) -> None:
    """T36: an agent that is stopped while its tool reads a stream is freed as its last reference goes, with both streams."""
    options = StreamOptions(engine=engine)
    begun = trio.Event()

    @tool
    async def work() -> None:
        async with open_stream(
            Model("scripted", provider="custom", base_url=endpoint.url), Context("", (UserMessage("go"),)), options
        ) as stream:
            await stream.next_events()
            begun.set()
            await trio.sleep_forever()

    async def stop_one(name: str) -> None:
        nonlocal begun
        begun = trio.Event()
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        spec = AgentSpec(name, model=model, tools=[work], options=options, restart="temporary")
        agent: AgentRef = await system.start_child(spec)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "go")
            await begun.wait()
            await agent.stop()

    with trio.fail_after(60):
        async with open_endpoint(calls_first) as endpoint, open_system() as system:
            await stop_one("first")
            with circles() as found:
                await stop_one("second")

    assert found == set()
