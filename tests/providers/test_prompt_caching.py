"""Prompt caching: where the breakpoints stand, and that what lies before one does not change from turn to turn."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    Context,
    ImageContent,
    Message,
    Model,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._dialects import dialect_of
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.testing import Reply, open_endpoint

DIRECT = Model("claude-opus-4-6", provider="anthropic")
ROUTED = Model("anthropic/claude-opus-4.6", provider="openrouter")
PICTURE = ImageContent(data="iVBO", mime_type="image/png")
TOOLS = (ToolDefinition("look", "Look."),)
MARK = b',"cache_control":{"type":"ephemeral"}'


def raw_request(model: Model, messages: list[Message], system: str = "Be brief.", **options: Any) -> bytes:
    """Give the bytes of a request with caching on."""
    dialect = dialect_of(model.api)
    asked = StreamOptions(**{"enable_prompt_caching": True, **options})
    return dialect.build_request(
        model, Context(system, messages, TOOLS), asked, Endpoint("https://x.example/v1", ()), with_stream_options=False
    )


def prefixes(raw: bytes) -> list[bytes]:
    """Give what lies before each breakpoint, breakpoints taken out."""
    pieces = raw.split(MARK)
    return [b"".join(pieces[: place + 1]) for place in range(len(pieces) - 1)]


_WORDS = st.sampled_from(["hello", "é😀", 'say "cache_control"', " x "])
_SAID: st.SearchStrategy[Content] = st.one_of(st.builds(TextContent, _WORDS), st.just(PICTURE))


@st.composite
def _exchange(draw: st.DrawFn, model: Model) -> list[list[Message]]:
    """Give what is added before each request of one run: the user's words, then calls with their results, then an answer."""
    steps: list[list[Message]] = [[UserMessage(draw(st.lists(_SAID, min_size=1, max_size=2)))]]
    thought = ThinkingContent("hm", "sig")
    for round_ in range(draw(st.integers(0, 2))):
        ids = [f"call_{number}" for number in range(draw(st.integers(1, 2)))]
        calls = [ToolCall(name, "look", {"round": round_}) for name in ids]
        made = AssistantMessage([thought, *calls], "tool_use", provider=model.provider, api=model.api)
        results = [ToolResultMessage(name, "look", draw(st.lists(_SAID, max_size=2))) for name in ids]
        steps.append([made, *results])
    steps.append([AssistantMessage([thought, TextContent(draw(_WORDS))], provider=model.provider, api=model.api)])
    return steps


