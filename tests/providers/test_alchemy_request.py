"""What the published crate is called with, for what a dialect would have sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tinyagent_actors import Context, Model, SpecError, ToolDefinition, UserMessage
from tinyagent_actors.messages import AssistantMessage, ImageContent, TextContent, ToolCall, ToolResultMessage
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.providers._alchemy_request import to_alchemy
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._openai_request import build_request

URL = "http://localhost/v1/chat/completions"
OPENAI = "openai-completions"


def called(api: str, body: dict[str, Any], *headers: tuple[str, str]) -> dict[str, Any]:
    """Give the call as a dict."""
    made: dict[str, Any] = orjson.loads(to_alchemy(api, Endpoint(URL, headers), orjson.dumps(body)))
    return made


def rendered(model: Model, context: Context, **options: Any) -> dict[str, Any]:
    """Give the call for what the dialect makes of a conversation."""
    endpoint = Endpoint(model.base_url or URL, ())
    content = build_request(model, context, StreamOptions(**options), endpoint)
    made: dict[str, Any] = orjson.loads(to_alchemy(OPENAI, endpoint, content))
    return made


def test_a_conversation_is_the_one_that_the_dialect_has_repaired() -> None:
    """Calls without a result get one, images of results follow them, and what is no text is none."""
    context = Context(
        "Be brief.",
        [
            UserMessage([TextContent("look at"), ImageContent(data="aGk=", mime_type="image/gif")]),
            AssistantMessage([TextContent("let me"), ToolCall("a", "look", {"x": 1}), ToolCall("b", "look", {})]),
            ToolResultMessage("a", "look", "seen", is_error=True),
        ],
        [ToolDefinition("look", "Look.")],
    )

    made = rendered(Model("m"), context, temperature=0.5, max_tokens=9)

    assert made["context"]["system_prompt"] == "Be brief."
    assert made["context"]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "look at"}, {"type": "image", "url": "data:image/gif;base64,aGk="}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "let me"},
                {"type": "tool_call", "id": "a", "name": "look", "arguments": {"x": 1}},
                {"type": "tool_call", "id": "b", "name": "look", "arguments": {}},
            ],
        },
        {"role": "tool_result", "tool_call_id": "a", "tool_name": "", "content": "Error: seen", "is_error": False},
        {
            "role": "tool_result",
            "tool_call_id": "b",
            "tool_name": "",
            "content": "no result: the call did not run to its end",
            "is_error": False,
        },
    ]  # fmt: skip
    assert made["context"]["tools"] == [
        {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
    ]
    assert (made["options"]["temperature"], made["options"]["max_tokens"]) == (0.5, 9)
    assert made["model"]["compat"] == {
        "supports_developer_role": False,
        "supports_usage_in_streaming": True,
        "max_tokens_field": "max_tokens",
        "requires_tool_result_name": False,
    }


def test_peculiarities_of_a_provider_are_its_rules() -> None:
    """The crate guesses none from a host's name: each is set as the dialect has it."""
    model = Model("gpt-5.4-mini", provider="openai", base_url="https://api.openai.com/v1", thinking_level="low")
    made = rendered(model, Context("Be brief.", [UserMessage("hi")]), max_tokens=9)

    assert made["model"]["reasoning"] is True
    assert made["options"]["reasoning_effort"] == "low"
    assert made["model"]["compat"]["supports_developer_role"] is True
    assert made["model"]["compat"]["max_tokens_field"] == "max_completion_tokens"


def test_thinking_goes_back_where_the_dialect_sends_it() -> None:
    """`reasoning_content` is a block of thinking; a mode that thinks makes a model that does."""
    body = {
        "model": "glm",
        "messages": [{"role": "assistant", "content": "a", "reasoning_content": "hm"}],
        "thinking": {"type": "enabled"},
    }
    made = called("zai-completions", body)

    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]
    assert made["context"]["messages"] == [{"role": "assistant", "content": content}]
    assert made["model"]["reasoning"] is True


def test_a_body_of_anthropic() -> None:
    """A01: a key goes as a bearer token; each tool result is a message of its own; thinking keeps its signature; what has no word is left out."""
    body = {
        "model": "claude",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "tool_use", "id": "a", "name": "look", "input": {"x": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "seen"}], "is_error": True},
                    {"type": "text", "text": "go on"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
        ],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    }  # fmt: skip
    made = called("anthropic-messages", body, ("x-api-key", "k"), ("anthropic-version", "2023-06-01"))

    assert made["context"]["system_prompt"] == "Be brief."
    assert made["context"]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "thinking_signature": "sig"},
                {"type": "tool_call", "id": "a", "name": "look", "arguments": {"x": 1}},
            ],
        },
        {
            "role": "tool_result",
            "tool_call_id": "a",
            "tool_name": "",
            "content": [{"type": "text", "text": "seen"}],
            "is_error": True,
        },
        {
            "role": "user",
            "content": [{"type": "text", "text": "go on"}, {"type": "image", "data": "aGk=", "mime_type": "image/png"}],
        },
    ]
    assert made["context"]["tools"] == [{"name": "look", "description": "", "parameters": {"type": "object"}}]
    assert made["options"]["headers"] == {"anthropic-version": "2023-06-01", "authorization": "Bearer k"}


@pytest.mark.parametrize("name", ["api-key", "cookie"])
def test_a_credential_that_would_follow_a_redirect_is_refused(name: str) -> None:
    """A01: the crate's client takes any header along but `authorization`; the value stands in no error."""
    with pytest.raises(SpecError, match=f"sends no '{name}' header") as caught:
        called(OPENAI, {"model": "m", "messages": []}, (name, "s3cret"))

    assert "s3cret" not in str(caught.value)


def test_an_image_by_its_url_is_refused() -> None:
    """The crate can only send data."""
    image = {"type": "image_url", "image_url": {"url": "https://example.org/s3cret.png"}}
    with pytest.raises(SpecError, match="not by a URL") as caught:
        called(OPENAI, {"model": "m", "messages": [{"role": "user", "content": [image]}]})

    assert "s3cret" not in str(caught.value)
