"""The seed's Agent, without a system."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

from tinyagent_actors import (
    Agent,
    AgentBusyError,
    AgentOptions,
    AgentTool,
    AgentToolResult,
    HookError,
    Model,
    ProviderError,
    SpecError,
    ThinkingBudgets,
    ToolResultMessage,
    UserMessage,
    stream_openrouter,
)
from tinyagent_actors.testing import CallSpec, Delivery, Endpoint, Reply, open_endpoint

SLOW = Reply(text="x" * 500, delivery=Delivery(delay_between=0.02))


async def add(tool_call_id: str, args: dict[str, Any], signal: Any, on_update: Any) -> AgentToolResult:
    on_update("adding")
    assert not signal.is_set()
    return AgentToolResult(content=[{"type": "text", "text": str(args["a"] + args["b"])}])


SUM = AgentTool(
    name="sum",
    description="Add",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
    execute=add,
)


def make(endpoint: Endpoint, **options: Any) -> Agent:
    agent = Agent(AgentOptions(**options))
    agent.set_model(Model("scripted", provider="custom", base_url=endpoint.url))
    agent.set_system_prompt("Be brief.")
    return agent


@pytest.mark.parametrize("stream_fn", [None, stream_openrouter])
async def test_prompt_text_with_a_tool(stream_fn: Any) -> None:
    """A tool of the seed's shape runs, its result reaches the model, listeners hear it all, raising ones too."""
    calls = Reply(tool_calls=[CallSpec(name="sum", arguments={"a": 2, "b": 3})])
    async with open_endpoint([calls, Reply(text="5")]) as endpoint:
        agent = make(endpoint, stream_fn=stream_fn)
        agent.set_tools([SUM])
        heard: list[str] = []

        def listen(event: Any) -> None:
            heard.append(event.type)

        unsubscribe = agent.subscribe(listen)
        assert await agent.prompt_text("2 + 3?") == "5"
        unsubscribe()
        messages = endpoint.requests[1].json["messages"]

    assert heard[0] == "agent_start"
    assert heard[-1] == "agent_end"
    assert "tool_execution_update" in heard
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[3]["content"] == "5"


async def test_a_raising_listener_reaches_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Mission 7: it is logged and stays; the run does not fail."""
    async with open_endpoint([Reply(text="one")]) as endpoint:
        agent = make(endpoint)

        def raises(_event: Any) -> None:
            raise ValueError("listener")

        agent.subscribe(raises)
        with caplog.at_level(logging.ERROR, "tinyagent_actors"):
            assert await agent.prompt_text("?") == "one"

    assert "a listener raised" in caplog.text


async def test_a_listener_that_never_comes_back_holds_no_run(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Mission 7: the run goes on without it; at its end it has a second to read what is left, and is told off."""

    class Response:
        async def __aiter__(self) -> Any:
            for _ in range(5000):
                yield {"type": "text_delta", "content_index": 0, "delta": "x"}

        async def result(self) -> dict[str, Any]:
            return {"role": "assistant", "content": "done", "stop_reason": "complete"}

    async def stream_fn(_model: Any, _context: Any, _options: Any) -> Response:
        return Response()

    async def never(_event: Any) -> None:
        await trio.sleep_forever()

    heard: list[str] = []
    agent = Agent(AgentOptions(stream_fn=stream_fn))
    agent.set_model(Model("mine"))
    agent.subscribe(never)
    agent.subscribe(lambda event: heard.append(event.type))
    began = trio.current_time()
    assert await agent.prompt_text("?") == "done"

    assert trio.current_time() - began == pytest.approx(1.0)
    assert heard[-1] == "agent_end"
    assert "listeners were still busy" in caplog.text


async def test_abort_ends_the_run_and_keeps_what_came() -> None:
    """Mission 3: after `abort` the socket is closed and no further request is made."""
    async with open_endpoint([SLOW, Reply(text="next")]) as endpoint:
        agent = make(endpoint)

        def stop(event: Any) -> None:
            if event.type == "message_update":
                agent.abort()

        unsubscribe = agent.subscribe(stop)
        answer = await agent.prompt("go")
        unsubscribe()
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)

        assert answer.stop_reason == "aborted"
        assert answer.text
        assert await agent.prompt_text("next?") == "next"


async def test_leaving_a_stream_ends_the_run() -> None:
    """Mission 4: nothing of it is left."""
    async with open_endpoint([SLOW]) as endpoint:
        agent = make(endpoint)
        async with agent.stream_text("go") as texts:
            async for _ in texts:
                break
        await agent.wait_for_idle()
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)


