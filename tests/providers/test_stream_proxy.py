"""Asking through a proxy server: what it is sent, what its events become, and how its streams may end."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.providers._proxy_server import TOKEN, ProxyServer, Send, open_proxy, relay_to, says
from tinyagent_actors import (
    Agent,
    AgentOptions,
    Context,
    Model,
    SpecError,
    ToolDefinition,
    UserMessage,
    create_proxy_stream,
    stream_proxy,
    tool,
)
from tinyagent_actors.messages import AssistantMessage, ThinkingContent
from tinyagent_actors.providers import ProxyStreamOptions, SeedStream
from tinyagent_actors.testing import CallSpec, Reply, open_endpoint

MODEL = Model("m1", provider="anthropic", api="anthropic-messages", thinking_level="low")
CONTEXT = Context("Be brief.", [UserMessage("hello", timestamp=1)], [ToolDefinition("look", "Look.")])
DONE = {"type": "done", "reason": "stop", "usage": {"input": 7, "output": 2, "cacheRead": 3, "cacheWrite": 1}}


def text(delta: str) -> dict[str, Any]:
    """Give a piece of text."""
    return {"type": "text_delta", "contentIndex": 0, "delta": delta}


async def ask(server: ProxyServer, **options: Any) -> SeedStream:
    """Ask the proxy."""
    return await create_proxy_stream(MODEL, CONTEXT, TOKEN, server.url, **options)


async def answer_to(*events: Any) -> AssistantMessage:
    """Give the message that a proxy's events become."""
    async with open_proxy(says(*events)) as server:
        with trio.fail_after(30):
            return await (await ask(server)).result()


async def test_what_is_sent() -> None:
    """The model without URL and key, the context as dicts, and only the options that are set."""
    async with open_proxy(says(DONE)) as server:
        options = ProxyStreamOptions(TOKEN, f"{server.url}/base/", temperature=0.5, max_tokens=9, reasoning="high")
        await (await stream_proxy(MODEL, CONTEXT, options)).result()
        await (await stream_proxy({"id": "m2"}, {"messages": []}, ProxyStreamOptions(TOKEN, server.url))).result()

    first, second = server.requests
    assert (first["path"], second["path"]) == ("/base/api/stream", "/api/stream")
    assert first["headers"]["authorization"] == f"Bearer {TOKEN}"
    assert first["body"] == {
        "model": {"provider": "anthropic", "id": "m1", "api": "anthropic-messages", "thinking_level": "low"},
        "context": {
            "system_prompt": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}], "timestamp": 1}],
            "tools": [{"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}],
        },
        "options": {"temperature": 0.5, "maxTokens": 9, "reasoning": "high"},
    }
    assert (second["body"]["model"]["api"], second["body"]["options"]) == ("openai-completions", {})


async def test_events_are_typed() -> None:
    """Each becomes an event of a stream function, and together they make the message."""
    events = [
        {"type": "start"},
        {"type": "thinking_start", "contentIndex": 0},
        {"type": "thinking_delta", "contentIndex": 0, "delta": "hm"},
        {"type": "thinking_end", "contentIndex": 0, "contentSignature": "sig"},
        {"type": "text_start", "contentIndex": 1},
        {"type": "text_delta", "contentIndex": 1, "delta": "wörd"},
        {"type": "text_end", "contentIndex": 1},
        {"type": "toolcall_start", "contentIndex": 2, "id": "c1", "toolName": "look"},
        {"type": "toolcall_delta", "contentIndex": 2, "delta": '{"x": '},
        {"type": "toolcall_delta", "contentIndex": 2, "delta": "1}"},
        {"type": "toolcall_end", "contentIndex": 2},
        {"type": "something_new", "contentIndex": 3},
        {**DONE, "reason": "toolUse"},
    ]
    async with open_proxy(says(*events)) as server:
        stream = await ask(server)
        types = [event.type async for event in stream]
        message = await stream.result()

    thinking = ["thinking_start", "thinking_delta", "thinking_end"]
    texts = ["text_start", "text_delta", "text_end"]
    calls = ["tool_call_start", "tool_call_delta", "tool_call_delta", "tool_call_end"]
    assert types == ["start", *thinking, *texts, *calls, "done"]
    assert isinstance(message.content[0], ThinkingContent)
    assert (message.content[0].thinking, message.text) == ("hm", "wörd")
    assert [(call.id, call.name, call.arguments) for call in message.tool_calls] == [("c1", "look", {"x": 1})]
    usage = message.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (7, 2, 3, 1)
    assert (message.stop_reason, message.provider, message.model) == ("tool_use", "anthropic", "m1")


@pytest.mark.parametrize("rest", [(), (b"data: [DONE]\n\n",), (b": bye\n\n",), (b'data: {"type": "do',)])
async def test_an_early_end_is_an_error(rest: tuple[bytes, ...]) -> None:
    """P22: without `done` and without `error` it is `truncated`, whatever came; calls of it never run."""
    call = {"type": "toolcall_start", "contentIndex": 1, "id": "c1", "toolName": "look"}
    message = await answer_to({"type": "start"}, text("so far"), call, *rest)

    assert message.error is not None
    assert (message.error.kind, message.error.retryable, message.text) == ("truncated", True, "so far")
    assert message.tool_calls == ()
    assert [call.name for call in message.invalid_tool_calls] == ["look"]


