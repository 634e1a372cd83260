"""Replies rendered as OpenAI's chat completions."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors.testing import CallSpec, ChatRequest, RecordedRequest, Reply
from tinyagent_actors.testing._wire import OpenAIChat


def ask(*, stream: bool = True, include_usage: bool = False, messages: list[Any] | None = None) -> ChatRequest:
    """Give a request for a completion."""
    body = {
        "model": "m",
        "messages": messages or [{"role": "user", "content": "hi"}],
        "stream": stream,
        "stream_options": {"include_usage": include_usage},
    }
    request = RecordedRequest(
        number=7, connection=1, method="POST", target="/v1/chat/completions", headers=(), body=orjson.dumps(body)
    )
    return ChatRequest.parse(request)


def events(reply: Reply, request: ChatRequest | None = None) -> list[Any]:
    """Render, and read the events back; ``[DONE]`` is a text."""
    found = []
    for chunk in OpenAIChat().render(reply, request or ask()):
        assert chunk.startswith(b"data: ")
        assert chunk.endswith(b"\n\n")
        data = chunk[6:-2]
        found.append(data.decode() if data == b"[DONE]" else orjson.loads(data))
    return found


def deltas(found: list[Any]) -> list[dict[str, Any]]:
    """Give the deltas of the events."""
    return [event["choices"][0]["delta"] for event in found if event != "[DONE]" and event["choices"]]


def test_a_stream_has_the_shape_of_openai() -> None:
    """A role first, thinking before text, the finish reason on a chunk of its own, ``[DONE]`` last."""
    found = events(Reply(text="abcd", thinking="xy", chunk_size=2))

    assert deltas(found) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "xy"},
        {"content": "ab"},
        {"content": "cd"},
        {},
    ]
    assert [event["choices"][0]["finish_reason"] for event in found[:-1]] == [None, None, None, None, "stop"]
    assert {event["object"] for event in found[:-1]} == {"chat.completion.chunk"}
    assert {(event["id"], event["model"]) for event in found[:-1]} == {("chatcmpl-7", "m")}
    assert found[-1] == "[DONE]"
    assert all("usage" not in event for event in found[:-1])


@given(
    text=st.text(st.characters(codec="utf-8")),
    thinking=st.text(st.characters(codec="utf-8")),
    arguments=st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))),
    size=st.none() | st.integers(1, 9),
)
def test_deltas_join_to_the_reply(text: str, thinking: str, arguments: dict[str, str], size: int | None) -> None:
    """However the texts are cut, the deltas join to them; a call's fragments join to its arguments."""
    reply = Reply(text=text, thinking=thinking, tool_calls=[CallSpec("f", arguments)], chunk_size=size)
    found = deltas(events(reply))
    calls = [delta["tool_calls"][0] for delta in found if "tool_calls" in delta]

    assert "".join(delta.get("content", "") for delta in found) == text
    assert "".join(delta.get("reasoning_content", "") for delta in found) == thinking
    assert orjson.loads("".join(call["function"]["arguments"] for call in calls)) == arguments
    assert [call.get("id") for call in calls] == ["call_0"] + [None] * (len(calls) - 1)


def test_calls_are_numbered_over_the_conversation() -> None:
    """Ids that are made up count on from the calls that the conversation holds; an id that is given stays."""
    earlier = {"role": "assistant", "tool_calls": [{"id": "call_0", "function": {"name": "f", "arguments": ""}}] * 2}
    request = ask(messages=[{"role": "user", "content": "hi"}, earlier])
    reply = Reply(tool_calls=[CallSpec("f"), CallSpec("g", id="mine"), CallSpec("h", "")])
    found = events(reply, request)
    calls = [delta["tool_calls"][0] for delta in deltas(found) if "tool_calls" in delta]

    assert [(call["index"], call["id"], call["function"]["name"]) for call in calls] == [
        (0, "call_2", "f"),
        (1, "mine", "g"),
        (2, "call_4", "h"),
    ]
    assert calls[2]["function"]["arguments"] == ""
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_usage_is_sent_where_it_is_asked_for() -> None:
    """With `include_usage` every chunk has a null usage, and one without choices has the figures; they add up."""
    found = events(Reply(text="x" * 10, thinking="y" * 5), ask(include_usage=True))

    assert {event["usage"] for event in found[:-2]} == {None}
    assert found[-2]["choices"] == []
    usage = found[-2]["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_usage_can_be_given_or_left_out() -> None:
    """An object is sent as it is, asked for or not; ``None`` sends nothing."""
    assert events(Reply(usage={"prompt_tokens": -1}))[-2]["usage"] == {"prompt_tokens": -1}
    assert all(event == "[DONE]" or event["choices"] for event in events(Reply(usage=None), ask(include_usage=True)))


def test_the_end_can_be_left_out() -> None:
    """Without a finish reason and without ``[DONE]`` a stream ends after its last delta; a reason of one's own is sent."""
    assert deltas(events(Reply(text="a", finish=None, done=False)))[-1] == {"content": "a"}
    assert events(Reply(finish="length"))[-2]["choices"][0]["finish_reason"] == "length"


def test_without_stream_there_is_one_completion() -> None:
    """A request that does not ask for a stream gets one object with message, finish reason and usage."""
    (chunk,) = OpenAIChat().render(Reply(text="hi", thinking="hm", tool_calls=[CallSpec("f")]), ask(stream=False))
    completion = orjson.loads(chunk)
    (choice,) = completion["choices"]

    assert completion["object"] == "chat.completion"
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "hi"
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert completion["usage"]["prompt_tokens"] > 0


def test_the_same_request_and_reply_give_the_same_bytes() -> None:
    """Nothing of the time or of chance is in an answer."""
    reply = Reply(text="hi", tool_calls=[CallSpec("f")])

    assert OpenAIChat().render(reply, ask()) == OpenAIChat().render(reply, ask())
