"""Another agent as a tool, and hand-off: what ends the outer run ends the inner one, and never the agent."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests._kernel import told
from tests.agents._answers import AnswersCall, agent, says
from tinyagent_actors import (
    AgentEndEvent,
    AgentRef,
    AgentSpec,
    AssistantMessage,
    Budget,
    BudgetExceededError,
    Context,
    Limits,
    Model,
    ProviderError,
    StreamOptions,
    System,
    ToolDefinitionError,
    ToolResultMessage,
    UserMessage,
    agent_tool,
    hand_off_tool,
    open_system,
)
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.testing import CallSpec, Reply, Stall, open_endpoint
from tinyagent_actors.tools import Tool


def asks(name: str, **arguments: Any) -> AssistantMessage:
    """Give an answer that calls one tool."""
    return AssistantMessage((ToolCall("c", name, arguments),), "tool_use")


def once(name: str, **arguments: Any) -> Any:
    """Answer with a call, and then with its result."""

    async def answer(context: Context) -> AssistantMessage:
        last = context.messages[-1]
        return (
            await says(f"told: {last.text}")(context)
            if isinstance(last, ToolResultMessage)
            else asks(name, **arguments)
        )

    return answer


async def test_an_outer_timeout_ends_the_inner_turn(engine: str) -> None:
    """T21: the inner agent's socket is closed at the timeout of the outer call; it lives, and serves the next ask."""
    stalled = Reply(text="x" * 100, fault=Stall(after_chunks=3))

    def policy(request: Any) -> Reply:
        if "outer" in request.system_text:
            if request.results:
                return Reply(text="sorry")
            return Reply(tool_calls=[CallSpec(name="ask_inner", arguments={"prompt": "go"})])
        return stalled if "go" in request.user_text else Reply(text="here")

    async with open_endpoint(policy) as endpoint, open_system() as system, system.subscribe("**") as events:
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        await system.start_child(AgentSpec("inner", model=model, options=options, system_prompt="inner"))
        tools = [agent_tool("/inner", timeout=1.0)]
        outer: AgentRef = await system.start_child(
            AgentSpec("outer", model=model, options=options, system_prompt="outer", tools=tools)
        )
        with trio.fail_after(30):
            answer = await outer.ask("hello")
            await endpoint.wait_for(lambda now: now.disconnects == 1)
        inner = system.child("inner", AgentRef)
        assert answer.text == "sorry"
        assert (await inner.ask("still there?")).text == "here"
        ended = [event for event in told(events, AgentEndEvent) if event.path == "/inner"]

    assert len(ended) == 2
    assert endpoint.statistics().open_streams == 0


async def start(system: System, name: str, answer: Any, *tools: Tool, **options: Any) -> AgentRef:
    ref: AgentRef = await system.start_child(agent(name, answer, tools=tools, **options))
    return ref