async def test_a_provider_error_is_data_of_prompt_and_raised_by_prompt_text() -> None:
    """The message carries it; a caller of `prompt_text` wants text or an exception."""
    refusal = Reply.error(404, "no such model")
    async with open_endpoint([refusal, refusal]) as endpoint:
        agent = make(endpoint)
        answer = await agent.prompt("?")
        assert answer.error is not None
        assert agent.state.error == answer.error.message
        with pytest.raises(ProviderError):
            await agent.prompt_text("?")


async def test_steering_and_follow_ups_enter_where_they_should() -> None:
    """Steering at the next request, follow-ups when the agent would stop."""
    calls = Reply(tool_calls=[CallSpec(name="sum", arguments={"a": 2, "b": 3})])
    async with open_endpoint([calls, Reply(text="5"), Reply(text="bye")]) as endpoint:
        agent = make(endpoint)
        agent.set_tools([SUM])

        def steer(event: Any) -> None:
            if event.type == "tool_execution_start":
                agent.steer("in German")
                agent.follow_up("and now?")

        agent.subscribe(steer)
        assert await agent.prompt_text("2 + 3?") == "bye"
        second = [message["role"] for message in endpoint.requests[1].json["messages"]]

    assert second == ["system", "user", "assistant", "tool", "user"]


async def test_one_run_at_a_time_and_the_rest_of_the_face() -> None:
    """A second prompt is refused; transcript and queues can be set, continued and cleared."""
    async with open_endpoint([SLOW, Reply(text="on")]) as endpoint:
        agent = make(endpoint, session_id="s")
        async with agent.stream("go") as events:
            async for event in events:
                if event.type == "message_update":
                    break
            with pytest.raises(AgentBusyError):
                await agent.prompt("me too")
        agent.reset()
        with pytest.raises(SpecError):
            await agent.continue_()
        agent.replace_messages([{"role": "user", "content": "hello"}])
        agent.append_message(UserMessage("there"))
        answer = await agent.continue_()

        assert answer.text == "on"
        assert [message.role for message in agent.state.messages] == ["user", "user", "assistant"]
        assert agent.session_id == "s"


async def test_a_stream_function_of_ones_own() -> None:
    """Anything that is awaited, iterated and has a `result()` answers: dicts of the seed's shape are read."""

    class Response:
        async def __aiter__(self) -> Any:
            yield {"type": "start"}
            yield {"type": "text_start", "content_index": 0}
            yield {"type": "text_delta", "content_index": 0, "delta": "hi"}
            yield {"type": "text_end", "content_index": 0, "content": "hi"}
            yield {"type": "done", "reason": "stop"}

        async def result(self) -> dict[str, Any]:
            return {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "stop_reason": "complete"}

    async def stream_fn(_model: Any, _context: Any, _options: Any) -> Response:
        return Response()

    agent = Agent(AgentOptions(stream_fn=stream_fn))
    agent.set_model(Model("mine"))

    assert await agent.prompt_text("?") == "hi"


async def test_a_stream_function_that_breaks_off_leaves_what_came() -> None:
    """T24, mission 5: it left out its starts and raised: the partial answer is kept, marked `aborted`; the error is raised."""

    class Response:
        async def __aiter__(self) -> Any:
            yield {"type": "text_delta", "content_index": 0, "delta": "half"}
            yield {
                "type": "tool_call_end",
                "content_index": 1,
                "tool_call": {"id": "c", "name": "sum", "arguments": {}},
            }
            raise ConnectionError("gone")

        async def result(self) -> dict[str, Any]:
            raise AssertionError

    async def stream_fn(_model: Any, _context: Any, _options: Any) -> Response:
        return Response()

    agent = Agent(AgentOptions(stream_fn=stream_fn))
    agent.set_model(Model("mine"))
    with pytest.raises(ConnectionError):
        await agent.prompt("?")
    _, answer, result = agent.state.messages

    assert (answer.text, answer.stop_reason) == ("half", "aborted")  # type: ignore[union-attr]  # it is the assistant's
    assert isinstance(result, ToolResultMessage)
    assert (result.tool_call_id, result.is_error) == ("c", True)


