"""Hooks around model, tools and turns, against a real endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tinyagent_actors import (
    Agent,
    AgentOptions,
    AgentRef,
    AgentSpec,
    AgentToolResult,
    CustomMessage,
    HookError,
    Model,
    Returned,
    SpecError,
    StreamOptions,
    TextContent,
    ThinkingBudgets,
    ToolLoopControl,
    TurnLimitError,
    UserMessage,
    open_system,
    tool,
)
from tinyagent_actors.testing import CallSpec, Endpoint, Reply, open_endpoint

ran: list[int] = []


@tool
async def double(number: int) -> int:
    """Double a number."""
    ran.append(number)
    return 2 * number


@tool
async def fail() -> int:
    """Fail."""
    raise ValueError("broken")


@pytest.fixture(autouse=True)
def forget() -> None:
    """Let no test see what the tools of another did."""
    ran.clear()


def calls(*numbers: object) -> Reply:
    return Reply(tool_calls=[CallSpec(name="double", arguments={"number": number}) for number in numbers])


def make(endpoint: Endpoint, **options: Any) -> Agent:
    agent = Agent(AgentOptions(**options))
    agent.set_model(Model("scripted", provider="custom", base_url=endpoint.url))
    agent.set_tools([double, fail])
    return agent


def results_sent(endpoint: Endpoint, number: int = 1) -> list[str]:
    return [message["content"] for message in endpoint.requests[number].json["messages"] if message["role"] == "tool"]


def give(value: object) -> Callable[..., object]:
    return lambda *_: value


def raising(*_: object) -> None:
    raise RuntimeError("the hook is broken")


async def test_before_tool_call_changes_the_arguments() -> None:
    """It gives others, or changes those it was given; the model's own call stays in the transcript as it was."""

    async def other(_call: object, _tool: object, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"number": arguments["number"] + 1}

    def in_place(_call: object, _tool: object, arguments: dict[str, Any]) -> None:
        arguments["number"] += 10

    for hook, expected in ((other, "4"), (in_place, "22")):
        async with open_endpoint([calls(1), Reply(text="ok")]) as endpoint:
            agent = make(endpoint, before_tool_call=hook)
            await agent.prompt("go")

            assert results_sent(endpoint) == [expected]
            assert '"number":1' in endpoint.requests[1].json["messages"][1]["tool_calls"][0]["function"]["arguments"]


async def test_what_before_tool_call_gives_must_fit_the_schema() -> None:
    """A hook cannot hand a tool what the schema refuses; the tool does not run."""
    async with open_endpoint([calls(1), Reply(text="ok")]) as endpoint:
        await make(endpoint, before_tool_call=give({"number": "one"})).prompt("go")

        assert "invalid arguments for double" in results_sent(endpoint)[0]
        assert ran == []


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (ToolLoopControl(), "Error: refused: the tool did not run"),
        (ToolLoopControl(result="not today", is_error=True), "Error: not today"),  # type: ignore[arg-type]  # converted
        (ToolLoopControl(result="cached: 2"), "cached: 2"),  # type: ignore[arg-type]  # converted
    ],
)
async def test_before_tool_call_refuses(control: ToolLoopControl, said: str) -> None:
    """The tool does not run; the model reads why, or what the hook has in its place."""
    async with open_endpoint([calls(1), Reply(text="ok")]) as endpoint:
        await make(endpoint, before_tool_call=give(control), after_tool_call=raising).prompt("go")

        assert results_sent(endpoint) == [said]
        assert ran == []


async def test_a_hook_ends_the_run_after_the_turn() -> None:
    """`terminate` of either hook: siblings have their results, and the model is not asked again."""

    def only_first(call: Any, *_: object) -> ToolLoopControl | None:
        return ToolLoopControl(terminate=True) if call.arguments == {"number": 1} else None

    for hook in ("before_tool_call", "after_tool_call"):
        ran.clear()
        async with open_endpoint([calls(1, 2), Reply(text="never")]) as endpoint:
            agent = make(endpoint, **{hook: only_first})
            await agent.prompt("go")

            assert endpoint.statistics().requests == 1
            assert [message.role for message in agent.state.messages] == [
                "user",
                "assistant",
                "tool_result",
                "tool_result",
            ]
            assert 2 in ran


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_a_hook_around_a_tool_that_raises_is_an_error_of_that_call(hook: str) -> None:
    """T16, mission 9: its siblings run to their ends, every call has exactly one result, and the run goes on."""

    def picky(call: Any, *_: object) -> None:
        if call.arguments == {"number": 1}:
            raise RuntimeError("the hook is broken")

    async with open_endpoint([calls(1, 2, 3), Reply(text="ok")]) as endpoint:
        agent = make(endpoint, **{hook: picky})
        assert await agent.prompt_text("go") == "ok"

        assert results_sent(endpoint) == ["Error: RuntimeError: the hook is broken", "4", "6"]
        assert (1 in ran) == (hook == "after_tool_call")


