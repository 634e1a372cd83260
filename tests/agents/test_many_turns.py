"""Many turns at once: what they take, what is left of them, and what they hold in memory."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from tests._forks import Forks
from tests.agents._turns_client import KEPT
from tinyagent_actors import (
    AgentEndEvent,
    AgentRef,
    AgentSpec,
    Gap,
    Model,
    StreamOptions,
    Timeouts,
    block,
    conflate,
    open_system,
    supervisor,
    tool,
)
from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Reply, Stall, assert_quiescent, open_endpoint

PAIRS = 150


def two_levels(request: ChatRequest) -> Reply:
    """Let an agent that has a tool call it, and one that has none answer; slowly, so that they are in flight together."""
    if request.tools and not request.results:
        return Reply(tool_calls=[CallSpec(name="ask_below", arguments={})])
    return Reply(text="done", delivery=Delivery(delay_between=0.02))


@pytest.mark.process
async def test_three_hundred_turns_that_wait_for_each_other(forks: Forks, engine: str) -> None:
    """T36, mission 11: 150 agents ask 150 others in their tools: no pool is in the way, few threads, and all comes back.

    Tasks, threads and descriptors are at their baselines afterwards, and the connections were used again.
    """
    async with open_endpoint(two_levels) as endpoint:
        with trio.fail_after(300):
            printed = await forks.run("tests.agents._turns_client", engine, endpoint.url, str(PAIRS))
        accepted = endpoint.statistics().accepted

    told, around = map(json.loads, printed.splitlines())
    assert (told["texts"], told["distinct"], told["left"], told["tasks"]) == (2 * PAIRS, ["done"], 0, 0)
    assert told["most"]["task"] <= 10
    assert told["most"]["fd"] <= PAIRS + 50
    assert around["after"]["fd"] <= around["before"]["fd"] + KEPT["fd"]
    assert around["after"]["task"] <= around["before"]["task"] + KEPT["task"]
    assert accepted <= 2 * PAIRS * 1.1


@pytest.mark.parametrize("policy", [block(1, stall=600), conflate(1), conflate(4)])
async def test_the_last_event_reaches_whoever_has_no_room(policy: object) -> None:
    """T28: a subscriber that has read nothing, and a turn that is cancelled in the middle of its tools, or waiting for room."""

    @tool
    async def hang() -> None:
        """Wait for ever."""
        await trio.sleep_forever()

    async with (
        open_endpoint([Reply(tool_calls=[CallSpec(name="hang", arguments={})])]) as endpoint,
        open_system() as system,
    ):
        model = Model("m", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model, tools=[hang]))
        async with system.subscribe("agent", policy=policy) as events:  # type: ignore[arg-type]  # one of them
            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(agent.ask, "go")
                    await endpoint.wait_for(lambda now: now.served == 1)
                    await trio.testing.wait_all_tasks_blocked(0.05)  # in the tool, or for want of room
                    await agent.interrupt("enough")
            told = []
            while (event := events.next_nowait()) is not None:
                told.append(event)

    last = told[-1]
    assert isinstance(last, AgentEndEvent)
    assert last.messages[0].role == "user"
    assert last.messages[1].role == "assistant"
    assert policy != conflate(1) or isinstance(told[0], Gap)


async def test_a_subscriber_that_stops_holds_the_provider_and_not_the_memory(engine: str) -> None:
    """T29: the deltas wait at the source: what lies between server and subscriber is bounded; read on, all of it comes."""
    piece = "x" * 10_000
    reply = Reply(text=piece * 4000, chunk_size=len(piece))
    async with open_endpoint([reply]) as endpoint, open_system() as system:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
        model = Model("m", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model, options=options))
        async with agent.stream("go", policy=block(8, stall=120)) as events:
            async for event in events:
                if event.type == "message_update":
                    break
            with trio.fail_after(60):
                await trio.testing.wait_all_tasks_blocked(0.1)  # the server too: nobody takes what it writes
            subscription = events._subscription
            assert endpoint.statistics().served == 0
            assert subscription.peak <= 8 + 64  # its room, and what one read of a stream gives
            with trio.fail_after(120):
                async for _ in events:
                    pass
                answer = await events.result()

    assert answer.text == reply.text
    assert subscription.peak <= 8 + 64


async def test_many_turns_are_cancelled_at_once(engine: str) -> None:
    """T36, T37: 300 turns, half of them in an answer and half in a tool, stopped in one go: all sockets and tools are gone.

    The server sees each leave, every agent has told its end, nothing is left, and the next request works.
    """
    running, gone, ended = 0, 0, 0
    all_run = trio.Event()

    @tool
    async def hang() -> None:
        """Wait for ever."""
        nonlocal running, gone
        running += 1
        if running == PAIRS:
            all_run.set()
        try:
            await trio.sleep_forever()
        finally:
            gone += 1

    def policy(request: ChatRequest) -> Reply:
        if request.tools:
            return Reply(tool_calls=[CallSpec(name="hang", arguments={})])
        return Reply(text="x" * 100, fault=Stall(after_chunks=3))

    async with open_endpoint(policy) as endpoint:
        options = StreamOptions(engine=engine, timeouts=Timeouts(connect=None))  # type: ignore[arg-type]  # one of them
        model = Model("m", provider="custom", base_url=endpoint.url)
        specs = [
            AgentSpec(f"a{number}", model=model, tools=[hang] if number % 2 else [], options=options)
            for number in range(2 * PAIRS)
        ]
        async with open_system() as system:
            team = await system.start_child(supervisor("team", children=specs))
            for spec in specs:
                await team.child(spec.name).tell("go")
            with trio.fail_after(120):
                await endpoint.wait_for(lambda now: now.open_streams == PAIRS)
                await all_run.wait()
                async with system.subscribe("team/**", policy=conflate(20 * PAIRS)) as events:
                    await team.stop()
                    while (event := events.next_nowait()) is not None:
                        ended += event.type == "agent_end"
                await endpoint.wait_for(lambda now: now.disconnects == PAIRS)
            endpoint.use([Reply(text="ok")])
            agent: AgentRef = await system.start_child(AgentSpec("next", model=model, options=options))
            assert (await agent.ask("?")).text == "ok"
        assert_quiescent(system)

    assert (ended, gone, system.leftovers().total) == (2 * PAIRS, PAIRS, 0)
