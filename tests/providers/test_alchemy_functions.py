"""`_alchemy.collect_openai_completions` and `openai_completions_stream`: dicts in, dicts out, blocking."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import trio

from tinyagent_actors import EngineUnavailableError, ProviderError, ValueShapeError, _alchemy
from tinyagent_actors._alchemy import OpenAICompletionsStream, collect_openai_completions, openai_completions_stream
from tinyagent_actors.events import structure_message
from tinyagent_actors.messages import AssistantMessage
from tinyagent_actors.testing import CallSpec, Reply, Stall, open_endpoint

built = pytest.mark.skipif(not _alchemy.ALCHEMY_AVAILABLE, reason="the engine alchemy is not built")
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}
LOCAL: dict[str, Any] = {"id": "m", "base_url": "http://127.0.0.1:9/v1"}


async def collect(url: str, model: dict[str, Any], context: dict[str, Any], options: Any = None) -> dict[str, Any]:
    """Collect in a thread, since it blocks."""
    made = {"base_url": f"{url}/chat/completions", **model}
    with trio.fail_after(60):
        return await trio.to_thread.run_sync(collect_openai_completions, made, context, options)


@built
async def test_an_answer_in_the_shapes_of_the_seed() -> None:
    """Events with `partial` and `content_index`, deltas, contents, the call, and the final message as a dict."""
    reply = Reply(thinking="hm", text="hello", tool_calls=[CallSpec("look", {"x": 1})])
    async with open_endpoint([reply]) as endpoint:
        answer = await collect(endpoint.url, {"id": "m", "provider": "chutes"}, HELLO)

    events, message = answer["events"], answer["final_message"]
    blocks = ["thinking_start", "thinking_delta", "thinking_end", "text_start", "text_delta", "text_end"]
    calls = ["tool_call_start", "tool_call_delta", "tool_call_end"]
    assert [event["type"] for event in events] == ["start", *blocks, *calls, "done"]
    by_type = {event["type"]: event for event in events}
    assert (by_type["text_delta"]["delta"], by_type["text_end"]["content"]) == ("hello", "hello")
    assert by_type["text_end"]["content_index"] == 1
    assert by_type["text_end"]["partial"]["content"][1] == {"type": "text", "text": "hello"}
    call = {"type": "tool_call", "id": "call_0", "name": "look", "arguments": {"x": 1}}
    assert by_type["tool_call_end"]["tool_call"] == call
    assert (by_type["done"]["reason"], by_type["done"]["message"]) == ("tool_calls", message)
    assert message["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hello"}, call]
    assert (message["role"], message["stop_reason"], message["api"]) == (
        "assistant",
        "tool_calls",
        "openai-completions",
    )
    assert (message["provider"], message["model"], message["error_message"]) == ("chutes", "m", None)
    ours = structure_message(message)
    assert isinstance(ours, AssistantMessage)
    assert (ours.text, ours.stop_reason) == ("hello", "tool_use")


@built
async def test_a_conversation_goes_over_the_wire() -> None:
    """Every kind of message, block and option is sent as it was given; a message of another role is not."""
    context = {
        "system_prompt": "Be brief.",
        "messages": [
            {"role": "user", "content": "look", "timestamp": 1},
            {
                "role": "assistant",
                "content": [None, {"type": "text", "text": "let me"}, {"type": "tool_call", "id": "a", "name": "look", "arguments": {"x": 1}}],
                "usage": {}, "stop_reason": "tool_calls",
            },
            {"role": "tool_result", "tool_call_id": "a", "tool_name": "look", "content": [{"type": "text", "text": "seen"}]},
            {"role": "note", "content": "not for the model"},
            {"role": "user", "content": [{"type": "text", "text": "this"}, {"type": "image", "data": "aGk=", "mime_type": "image/gif"}]},
        ],
        "tools": [{"name": "look", "description": "Look.", "parameters": {"type": "object"}}],
    }  # fmt: skip
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        model = {"id": "m", "headers": {"X-Custom": "value"}, "api": "openrouter"}
        options = {"api_key": "sk-1", "temperature": 0.5, "max_tokens": 9}
        await collect(endpoint.url, model, context, options)
        (request,) = endpoint.requests

    sent = request.json
    assert (request.header("authorization"), request.header("x-custom")) == ("Bearer sk-1", "value")
    assert (sent["model"], sent["temperature"], sent["max_tokens"], sent["stream"]) == ("m", 0.5, 9, True)
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert json.loads(sent["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"x": 1}
    assert (sent["messages"][3]["tool_call_id"], sent["messages"][3]["content"]) == ("a", "seen")
    assert sent["messages"][4]["content"][1]["image_url"]["url"] == "data:image/gif;base64,aGk="
    assert sent["tools"][0]["function"]["name"] == "look"
    assert "store" not in sent


@built
@pytest.mark.parametrize(
    ("model", "api"),
    [
        ({"provider": "minimax"}, "minimax-completions"),
        ({"provider": "minimax-cn", "api": " "}, "minimax-completions"),
        ({"provider": "chutes", "api": "minimax"}, "minimax-completions"),
        ({"provider": "zai"}, "zai-completions"),
        ({"provider": "openrouter", "api": "openai"}, "openai-completions"),
        ({}, "openai-completions"),
    ],
)
async def test_the_api_is_inferred(model: dict[str, Any], api: str) -> None:
    """By the provider where it is blank; the old names are known."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        answer = await collect(endpoint.url, {"id": "m", **model}, HELLO)

    assert (answer["final_message"]["api"], answer["final_message"]["stop_reason"]) == (api, "complete")