async def test_the_dict_shapes_are_taken_wherever_content_is() -> None:
    """State, model, messages, content, budgets: as dicts; several blocks of content are one message."""
    async with open_endpoint([Reply(text="a"), Reply(text="b"), Reply(text="c")]) as endpoint:
        state = {
            "system_prompt": "Be brief.",
            "model": {"id": "scripted", "provider": "custom", "base_url": endpoint.url},
            "thinking_level": "low",
            "tools": [SUM],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "before"}]}],
        }
        agent = Agent(AgentOptions(initial_state=state, thinking_budgets={"max_tokens": 77}))  # type: ignore[arg-type]  # converted
        await agent.prompt({"type": "text", "text": "one"})
        await agent.prompt([{"type": "text", "text": "two"}, {"type": "text", "text": "three"}])
        await agent.prompt([{"role": "user", "content": "four"}, "five"])
        body = endpoint.requests[2].json

    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    assert said == ["before", "one", "twothree", "four", "five"]
    assert (body["max_tokens"], body["tools"][0]["function"]["name"]) == (77, "sum")
    assert agent.thinking_budgets == ThinkingBudgets(max_tokens=77)
    assert agent.state.thinking_level == "low"
    with pytest.raises(SpecError, match="initial_state"):
        AgentOptions(initial_state={"prompt": "?"})  # type: ignore[arg-type]  # refused


async def test_a_key_that_cannot_be_had_ends_the_run_typed() -> None:
    """T16: with a stream function of one's own, `get_api_key` is a hook like others; nothing is asked."""

    async def stream_fn(_model: Any, _context: Any, _options: Any) -> Any:
        raise AssertionError

    def key(_provider: str) -> str:
        raise KeyError("vault")

    agent = Agent(AgentOptions(stream_fn=stream_fn, get_api_key=key))
    agent.set_model(Model("mine"))

    with pytest.raises(HookError, match="get_api_key"):
        await agent.prompt("?")


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "pause_turn"])
async def test_a_call_in_a_message_of_a_stream_function_that_was_cut_does_not_run(reason: str) -> None:
    """Mission 2: whatever somebody's stream function makes of it: its message did not end properly, so no call of it runs."""
    calls = [{"type": "tool_call", "id": "c", "name": "sum", "arguments": {"a": 1, "b": 2}}]
    says: list[dict[str, Any]] = [
        {"content": calls, "stop_reason": reason},
        {"content": "ok", "stop_reason": "complete"},
    ]

    class Response:
        async def __aiter__(self) -> Any:
            yield {"type": "start"}

        async def result(self) -> dict[str, Any]:
            return {"role": "assistant", **says.pop(0)}

    async def stream_fn(_model: Any, _context: Any, _options: Any) -> Response:
        return Response()

    agent = Agent(AgentOptions(stream_fn=stream_fn))
    agent.set_model(Model("mine"))
    agent.set_tools([SUM])
    heard: list[str] = []
    agent.subscribe(lambda event: heard.append(event.type))
    await agent.prompt("go")
    result = agent.state.messages[2]

    assert isinstance(result, ToolResultMessage)
    assert result.is_error
    assert "did not end properly" in result.text
    assert "tool_execution_update" not in heard


async def test_subscriptions_begin_and_end_in_the_middle_of_a_run() -> None:
    """One that comes hears the rest; one that goes hears nothing more, not even what lies unread."""
    slow = Reply(text="x" * 40, delivery=Delivery(delay_between=0.02))
    async with open_endpoint([slow]) as endpoint:
        agent = make(endpoint)
        early: list[str] = []
        late: list[str] = []

        def change(event: Any) -> None:
            early.append(event.type)
            if event.type == "message_update":
                unsubscribe()
                agent.subscribe(lambda event: late.append(event.type))

        unsubscribe = agent.subscribe(change)
        await agent.prompt("go")

    assert early.count("message_update") == 1
    assert "agent_start" not in late
    assert late[-1] == "agent_end"


async def test_images_stand_beside_what_is_said() -> None:
    """Of every way to prompt; beside a message of another role they are refused."""
    image = {"type": "image", "data": "aGk=", "mime_type": "image/png"}
    async with open_endpoint([Reply(text="a"), Reply(text="b")]) as endpoint:
        agent = make(endpoint)
        await agent.prompt("look", [image])
        async with agent.stream_text("again", images=[image]) as texts:
            assert "".join([text async for text in texts]) == "b"
        contents = [
            message["content"] for message in endpoint.requests[1].json["messages"] if message["role"] == "user"
        ]

    assert [[part["type"] for part in content] for content in contents] == [["text", "image_url"]] * 2
