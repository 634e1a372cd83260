"""The request and the conversation in it, as a policy sees them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.testing import ChatRequest, GivenResult, MadeCall, RecordedRequest


def recorded(body: bytes = b"", **fields: Any) -> RecordedRequest:
    """Give a request that came over no wire."""
    defaults: dict[str, Any] = {"number": 1, "connection": 1, "method": "POST", "target": "/", "headers": ()}
    return RecordedRequest(**{**defaults, "body": body, **fields})


def chat(*messages: dict[str, Any], **members: Any) -> ChatRequest:
    """Give a conversation."""
    return ChatRequest.parse(recorded(orjson.dumps({"messages": messages, **members})))


def call(call_id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    """Give a call as it stands in a conversation."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATION: tuple[dict[str, Any], ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": None, "tool_calls": [call("a", "look"), call("b", "look")]},
    {"role": "tool", "tool_call_id": "a", "content": "one"},
    {"role": "tool", "tool_call_id": "b", "content": "two"},
    {"role": "assistant", "content": "Done."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "sec"}, {"type": "image_url"}, {"type": "text", "text": "ond"}],
    },
    {"role": "assistant", "tool_calls": [call("c", "count", '{"n":1}')]},
    {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "three"}]},
    {"role": "tool", "tool_call_id": "lost", "content": "four"},
)


def test_calls_and_results_are_those_of_the_present_exchange() -> None:
    """Calls and results are those after the last message of the user; a result finds its tool by the call's id."""
    request = chat(*CONVERSATION)

    assert request.calls == (MadeCall(id="c", name="count", arguments='{"n":1}'),)
    assert request.results == (
        GivenResult(call_id="c", name="count", text="three"),
        GivenResult(call_id="lost", name="", text="four"),
    )
    assert request.calls_before == 3


def test_texts_are_read_from_strings_and_parts() -> None:
    """The user's text joins the text parts of the last message; system and developer messages are joined by empty lines."""
    request = chat(*CONVERSATION, {"role": "developer", "content": "Be kind."})

    assert request.user_text == "second"
    assert request.system_text == "Be brief.\n\nBe kind."
    assert chat({"role": "system", "content": "alone"}).user_text == ""


def test_options_are_read() -> None:
    """Model, tools, `stream` and `include_usage` are read; what is absent or of another shape is nothing."""
    tools = [{"type": "function", "function": {"name": "look"}}, {"function": {}}, 3]
    request = chat({"role": "user"}, model="m", stream=True, stream_options={"include_usage": True}, tools=tools)
    bare = chat({"role": "user"}, model=3, stream="yes", stream_options=[], tools={})

    assert (request.model, request.stream, request.include_usage) == ("m", True, True)
    assert [tool["name"] for tool in request.tools] == ["look"]
    assert (bare.model, bare.stream, bare.include_usage, bare.tools) == ("", False, False, ())


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("body", b""),
        ("body", b"{"),
        ("body", b"[]"),
        ("messages", b"{}"),
        ("messages", b'{"messages":[]}'),
        ("messages[1]", b'{"messages":[{"role":"user"},3]}'),
        ("messages[0]", b'{"messages":[{"role":null}]}'),
    ],
)
def test_what_is_no_conversation_is_refused(field: str, body: bytes) -> None:
    """A body that is no request for a completion is refused; the error names the member."""
    with pytest.raises(ValueShapeError) as caught:
        ChatRequest.parse(recorded(body))

    assert caught.value.field == field


def test_calls_of_another_shape_are_left_out() -> None:
    """Nonsense in the place of calls does not fail a policy."""
    request = chat({"role": "user"}, {"role": "assistant", "tool_calls": [3, {}, {"function": {"name": 3}}]})

    assert request.calls == (MadeCall(id="", name="", arguments=""),)


def test_a_repr_shows_no_credential() -> None:
    """Neither a key in a header nor one in the target, nor any of the body, is in the `repr`."""
    key = "sk-" + "a1b2c3d4" * 4
    request = recorded(
        b'{"secret":"words of the user"}',
        target=f"/v1/chat/completions?api_key={key}",
        headers=(("authorization", f"Bearer {key}"), ("x-api-key", key), ("user-agent", "test")),
    )

    assert key not in repr(request)
    assert "words" not in repr(request)
    assert "test" in repr(request)


@pytest.mark.parametrize("target", ["/a/b?c=d", "http://host:1/a/b?c=d"])
def test_a_path_has_no_query(target: str) -> None:
    """The path leaves out the query, and the origin where a proxy's form of the target is used."""
    assert recorded(target=target).path == "/a/b"


def test_headers_are_found_without_case() -> None:
    """A header is found whatever the case of its name; the first of several counts."""
    request = recorded(headers=(("accept", "a"), ("accept", "b")))

    assert request.header("Accept") == "a"
    assert request.header("host") is None