@pytest.mark.parametrize("model", [DIRECT, ROUTED], ids=["direct", "routed"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_lies_before_a_breakpoint_stays_as_it_is(model: Model, data: st.DataObject) -> None:
    """P40: a request begins with all that the one before it had marked, byte for byte but for the marks, of which four fit."""
    transcript: list[Message] = []
    requests: list[bytes] = []
    for _ in range(data.draw(st.integers(1, 5))):
        *before, answer = data.draw(_exchange(model))
        for added in before:
            transcript += added
            requests.append(raw_request(model, transcript))
        transcript += answer

    for raw in requests:
        assert 2 <= raw.count(MARK) <= 4
    for earlier, later in pairwise(requests):
        plain = later.replace(MARK, b"")
        for prefix in prefixes(earlier):
            assert plain.startswith(prefix)


def test_the_breakpoints_stand_on_the_system_prompt_and_the_newest_messages() -> None:
    """P40: the system prompt's, which covers the tools, and those of the three newest turns of the user, results too."""
    messages: list[Message] = []
    for number in range(4):
        call = AssistantMessage([ToolCall(f"c{number}", "look")], "tool_use")
        messages += [
            UserMessage(f"q{number}"),
            call,
            ToolResultMessage(f"c{number}", "look", "seen"),
            AssistantMessage("a"),
        ]
    body = json.loads(raw_request(DIRECT, messages[:-1]))

    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    marked = [block for turn in body["messages"] for block in turn["content"] if "cache_control" in block]
    assert [(block["type"], block.get("text", block.get("tool_use_id"))) for block in marked] == [
        ("tool_result", "c2"),
        ("text", "q3"),
        ("tool_result", "c3"),
    ]


def test_through_openrouter_text_stands_in_parts() -> None:
    """P40: system prompt and all user messages are lists of parts, the three newest of them marked."""
    messages: list[Message] = []
    for number in range(4):
        messages += [UserMessage(f"q{number}"), AssistantMessage("a")]
    body = json.loads(raw_request(ROUTED, messages[:-1]))

    contents = [message["content"] for message in body["messages"] if message["role"] != "assistant"]
    assert [part["text"] for content in contents for part in content] == ["Be brief.", "q0", "q1", "q2", "q3"]
    assert ["cache_control" in content[-1] for content in contents] == [True, False, True, True, True]


def test_without_a_system_prompt_there_is_one_more_for_messages() -> None:
    """Four messages of the user are marked where no system prompt takes one."""
    messages: list[Message] = []
    for number in range(6):
        messages += [UserMessage(f"q{number}"), AssistantMessage("a")]

    for model in (DIRECT, ROUTED):
        assert raw_request(model, messages[:-1], system="").count(MARK) == 4


def test_breakpoints_of_the_user_are_kept_and_counted() -> None:
    """A `cache_control` that stands in a block is sent as it is, caching on or off; the oldest go if there are too many."""
    own = {"type": "ephemeral", "ttl": "1h"}
    messages: list[Message] = []
    for number in range(6):
        messages += [
            UserMessage([TextContent(f"q{number}", cache_control=own), TextContent("x")]),
            AssistantMessage("a"),
        ]
    body = json.loads(raw_request(DIRECT, messages[:-1], system="", enable_prompt_caching=False))

    marked = [block for turn in body["messages"] for block in turn["content"] if "cache_control" in block]
    assert [block["text"] for block in marked] == ["q2", "q3", "q4", "q5"]
    assert all(block["cache_control"] == own for block in marked)


def test_nothing_is_marked_where_nobody_asked_or_nobody_reads_it() -> None:
    """Off by default; and a provider that does not know the member is not sent it."""
    messages: list[Message] = [UserMessage("hi")]

    assert MARK not in raw_request(DIRECT, messages, enable_prompt_caching=False)
    assert MARK not in raw_request(ROUTED, messages, enable_prompt_caching=False)
    assert MARK not in raw_request(Model("gpt-5.4-mini", provider="openai"), messages)


def test_an_empty_message_is_not_marked() -> None:
    """A breakpoint on an empty text is refused, so there is none; an empty text beside others is not sent at all."""
    body = json.loads(raw_request(ROUTED, [UserMessage([PICTURE, TextContent("")]), UserMessage("")]))

    first, second = (message["content"] for message in body["messages"][1:])
    assert [("cache_control" in part, part["type"]) for part in first] == [(True, "image_url")]
    assert second == ""


def test_the_option_is_a_yes_or_no() -> None:
    """Anything else is refused with the option's name."""
    with pytest.raises(SpecError, match="enable_prompt_caching"):
        StreamOptions(enable_prompt_caching="yes")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("model", [DIRECT, ROUTED], ids=["direct", "routed"])
async def test_what_was_cached_is_told_in_the_usage(engine: str, model: Model) -> None:
    """P40: on both ways the request that goes out is marked, and what was read from the cache is no input."""
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    details = {"cached_tokens": 90, "cache_write_tokens": 4}
    replies = {
        "anthropic": Reply.events(
            {"type": "message_start", "message": {"usage": {"input_tokens": 6, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 4}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ),
        "openrouter": Reply.events(
            {"choices": [stop], "usage": {"prompt_tokens": 100, "completion_tokens": 2, "prompt_tokens_details": details}}, "[DONE]"
        ),
    }  # fmt: skip
    options = StreamOptions(engine=engine, enable_prompt_caching=True)  # type: ignore[arg-type]  # one of them
    async with open_endpoint([replies[model.provider]]) as endpoint:
        asked = Model(model.id, provider=model.provider, base_url=endpoint.url)
        with trio.fail_after(30):
            async with open_stream(asked, Context("Be brief.", [UserMessage("hi")]), options) as stream:
                usage = (await stream.result()).usage

    assert usage is not None
    assert (usage.input, usage.cache_read, usage.cache_write, usage.output) == (6, 90, 4, 2)
    assert endpoint.requests[0].body.count(MARK) == 2