async def test_an_error_event_is_the_error() -> None:
    """What had come stays; the words decide the kind."""
    said = {
        "type": "error",
        "reason": "error",
        "errorMessage": "insufficient balance",
        "usage": {"input": 5, "output": 1},
    }
    message = await answer_to(text("so far"), said)

    assert message.error is not None
    assert (message.error.kind, message.error.message, message.text) == (
        "rate_limited",
        "insufficient balance",
        "so far",
    )
    assert message.usage is not None


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"data: {oops\n\n", "malformed_event"),
        (b'{"error": "no such model"}', "provider_error"),
        (b"<html>login</html>", "protocol_error"),
        (b'data: {"type": "error"}\n\n', "provider_error"),
    ],
)
async def test_what_is_no_stream_of_events(sent: bytes, kind: str) -> None:
    """Each is an error of its own kind, never an empty answer."""
    message = await answer_to(sent)

    assert message.error is not None
    assert message.error.kind == kind


async def test_halves_of_a_character_are_joined() -> None:
    """P47: a pair that the proxy's JSON splits over two events."""
    pieces = [
        f'data: {{"type": "text_delta", "contentIndex": 0, "delta": "{half}"}}\n\n'.encode()
        for half in ("a\\ud83d", "\\ude00b")
    ]

    assert (await answer_to(*pieces, DONE)).text == "a😀b"


async def test_a_refusal_of_the_token() -> None:
    """401 is `auth`, and the token stands nowhere in it."""
    async with open_proxy(says(DONE)) as server:
        stream = await create_proxy_stream(MODEL, CONTEXT, "another-token", server.url)
        message = await stream.result()

    assert message.error is not None
    assert (message.error.kind, message.error.status) == ("auth", 401)
    assert "another-token" not in repr((message, stream, ProxyStreamOptions("another-token", server.url)))


async def test_leaving_closes_the_socket() -> None:
    """The proxy sees that nobody listens, so that it can stop asking."""

    async def endless(_: dict[str, Any], say: Send) -> None:
        while True:
            await say(text("word "))
            await trio.sleep(0.01)

    async with open_proxy(endless) as server:
        async with await ask(server) as stream:
            async for event in stream:
                if event.type == "text_delta":
                    break
        with trio.fail_after(10):
            await server.left.wait()


async def test_the_signal_aborts() -> None:
    """Once it is set the stream ends as `aborted`."""
    signal = trio.Event()

    async def one_word(_: dict[str, Any], say: Send) -> None:
        await say(text("word"))
        await trio.sleep_forever()

    async with open_proxy(one_word) as server:
        stream = await ask(server, signal=signal)
        with trio.fail_after(10):
            async for event in stream:
                if event.type == "text_delta":
                    signal.set()
            message = await stream.result()

    assert (message.stop_reason, message.text) == ("aborted", "word")


@pytest.mark.parametrize(
    ("token", "url", "field"),
    [
        ("", "http://localhost", "ProxyStreamOptions.auth_token"),
        ("a\nb", "http://localhost", "ProxyStreamOptions.auth_token"),
        (TOKEN, "localhost", "ProxyStreamOptions.proxy_url"),
        (TOKEN, "http://", "ProxyStreamOptions.proxy_url"),
        (TOKEN, "http://me:secret@localhost", "ProxyStreamOptions.proxy_url"),
        (TOKEN, "http://local host", "ProxyStreamOptions.proxy_url"),
    ],
)
async def test_what_cannot_be_asked(token: str, url: str, field: str) -> None:
    """Bad input is refused where it is given, without its value."""
    with pytest.raises(SpecError) as caught:
        await create_proxy_stream(MODEL, CONTEXT, token, url)

    assert caught.value.field == field
    assert "secret" not in str(caught.value)


def test_options_are_checked_by_the_rules_of_a_stream() -> None:
    """A temperature below 0 is refused at once."""
    with pytest.raises(SpecError, match="temperature"):
        ProxyStreamOptions(TOKEN, "http://localhost", temperature=-1.0)


async def test_a_proxy_in_front_of_a_provider() -> None:
    """An agent talks to a model through it, calls and all, and never sees the provider."""
    script = [Reply(text="let me", tool_calls=[CallSpec("look", {"x": 1})]), Reply(text="a 😀 answer")]
    async with open_endpoint(script) as endpoint, open_proxy(relay_to(endpoint.url)) as server:

        async def through_proxy(model: Model, context: Context, options: object) -> SeedStream:
            return await stream_proxy(model, context, ProxyStreamOptions(TOKEN, server.url))

        agent = Agent(AgentOptions(stream_fn=through_proxy))
        agent.set_model(Model("m"))
        agent.set_tools([look])
        with trio.fail_after(30):
            said = await agent.prompt_text("hello")

    assert said == "a 😀 answer"
    assert [message["role"] for message in server.requests[1]["body"]["context"]["messages"]] == [
        "user",
        "assistant",
        "tool_result",
    ]


@tool
async def look(x: int) -> str:
    """Look.

    Args:
        x: At what.
    """
    return f"seen {x}"
