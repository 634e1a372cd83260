"""Requests read and replies rendered as Anthropic's messages."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tinyagent_actors.testing import CallSpec, ChatRequest, RecordedRequest, Reply, ToolLoopPolicy
from tinyagent_actors.testing._wire_anthropic import AnthropicMessages

DIALECT = AnthropicMessages()


def ask(*messages: dict[str, Any], stream: bool = True, **members: Any) -> ChatRequest:
    """Give a request."""
    body = {"model": "m", "messages": messages or [{"role": "user", "content": "hi"}], "stream": stream, **members}
    request = RecordedRequest(
        number=7, connection=1, method="POST", target="/v1/messages", headers=(), body=orjson.dumps(body)
    )
    return DIALECT.parse(request)


def events(reply: Reply) -> list[Any]:
    """Render, and read the events back."""
    found = []
    for chunk in DIALECT.render(reply, ask()):
        name, data, *rest = chunk.split(b"\n")
        event = orjson.loads(data.removeprefix(b"data: "))
        assert (name, rest) == (b"event: " + event["type"].encode(), [b"", b""])
        found.append(event)
    return found


@pytest.mark.parametrize(("path", "owned"), [("/v1/messages", True), ("/anthropic/v1/messages/", True), ("/v1/chat/completions", False)])  # fmt: skip
def test_which_paths_are_its_own(path: str, *, owned: bool) -> None:
    """Paths that end in ``/messages``."""
    assert DIALECT.owns(path) is owned


def test_a_stream_has_the_shape_of_anthropic() -> None:
    """A start, a ping, blocks with their deltas (thinking, text, calls), the stop reason, the end."""
    reply = Reply(thinking="xy", text="abc", tool_calls=[CallSpec("look", {"a": 1})], chunk_size=2)

    found = events(reply)

    assert [event["type"] for event in found if event["type"] != "content_block_delta"] == [
        "message_start",
        "ping",
        *["content_block_start", "content_block_stop"] * 3,
        "message_delta",
        "message_stop",
    ]
    deltas = [(event["index"], event["delta"]) for event in found if event["type"] == "content_block_delta"]
    assert deltas[:4] == [
        (0, {"type": "thinking_delta", "thinking": "xy"}),
        (0, {"type": "signature_delta", "signature": "signature-7"}),
        (1, {"type": "text_delta", "text": "ab"}),
        (1, {"type": "text_delta", "text": "c"}),
    ]
    assert "".join(piece["partial_json"] for index, piece in deltas if index == 2) == '{"a":1}'
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_what_a_reply_leaves_out() -> None:
    """Without a finish there is no `message_delta`; `done=False` leaves out the end marker; usage is sent as given."""
    found = events(Reply(text="a", finish=None, done=False, usage={"input_tokens": 3}))

    assert found[-1]["type"] == "content_block_stop"
    assert found[0]["message"]["usage"] == {"input_tokens": 3, "output_tokens": 1}


def test_an_answer_that_is_not_streamed() -> None:
    """One message, its input as an object."""
    reply = Reply(text="a", tool_calls=[CallSpec("look", {"a": 1}, id="t")])

    (chunk,) = DIALECT.render(reply, ask(stream=False))

    message = orjson.loads(chunk)
    assert message["content"] == [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}},
    ]
    assert (message["type"], message["stop_reason"]) == ("message", "tool_use")


def test_a_policy_reads_the_conversation_as_any_other() -> None:
    """System prompt, tools, calls and results are where a policy looks for them, so that one policy serves both dialects."""
    request = ask(
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "seen"}]}]},
        system=[{"type": "text", "text": "Be brief."}],
        tools=[{"name": "look", "input_schema": {"type": "object"}}],
    )  # fmt: skip

    assert (request.system_text, request.user_text) == ("Be brief.", "go")
    assert [tool["name"] for tool in request.tools] == ["look"]
    assert [(call.id, call.name, call.arguments) for call in request.calls] == [("t", "look", '{"a":1}')]
    assert [(result.name, result.text) for result in request.results] == [("look", "seen")]
    assert ToolLoopPolicy()(request).text == "look: seen"