async def test_an_interrupt_goes_down_the_line(autojump_clock: object) -> None:
    """T21: whoever interrupts the outermost run ends those that it asks for, three deep; all agents live."""
    async with open_system() as system, system.subscribe("**") as events:
        await start(system, "c", says("deep", seconds=50))
        await start(system, "b", once("ask_c", prompt="go"), agent_tool("/c"))
        ref = await start(system, "a", once("ask_b", prompt="go"), agent_tool("/b"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, "go")
            await trio.sleep(5)
            await ref.interrupt()
        await trio.sleep(1)
        ended = {event.path for event in told(events, AgentEndEvent)}

        assert ended == {"/a", "/b", "/c"}
        assert trio.current_time() < 50
        assert (await ref.ask("again")).text == "told: told: deep"


async def test_a_budget_bounds_the_inner_run(autojump_clock: object) -> None:
    """T21: a tool's own budget ends the inner run, which the model reads; the outer run's budget counts both."""
    async with open_system() as system:
        inner = AnswersCall(says())
        await start(system, "inner", inner)
        ref = await start(system, "outer", once("ask_inner", prompt="go"), agent_tool("/inner", budget=Budget(turns=0)))
        answer = await ref.ask("go")
        assert "budget of turns is spent" in answer.text
        assert inner.contexts == []

        other = await start(system, "other", once("ask_inner", prompt="go"), agent_tool("/inner"))
        with pytest.raises(BudgetExceededError, match="/other"):
            await other.ask("go", budget=Budget(turns=2))
        assert len(inner.contexts) == 1


async def test_agents_that_ask_in_a_circle_are_refused(autojump_clock: object) -> None:
    """T21: the ask that would close the circle is an error that the model reads, at once."""
    async with open_system() as system:
        await start(system, "b", once("ask_a", prompt="and you?"), agent_tool("/a"))
        ref = await start(system, "a", once("ask_b", prompt="you?"), agent_tool("/b"))
        with trio.fail_after(1):
            answer = await ref.ask("go")

        assert "/b -> /a" in answer.text or "waits" in answer.text


async def test_agents_ask_one_another_five_deep(autojump_clock: object) -> None:
    """T21: the sixth run in a line is refused, and the model in the fifth reads why; the limit is each agent's own."""
    async with open_system() as system:
        asked = []
        for number in range(7, 0, -1):
            call = AnswersCall(once(f"ask_a{number + 1}", prompt="deeper"))
            asked.append(call)
            ref = await start(system, f"a{number}", call, agent_tool(f"/a{number + 1}"))
        answer = await ref.ask("go")

        assert "5 deep already" in answer.text
        assert [len(call.contexts) for call in asked[::-1]] == [2] * 5 + [0] * 2
    with pytest.raises(Exception, match="depth"):
        Limits(depth=0)


async def test_what_goes_wrong_inside_is_read_by_the_model(autojump_clock: object) -> None:
    """An inner provider error, an agent that is gone and one that is none are error results; the outer run goes on."""

    async def fails(_context: Context) -> AssistantMessage:
        return AssistantMessage(stop_reason="error", error=ProviderError("overloaded", "too much"))

    async with open_system() as system:
        await start(system, "inner", fails)
        ref = await start(system, "a", once("ask_inner", prompt="go"), agent_tool("/inner"))
        gone = await start(system, "b", once("ask_nobody", prompt="go"), agent_tool("/nobody"))

        assert "too much" in (await ref.ask("go")).text
        assert "nobody" in (await gone.ask("go")).text
    with pytest.raises(ToolDefinitionError):
        agent_tool("")


async def test_a_conversation_is_handed_over(autojump_clock: object) -> None:
    """H10: the other gets what was said, without tools, and why; its answer is the run's; the giver remembers it."""
    expert = AnswersCall(says("It is the fuse."))

    async def clerk(context: Context) -> AssistantMessage:
        if context.messages[-1].text == "hello":
            return await says("What is wrong?")(context)
        return asks("hand_off_to_expert", reason="electric")

    async with open_system() as system, system.subscribe("clerk") as events:
        await start(system, "expert", expert)
        call = AnswersCall(clerk)
        ref = await start(system, "clerk", call, hand_off_tool("/expert"))
        await ref.ask("hello")
        answer = await ref.ask("no light")
        ended = told(events, AgentEndEvent)

        assert answer.text == "It is the fuse."
        assert len(ended) == 2
        given = [(message.role, message.text) for message in expert.contexts[0].messages]
        assert given[:3] == [("user", "hello"), ("assistant", "What is wrong?"), ("user", "no light")]
        assert "electric" in given[3][1]
        assert len(call.contexts) == 2
        with trio.fail_after(1):
            await ref.ask("again")
        remembered = [m.text for m in call.contexts[2].messages if isinstance(m, ToolResultMessage)]
        assert "It is the fuse." in remembered[0]


async def test_two_agents_do_not_hand_over_to_each_other(autojump_clock: object) -> None:
    """H10: a circle is refused, and the model answers itself."""
    async with open_system() as system:
        await start(system, "b", once("hand_off_to_a", reason="yours"), hand_off_tool("/a"))
        ref = await start(system, "a", once("hand_off_to_b", reason="yours"), hand_off_tool("/b"))
        with trio.fail_after(1):
            answer = await ref.ask("go")

        assert answer.text.startswith("told: ")


async def test_a_hand_off_that_fails_is_none(autojump_clock: object) -> None:
    """H10: the other does not answer: the model reads that, and the last word is its own."""

    async def fails(_context: Context) -> AssistantMessage:
        return AssistantMessage(stop_reason="error", error=ProviderError("overloaded", "too much"))

    async with open_system() as system:
        await start(system, "b", fails)
        ref = await start(system, "a", once("hand_off_to_b", reason="yours"), hand_off_tool("/b"))

        assert (await ref.ask("go")).text == "told: ProviderError: overloaded: too much"
        assert [m.text for m in ref.address.body.transcript if isinstance(m, UserMessage)] == ["go"]
