"""Agents as actors, against a real endpoint on every engine."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tinyagent_actors import (
    ActorStoppedError,
    AgentEndEvent,
    AgentRef,
    AgentSpec,
    AssistantMessage,
    Backoff,
    Limits,
    Model,
    RepeatedCallError,
    SpecError,
    StreamOptions,
    SupervisorRef,
    System,
    ToolResultMessage,
    TurnLimitError,
    ValueShapeError,
    open_system,
    supervisor,
    tool,
)
from tinyagent_actors.testing import CallSpec, Cut, Delivery, Endpoint, Reply, Stall, ToolLoopPolicy, open_endpoint


@tool
async def word_count(text: str) -> int:
    """Count words."""
    return len(text.split())


@tool
async def hang() -> None:
    """Wait for ever."""
    await trio.sleep_forever()


CALL = Reply(tool_calls=[CallSpec(name="word_count", arguments={"text": "to be or not"})])
HANG = Reply(tool_calls=[CallSpec(name="hang", arguments={}), CallSpec(name="word_count", arguments={"text": "a"})])
BUSY = Reply.rate_limited(None, headers={"retry-after-ms": "50"})
SLOW = Reply(text="x" * 500, delivery=Delivery(delay_between=0.02))


async def start(system: System, endpoint: Endpoint, engine: str, **options: Any) -> AgentRef:
    model = Model("scripted", provider="custom", base_url=endpoint.url)
    spec = AgentSpec(
        "agent",
        model=model,
        tools=[word_count, hang],
        options=StreamOptions(engine=engine),
        **options,  # type: ignore[arg-type]
    )
    ref: AgentRef = await system.start_child(spec)
    return ref


async def test_a_run_with_a_tool(engine: str) -> None:
    """Prompt, call, result, answer; the second request holds the call with its one result."""
    async with open_endpoint([CALL, Reply(text="Four.")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        answer = await agent.ask("How many words?")
        messages = endpoint.requests[1].json["messages"]

    assert (answer.text, answer.stop_reason) == ("Four.", "stop")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[2]["content"] == "4"
    assert messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]


async def test_an_agent_remembers(engine: str) -> None:
    """The next ask goes on from the same transcript."""
    async with open_endpoint([Reply(text="One."), Reply(text="Two.")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        await agent.ask("first")
        await agent.ask("second")

        assert len(endpoint.requests[1].json["messages"]) == 3


async def test_what_the_provider_did_is_data_for_who_asked(engine: str) -> None:
    """An ask gets the message with its error, and the agent lives."""
    replies = [Reply(text="cut off here", fault=Cut(after_chunks=2)), BUSY, Reply(text="ok")]
    async with open_endpoint(replies) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine, retries=0)
        answers = [await agent.ask("?") for _ in replies]

    kinds = [answer.error and answer.error.kind for answer in answers]
    assert kinds == ["truncated", "rate_limited", None]


async def test_a_told_run_that_fails_ends_the_agent_and_supervision_restarts_it(engine: str) -> None:
    """A run started by a tell has nobody to hand its error to: the agent exits with it."""
    async with open_endpoint([Reply(text="cut", fault=Cut(after_chunks=2)), Reply(text="ok")]) as endpoint:
        async with open_system() as system:
            agent = await start(system, endpoint, engine, on_restart="fresh")
            await agent.tell("go")
            exited = await agent.wait_stopped()
            assert exited.error is not None
            assert "truncated" in str(exited.error)
            assert (await agent.ask("again")).text == "ok"
            assert len(endpoint.requests[1].json["messages"]) == 1


async def test_an_interrupt_ends_the_run_and_not_the_agent(engine: str) -> None:
    """The asker gets the partial answer; stream and tools are gone; the agent answers the next ask."""
    async with open_endpoint([SLOW, Reply(text="next")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        assert await agent.interrupt() is False
        answers: list[AssistantMessage] = []

        async def ask() -> None:
            answers.append(await agent.ask("go"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            async with system.subscribe("agent") as events:
                async for event in events:
                    if event.type == "message_update":
                        break
            assert await agent.interrupt("enough") is True
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)

        assert answers[0].stop_reason == "aborted"
        assert answers[0].text.startswith("x")
        assert (await agent.ask("next?")).text == "next"


async def test_an_interrupt_in_the_middle_of_tools_leaves_one_result_each(engine: str) -> None:
    """Those that had finished keep their results, the others are cancelled; the next request is valid."""
    async with open_endpoint([HANG, Reply(text="next")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "go")
            async with system.subscribe("agent") as events:
                async for event in events:
                    if event.type == "tool_execution_end":
                        break
            await agent.interrupt()
        await agent.ask("next")
        results = [message for message in endpoint.requests[1].json["messages"] if message["role"] == "tool"]

    assert ["cancelled" in message["content"] for message in results] == [True, False]


async def test_leaving_a_stream_ends_the_run(engine: str) -> None:
    """Mission 4: leaving the block closes the socket, and nothing goes on."""
    async with open_endpoint([SLOW, Reply(text="next")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        async with agent.stream("go") as events:
            async for event in events:
                if event.type == "message_update":
                    break
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)

        assert endpoint.statistics().requests == 1
        assert (await agent.ask("next?")).text == "next"


async def test_a_stream_has_the_events_of_its_run(engine: str) -> None:
    """From agent_start to agent_end, with the pieces of text, and the result."""
    async with open_endpoint([CALL, Reply(text="Four.")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        async with agent.stream("go") as events:
            told = [event async for event in events]
            answer = await events.result()

    assert answer.text == "Four."
    assert told[0].type == "agent_start"
    last = told[-1]
    assert isinstance(last, AgentEndEvent)
    assert [message.role for message in last.messages] == ["user", "assistant", "tool_result", "assistant"]
    assert {"turn_start", "message_update", "tool_execution_start", "turn_end"} <= {event.type for event in told}


async def test_a_cancelled_ask_cancels_the_run(engine: str) -> None:
    """Mission 3: no further request, the socket closed."""
    async with open_endpoint([Reply(text="x", fault=Stall(after_chunks=2)), Reply(text="next")]) as endpoint:
        async with open_system() as system:
            agent = await start(system, endpoint, engine)
            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(agent.ask, "go")
                    await endpoint.wait_for(lambda now: now.open_streams == 1)
                    nursery.cancel_scope.cancel()
                await endpoint.wait_for(lambda now: now.disconnects == 1)
            assert (await agent.ask("next?")).text == "next"


async def test_stopping_the_tree_ends_a_stalled_stream(engine: str) -> None:
    """A hanging model does not hold the stop; the asker is told."""
    async with (
        open_endpoint([Reply(text="x", fault=Stall(after_chunks=2))]) as endpoint,
        trio.open_nursery() as nursery,
    ):
        async with open_system() as system:
            agent = await start(system, endpoint, engine)
            answers: list[AssistantMessage] = []

            async def ask() -> None:
                try:
                    answers.append(await agent.ask("go"))
                except ActorStoppedError:
                    pass

            nursery.start_soon(ask)
            async with system.subscribe("agent") as events:
                async for event in events:
                    if event.type == "message_update":
                        break

        assert system.leftovers().total == 0


async def test_the_turn_limit(engine: str) -> None:
    """Mission 8: fifty (here three) model requests, no further one, a typed error; the agent lives."""
    policy = ToolLoopPolicy(calls=[CallSpec(name="word_count", arguments={"text": str(n)}) for n in range(100)])
    async with open_endpoint(policy) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine, limits=Limits(turns=3))
        with pytest.raises(TurnLimitError):
            await agent.ask("go")

        assert endpoint.statistics().requests == 3


async def test_repeated_calls_end_the_run(engine: str) -> None:
    """Mission 8: the third identical call carries a warning, the fifth does not run."""
    async with open_endpoint([CALL] * 10) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        async with system.subscribe("agent") as events:
            with pytest.raises(RepeatedCallError):
                await agent.ask("go")
            texts = []
            while (event := events.next_nowait()) is not None:
                if event.type == "message_end" and isinstance(event.message, ToolResultMessage):
                    texts.append("".join(getattr(block, "text", "") for block in event.message.content))

    assert ["Warning" in text for text in texts] == [False, False, True, True, False]
    assert "not run" in texts[4]


async def test_nonsense_gets_error_results(engine: str) -> None:
    """Unknown tools and bad arguments: the model reads what is wrong, and the run goes on."""
    nonsense = Reply(tool_calls=[CallSpec(name="nope", arguments={}), CallSpec(name="word_count", arguments="{broken")])
    cut = Reply(tool_calls=[CallSpec(name="word_count", arguments={"text": "a"})], finish="length")
    async with open_endpoint([nonsense, cut, Reply(text="ok")]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        answer = await agent.ask("go")
        sent = [message["content"] for message in endpoint.requests[2].json["messages"] if message["role"] == "tool"]

    assert answer.text == "ok"
    assert "no tool 'nope'" in sent[0]
    assert "not JSON" in sent[1]
    assert "did not end properly" in sent[2]


async def test_a_prompt_that_is_none_is_refused(engine: str) -> None:
    """A typed error that names the field; nothing is sent."""
    async with open_endpoint([]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine)
        with pytest.raises(ValueShapeError):
            await agent.ask({"role": "user"})

        assert endpoint.statistics().requests == 0


async def test_a_team_answers_side_by_side(engine: str) -> None:
    """Fifty agents, each with a tool call, under one supervisor; nothing is left."""
    policy = ToolLoopPolicy(calls=[CallSpec(name="word_count", arguments={"text": "a b"})], answer="done")
    async with open_endpoint(policy) as endpoint:
        async with open_system() as system:
            model = Model("scripted", provider="custom", base_url=endpoint.url)
            specs = [
                AgentSpec(f"a{n}", model=model, tools=[word_count], options=StreamOptions(engine=engine))  # type: ignore[arg-type]
                for n in range(50)
            ]
            team: SupervisorRef = await system.start_child(supervisor("team", children=specs))
            answers: list[str] = []

            async def ask(name: str) -> None:
                answers.append((await team.child(name, AgentRef).ask("go")).text)

            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    for spec in specs:
                        nursery.start_soon(ask, spec.name)

        assert answers == ["done"] * 50
        assert system.leftovers().total == 0


def test_a_spec_of_an_agent_has_what_any_childs_has() -> None:
    """How it is restarted, how long that waits, and what its end means go into the spec of its actor."""
    backoff = Backoff(min_seconds=2)
    model = Model("scripted", provider="custom", base_url="http://127.0.0.1:9")
    spec = AgentSpec("a", model=model, restart="transient", significant=True, backoff=backoff).to_child_spec()

    assert (spec.restart, spec.significant, spec.backoff) == ("transient", True, backoff)
    with pytest.raises(SpecError, match="significant"):
        AgentSpec("a", model=model, significant=True).to_child_spec()