async def test_a_listener_that_raises_leaves_the_calls_alone() -> None:
    """T16: each has its result, whatever listeners do."""
    async with open_endpoint([calls(1, 2), Reply(text="ok")]) as endpoint:
        agent = make(endpoint)
        agent.subscribe(raising)
        assert await agent.prompt_text("go") == "ok"

        assert results_sent(endpoint) == ["2", "4"]


async def test_after_tool_call_gives_another_result() -> None:
    """It hears of tools that raised as well; what it gives is what the model reads."""
    seen: list[tuple[str, bool]] = []

    async def review(call: Any, result: AgentToolResult) -> AgentToolResult | ToolLoopControl:
        seen.append((call.name, result.is_error))
        if result.is_error:
            return ToolLoopControl(result="never mind")  # type: ignore[arg-type]  # converted
        return AgentToolResult([TextContent("reviewed")])

    both = Reply(tool_calls=[CallSpec(name="double", arguments={"number": 1}), CallSpec(name="fail", arguments={})])
    async with open_endpoint([both, Reply(text="ok")]) as endpoint:
        await make(endpoint, after_tool_call=review).prompt("go")

        assert sorted(seen) == [("double", False), ("fail", True)]
        assert results_sent(endpoint) == ["reviewed", "never mind"]


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_what_a_hook_gives_wrongly_is_an_error_of_that_call(hook: str) -> None:
    """The result names the hook and what it gave."""
    async with open_endpoint([calls(1), Reply(text="ok")]) as endpoint:
        await make(endpoint, **{hook: give(7)}).prompt("go")

        assert f"{hook} must give None" in results_sent(endpoint)[0]


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call", "transform_context", "should_stop_after_turn"])
async def test_a_hook_that_hangs_is_cancelled_with_the_run(hook: str) -> None:
    """T16: it is waited for no longer than what it stands around, and the transcript stays valid."""
    hanging = trio.Event()

    async def hang(*_: object) -> None:
        hanging.set()
        await trio.sleep_forever()

    async with open_endpoint([calls(1), Reply(text="next")]) as endpoint, open_system() as system:
        spec = AgentSpec(
            "agent", model=Model("m", provider="custom", base_url=endpoint.url), tools=[double], **{hook: hang}
        )  # type: ignore[arg-type]
        agent: AgentRef = await system.start_child(spec)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "go")
            await hanging.wait()
            with trio.fail_after(5):
                assert await agent.interrupt("enough")

        assert system.leftovers().total == 0


async def test_transform_context_and_convert_to_llm() -> None:
    """The model sees what they give, one after the other; the transcript stays as it is. One that takes two gets a signal."""
    signals: list[Any] = []

    def newest(messages: list[Any], signal: Any) -> list[Any]:
        signals.append(signal)
        assert not signal.is_set()
        return messages[-1:]

    async def convert(messages: list[Any]) -> list[Any]:
        return [{"role": "user", "content": "Note: " + message.data["text"]} for message in messages]

    async with open_endpoint([Reply(text="ok")]) as endpoint:
        agent = make(endpoint, transform_context=newest, convert_to_llm=convert)
        agent.append_message(UserMessage("old"))
        await agent.prompt(CustomMessage("note", {"text": "new"}))

        assert [message["content"] for message in endpoint.requests[0].json["messages"]] == ["Note: new"]
        assert [message.role for message in agent.state.messages] == ["user", "note", "assistant"]
        assert signals[0].is_set()


@pytest.mark.parametrize("hook", ["transform_context", "convert_to_llm", "should_stop_after_turn"])
async def test_a_hook_around_model_or_turn_that_raises_ends_the_run_typed(hook: str) -> None:
    """T16: the error names the hook, every call has its result, the agent lives and can go on."""
    async with open_endpoint([calls(1, 2), Reply(text="next")]) as endpoint:
        broken = {hook: raising}
        agent = make(endpoint, **broken)
        with pytest.raises(HookError, match=hook) as caught:
            await agent.prompt("go")

        assert isinstance(caught.value.__cause__, RuntimeError)
        made = [message for message in agent.state.messages if message.role == "assistant"]
        results = [message for message in agent.state.messages if message.role == "tool_result"]
        assert len(made) == 1
        assert len(results) == len(made[0].tool_calls)  # type: ignore[union-attr]  # it is the assistant's
        assert agent.state.error is not None


