"""A transcript goes from provider to provider, and each can take it."""

from __future__ import annotations

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers._openai_transcripts import MAKERS, RECEIVERS, TEXTS, mark, problems_of, transcripts
from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    ImageContent,
    InvalidToolCall,
    Message,
    Model,
    OpaqueContent,
    RedactedThinkingContent,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._endpoint import Endpoint, resolve_endpoint
from tinyagent_actors.providers._openai_request import build_request
from tinyagent_actors.testing import Reply, open_endpoint

BASES = {"azure": "https://n.openai.azure.com/openai/v1"}


def endpoint_of(model: Model) -> Endpoint:
    placed = attrs.evolve(model, base_url=BASES.get(model.provider))
    return resolve_endpoint(placed, StreamOptions(), "key", {})


@settings(max_examples=150, deadline=None)
@given(transcripts(), TEXTS, st.sampled_from(RECEIVERS))
def test_any_transcript_is_valid_for_any_receiver(messages: list[Message], system: str, receiver: str) -> None:
    """M09: whatever the transcript went through, what is sent is what the receiver can take; no maker's secrets in it."""
    model = Model.parse(receiver)

    content = build_request(model, Context(system, messages), StreamOptions(), endpoint_of(model))

    assert problems_of(content, receiver) == []


@settings(max_examples=50, deadline=None)
@given(transcripts(), st.sampled_from(RECEIVERS))
def test_the_same_transcript_is_the_same_request(messages: list[Message], receiver: str) -> None:
    """M09: ids that are made are made from what is there, so that a prefix that was cached stays the same."""
    model = Model.parse(receiver)
    first, second = (
        build_request(model, Context("s", messages), StreamOptions(), endpoint_of(model)) for _ in range(2)
    )

    assert first == second


def everything(maker: str) -> list[Message]:
    """Give a short transcript that holds every kind of content, a call without a result and a result without a call."""
    model = Model.parse(maker)
    secret = {"x_signature": mark(maker)}
    answer = AssistantMessage(
        [
            ThinkingContent(mark(maker), mark(maker), wire={"reasoning_details": [{"data": mark(maker)}]}),
            RedactedThinkingContent(mark(maker)),
            TextContent("half \ud83d", wire=secret),
            OpaqueContent({"type": "server_tool_use", "input": mark(maker)}),
            ToolCall(
                "call_0", "look", {"nul": "a\0b", "nan": float("nan"), "big": 10**30, "\udc00": [float("inf")]}, secret
            ),
            InvalidToolCall("call_0", "look.twice", mark(maker), "cut", secret),
            ToolCall("orphan", "look"),
        ],
        "tool_use",
        api=model.api,
        provider=model.provider,
        model=model.id,
    )
    results = [
        ToolResultMessage("call_0", "look", [TextContent("seen\0"), ImageContent(data="aGk=")]),
        ToolResultMessage("nobody", "look", "lost"),
        ToolResultMessage("call_0", "look.twice", "refused", is_error=True),
    ]
    return [
        UserMessage([TextContent("\ud83d"), ImageContent(url="https://a.example/x.png")]),
        answer,
        *results,
        UserMessage("go on"),
    ]


@pytest.mark.parametrize("receiver", RECEIVERS)
async def test_a_transcript_of_all_of_them_arrives(engine: str, receiver: str) -> None:
    """M09: the bytes that a real endpoint received from a transcript that every provider had a part in."""
    messages = [message for maker in MAKERS for message in everything(maker)]
    async with open_endpoint([Reply(text="a")]) as endpoint:
        model = attrs.evolve(Model.parse(receiver), base_url=endpoint.url)
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
        with trio.fail_after(30):
            async with open_stream(model, Context("be brief\0", messages), options) as stream:
                assert (await stream.result()).text == "a"

        assert problems_of(endpoint.requests[0].body, receiver) == []
        assert endpoint.requests[0].body.count(b"1000000000000000000000000000000") == len(MAKERS)


@pytest.mark.parametrize(
    ("arguments", "field", "problem"),
    [
        ({"a": [1, {2}]}, "ToolCall('look').arguments.a[1]", "of the type set"),
        ({"a": b"x"}, "ToolCall('look').arguments.a", "of the type bytes"),
        ({"a": {"b": object()}}, "ToolCall('look').arguments.a.b", "of the type object"),
    ],
)
async def test_what_has_no_form_in_json_is_refused_where_it_enters(
    engine: str, arguments: dict[str, object], field: str, problem: str
) -> None:
    """M09: before anything is sent, with the path of the field."""
    messages = [AssistantMessage([ToolCall("c", "look", arguments)], "tool_use")]
    async with open_endpoint([Reply(text="a")]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
        with pytest.raises(SpecError) as caught:
            async with open_stream(Model("m", base_url=endpoint.url), Context(messages=messages), options) as stream:
                await stream.result()

        assert endpoint.requests == ()
    assert (caught.value.field, problem in caught.value.problem) == (field, True)


def test_what_is_nested_without_end_is_refused() -> None:
    """M09: an object that holds itself, or is deeper than any receiver reads, is refused and not recursed into."""
    circle: dict[str, object] = {}
    circle["again"] = circle
    tool = ToolDefinition("look", "", circle)

    with pytest.raises(SpecError, match=r"request\.tools\[0\]\.function\.parameters\.again\.again.*levels deep"):
        build_request(Model("m"), Context(tools=[tool]), StreamOptions(), endpoint_of(Model("m")))


def test_a_schema_with_what_json_does_not_know() -> None:
    """M09: NaN in a tool's schema becomes null, a lone surrogate U+FFFD."""
    tool = ToolDefinition("look", "\ud83d", {"type": "object", "maximum": float("nan"), "enum": ("a\0",)})

    content = build_request(Model("m"), Context(tools=[tool]), StreamOptions(), endpoint_of(Model("m")))

    assert problems_of(content, "openrouter:m") == []
    assert b'"maximum":null,"enum":["a\xef\xbf\xbd"]' in content