@built
async def test_usage_has_the_one_form() -> None:
    """`input` is what was not cached, on this path as on every other."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    finish = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "length"}], "usage": usage}
    async with open_endpoint([Reply.events(finish, "[DONE]")]) as endpoint:
        message = (await collect(endpoint.url, {"id": "m"}, HELLO))["final_message"]

    told = {name: value for name, value in message["usage"].items() if name != "cost"}
    assert told == {"input": 6, "output": 5, "cache_read": 4, "cache_write": 0, "total_tokens": 15}
    assert set(message["usage"]["cost"]) == {"input", "output", "cache_read", "cache_write", "total"}
    assert message["stop_reason"] == "length"


@built
async def test_an_error_is_the_last_event() -> None:
    """A status is not raised; `error` holds the message."""
    async with open_endpoint([Reply(status=500, body=b"it broke")]) as endpoint:
        answer = await collect(endpoint.url, {"id": "m"}, HELLO)

    (event,) = answer["events"]
    assert (event["type"], event["reason"], event["error"]) == ("error", "error", answer["final_message"])
    assert "it broke" in answer["final_message"]["error_message"]


@built
async def test_event_by_event_and_the_result_alone() -> None:
    """`next_event` gives None after the last; `result` reads what nobody has read."""
    async with open_endpoint([Reply(text="a"), Reply(text="b")]) as endpoint:
        model = {"id": "m", "base_url": endpoint.url}

        def read() -> tuple[list[str], Any, Any]:
            stream = openai_completions_stream(model, HELLO)
            types = []
            while (event := stream.next_event()) is not None:
                types.append(event["type"])
            assert stream.next_event() is None
            return types, stream.result(), openai_completions_stream(model, HELLO).result()

        with trio.fail_after(60):
            types, first, second = await trio.to_thread.run_sync(read)

    assert types == ["start", "text_start", "text_delta", "text_end", "done"]
    assert [message["content"][0]["text"] for message in (first, second)] == ["a", "b"]


@built
async def test_closing_and_forgetting_close_the_socket() -> None:
    """The server sees both leave; a result that can never come is an error."""

    def policy(_: object) -> Reply:
        return Reply(text="never", fault=Stall(after_bytes=0))

    async with open_endpoint(policy) as endpoint:
        streams = [openai_completions_stream({"id": "m", "base_url": endpoint.url}, HELLO) for _ in range(2)]
        with trio.fail_after(30):
            await endpoint.wait_for(lambda now: now.open_streams == 2)
            closed = streams.pop()
            closed.close()
            streams.clear()
            await endpoint.wait_for(lambda now: now.disconnects == 2)

        assert closed.next_event() is None
        with pytest.raises(ProviderError, match="closed before"):
            closed.result()


@built
@pytest.mark.parametrize(
    ("model", "context", "options", "field"),
    [
        ({"base_url": "http://localhost"}, HELLO, None, "model.id"),
        ({"id": "m"}, HELLO, None, "model.base_url"),
        ({**LOCAL, "api": "smoke-signals"}, HELLO, None, "model.api"),
        ({**LOCAL, "headers": {"x": 3}}, HELLO, None, "model.headers.x"),
        (LOCAL, {"messages": [{"content": "s3cret"}]}, None, "context.messages[0].role"),
        (LOCAL, {"messages": [{"role": "user", "content": 3}]}, None, "context.messages[0].content"),
        (LOCAL, {"messages": "s3cret"}, None, "context.messages"),
        (LOCAL, HELLO, {"api_key": 3}, "options.api_key"),
        (LOCAL, HELLO, {"temperature": "s3cret"}, "options.temperature"),
        (LOCAL, {"messages": [object()]}, None, "request"),
    ],
)
def test_what_has_another_shape_is_refused(model: Any, context: Any, options: Any, field: str) -> None:
    """By the path of the member, without its value, and before anything is sent."""
    with pytest.raises(ValueShapeError) as caught:
        openai_completions_stream(model, context, options)

    assert caught.value.field == field
    assert "s3cret" not in str(caught.value)


@built
def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on this machine there must be one, in the options or in the environment."""
    with pytest.raises(ProviderError, match="no key for") as caught:
        openai_completions_stream({"id": "m", "base_url": "https://example.invalid/v1"}, HELLO)

    assert caught.value.kind == "auth"
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-1")
    openai_completions_stream({"id": "m", "base_url": "https://example.invalid/v1"}, HELLO).close()


def test_without_the_engine_the_names_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A02: calling them raises `EngineUnavailableError`."""
    monkeypatch.setattr(_alchemy, "ALCHEMY_AVAILABLE", False)

    for function in (collect_openai_completions, openai_completions_stream):
        with pytest.raises(EngineUnavailableError):
            function(LOCAL, HELLO)
    assert OpenAICompletionsStream.__name__ in _alchemy.__all__


@pytest.mark.process
def test_without_any_compiled_engine() -> None:
    """The same, in a process that pretends that nothing is built."""
    program = (
        "from tinyagent_actors._alchemy import collect_openai_completions\n"
        "from tinyagent_actors import EngineUnavailableError, _alchemy\n"
        "try:\n"
        "    collect_openai_completions({}, {})\n"
        "except EngineUnavailableError as error:\n"
        "    print(error.engine, _alchemy.ALCHEMY_AVAILABLE, _alchemy.AVAILABLE)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={"TINYAGENT_NATIVE": "0"}, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("alchemy False False\n", "")