async def test_a_hook_that_gives_no_messages_ends_the_run_typed() -> None:
    """T16: nothing is sent."""
    async with open_endpoint([]) as endpoint:
        with pytest.raises(HookError):
            await make(endpoint, transform_context=give(None)).prompt("go")

        assert endpoint.statistics().requests == 0


async def test_a_hook_may_end_the_run_with_an_error_of_ours() -> None:
    """It is not wrapped."""

    def limited(*_: object) -> None:
        raise TurnLimitError(1)

    async with open_endpoint([Reply(text="ok")]) as endpoint:
        with pytest.raises(TurnLimitError):
            await make(endpoint, should_stop_after_turn=limited).prompt("go")


async def test_a_told_run_that_a_hook_ends_gives_steering_back() -> None:
    """T16: the agent ends with the error, supervision decides, and what was pending is given back."""
    receipts: list[Any] = []
    async with open_endpoint([calls(1)]) as endpoint, open_system() as system:
        model = Model("m", provider="custom", base_url=endpoint.url)

        def broken(*_: object) -> None:
            receipts.append(agent.follow_up("later"))
            raise RuntimeError

        spec = AgentSpec("agent", model=model, tools=[double], should_stop_after_turn=broken)
        agent: AgentRef = await system.start_child(spec)
        await agent.tell("go")
        with trio.fail_after(5):
            exited = await agent.wait_stopped()
            outcome = await receipts[0].wait()

        assert isinstance(exited.error, HookError)
        assert outcome == Returned("ended")


async def test_should_stop_after_turn() -> None:
    """It hears of the whole turn, and ends the run after it: no further request, though results wait to be read."""
    heard: list[Any] = []

    async def stop(*turn: Any) -> bool:
        heard.append(turn)
        return True

    async with open_endpoint([calls(1), Reply(text="never")]) as endpoint:
        agent = make(endpoint, should_stop_after_turn=stop)
        answer = await agent.prompt("go")

        ((message, results, context, new_messages),) = heard
        assert message is answer
        assert [result.text for result in results] == ["2"]
        assert [definition.name for definition in context.tools] == ["double", "fail"]
        assert list(new_messages) == list(agent.state.messages)
        assert endpoint.statistics().requests == 1


async def test_keys_and_budgets_of_a_spec() -> None:
    """`get_api_key` is asked before each request, with the provider's name; budgets go into the request."""
    asked: list[str] = []

    async def key(provider: str) -> str:
        asked.append(provider)
        return f"key-{len(asked)}"

    async with open_endpoint([Reply(text="a"), Reply(text="b")]) as endpoint, open_system() as system:
        model = Model("claude-sonnet-4-0", "custom", "anthropic-messages", endpoint.url, thinking_level="low")
        budgets = ThinkingBudgets(thinking_budget=3000, max_tokens=9000)
        agent: AgentRef = await system.start_child(
            AgentSpec("agent", model=model, get_api_key=key, thinking_budgets=budgets)
        )
        await agent.ask("one")
        await agent.ask("two")
        first, second = endpoint.requests

    assert asked == ["custom", "custom"]
    assert "key-2" in str(second.headers)
    assert first.json["max_tokens"] == 9000
    assert first.json["thinking"] == {"type": "enabled", "budget_tokens": 3000}


async def test_a_key_that_cannot_be_had(engine: str) -> None:
    """T16: the run ends typed and nothing is sent; who asked hears of it, and the agent lives."""
    asked = 0

    async def key(_provider: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise OSError("the vault is closed")
        return "k"

    async with open_endpoint([Reply(text="ok")]) as endpoint, open_system() as system:
        model = Model("m", provider="custom", base_url=endpoint.url)
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model, get_api_key=key, options=options))
        with pytest.raises(HookError, match="get_api_key"):
            await agent.ask("?")
        assert endpoint.statistics().requests == 0
        assert (await agent.ask("again")).text == "ok"
        assert agent.address.incarnation == 1


@pytest.mark.parametrize("make_options", [AgentOptions, lambda **hooks: AgentSpec("a", model=Model("m"), **hooks)])
def test_what_is_no_hook_is_refused(make_options: Callable[..., Awaitable[object]]) -> None:
    """Where it is written, with its name."""
    for name in ("before_tool_call", "after_tool_call", "transform_context", "convert_to_llm", "get_api_key"):
        with pytest.raises(SpecError, match=name):
            make_options(**{name: "no function"})
    with pytest.raises(SpecError, match="thinking_budgets"):
        make_options(thinking_budgets={"thinking_budget": 0})
