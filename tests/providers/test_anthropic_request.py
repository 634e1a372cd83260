"""The body of a request in `anthropic-messages`: valid for any transcript, and by the rules of each model."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers._transcripts import TRANSCRIPTS
from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
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
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.providers._anthropic_request import build_request
from tinyagent_actors.providers._endpoint import Endpoint

NOWHERE = Endpoint("https://api.anthropic.com/v1/messages", ())
LOOK = ToolDefinition("look", "Look.", {"type": "object", "properties": {}})
OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-7"


def build(
    *messages: Message,
    model: str = NEW,
    system: str = "",
    tools: tuple[ToolDefinition, ...] = (),
    provider: str = "anthropic",
    **options: Any,
) -> dict[str, Any]:
    """Give the body, parsed."""
    asked = Model(model, provider=provider, api="anthropic-messages")
    raw = build_request(asked, Context(system, messages, tools), StreamOptions(**options), NOWHERE)
    body: dict[str, Any] = json.loads(raw)
    return body


def answered(*content: Content, reason: Any = "stop", provider: str = "anthropic") -> AssistantMessage:
    """Give a message of a maker of the dialect."""
    return AssistantMessage(content, reason, provider=provider, api="anthropic-messages")


def turns(body: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Give the turns as roles and contents."""
    return [(turn["role"], turn["content"]) for turn in body["messages"]]


def text(words: str) -> dict[str, Any]:
    """Give a block of text."""
    return {"type": "text", "text": words}


def check_valid(body: dict[str, Any], *, may_end: bool) -> None:
    """See that the provider's rules are kept.

    Roles alternate, the user begins; calls have one result each, directly after them and first; ids are clean and unique;
    texts say something; thinking is signed and leads somewhere; the last word is the user's where it has to be.
    """
    messages = body["messages"]
    assert messages[0]["role"] == "user"
    for before, after in itertools.pairwise(messages):
        assert before["role"] != after["role"]
    seen: set[str] = set()
    waiting: list[str] = []
    for turn in messages:
        assert turn["content"]
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting)
        kinds = [block["type"] == "tool_result" for block in turn["content"]]
        assert kinds == sorted(kinds, reverse=True)
        waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert not seen & set(waiting)
        assert len(set(waiting)) == len(waiting)
        seen |= set(waiting)
        for block in turn["content"]:
            check_block(block, turn["role"])
        check_server_calls(turn["content"], is_last=turn is messages[-1])
        if turn["role"] == "assistant":
            assert turn["content"][-1]["type"] not in ("thinking", "redacted_thinking")
    assert not waiting
    if seen:
        assert body["tools"]
    assert messages[-1]["role"] == "user" or may_end


def check_block(block: dict[str, Any], role: str) -> None:
    """See that one block may stand there."""
    kind = block["type"]
    assert kind in ("text", "image", "tool_result") if role == "user" else kind not in ("image", "tool_result")
    if kind == "text":
        assert block["text"].strip()
    elif kind == "image":
        assert block["source"].get("data") or block["source"].get("url")
    elif kind == "thinking":
        assert block["signature"]
    elif kind == "tool_use":
        assert re.fullmatch("[a-zA-Z0-9_-]+", block["id"])
        assert re.fullmatch("[a-zA-Z0-9_-]{1,128}", block["name"])
        assert isinstance(block["input"], dict)
    elif kind == "tool_result":
        assert block["content"]
        for inner in block["content"]:
            check_block(inner, "user")
            assert inner["type"] == "text" or not block.get("is_error")


def check_server_calls(content: list[dict[str, Any]], *, is_last: bool) -> None:
    """See that the provider's own calls have their results."""
    made = {block["id"] for block in content if block["type"] == "server_tool_use"}
    done = {block["tool_use_id"] for block in content if block["type"] == "web_search_tool_result"}
    assert done <= made
    assert made == done or is_last


@settings(max_examples=400, deadline=None)
@given(
    transcript=TRANSCRIPTS,
    model=st.sampled_from([OLD, NEW, "claude-3-5-haiku-latest", "claude-opus-4-6", "kimi-k2"]),
    thinking=st.sampled_from([None, "off", "low", "xhigh"]),
    limit=st.sampled_from([None, 100, 1500, 64000]),
    is_cached=st.booleans(),
)
def test_any_transcript_makes_a_valid_request(
    transcript: list[Message], model: str, thinking: Any, limit: int | None, *, is_cached: bool
) -> None:
    """P59, P78: whoever made the messages, and wherever they broke off, the provider's rules are kept: see `check_valid`."""
    body = build(
        *transcript,
        model=model,
        system="Be brief.",
        thinking=thinking,
        max_tokens=limit,
        temperature=0.5,
        enable_prompt_caching=is_cached,
    )
    last = next((message for message in reversed(transcript) if isinstance(message, AssistantMessage)), None)
    is_paused = last is not None and last.stop_reason == "pause_turn"
    is_old = model in (OLD, "claude-3-5-haiku-latest") and "budget_tokens" not in body.get("thinking", {})

    check_valid(body, may_end=is_paused or is_old)
    assert json.dumps(body["messages"]).count('"cache_control"') + ("cache_control" in body["system"][-1]) <= 4
    asked = body.get("thinking", {})
    if asked.get("type") == "enabled":
        assert 1024 <= asked["budget_tokens"] < body["max_tokens"]
        assert "temperature" not in body
        spoken = [turn for turn in body["messages"] if turn["role"] == "assistant"]
        if spoken and any(block["type"] == "tool_use" for block in spoken[-1]["content"]):
            assert spoken[-1]["content"][0]["type"] in ("thinking", "redacted_thinking")


def test_results_stand_in_one_message_directly_after_their_calls() -> None:
    """All results of a message's calls are in one user message, first; images inside; what the user said follows."""
    body = build(
        UserMessage("go"),
        answered(ToolCall("a", "look"), ToolCall("b", "look"), reason="tool_use"),
        ToolResultMessage("a", "look", [TextContent("seen"), ImageContent(data="iVBO", mime_type="image/png")]),
        UserMessage("and?"),
        ToolResultMessage("b", "look", "broken", is_error=True),
        tools=(LOOK,),
    )

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    assert turns(body)[2] == (
        "user",
        [
            {"type": "tool_result", "tool_use_id": "a", "content": [text("seen"), image]},
            {"type": "tool_result", "tool_use_id": "b", "content": [text("broken")], "is_error": True},
            text("and?"),
        ],
    )


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_goes() -> None:
    """P59: orphans are repaired, also in the middle, and ids are unique over the whole conversation."""
    body = build(
        UserMessage("go"),
        answered(ToolCall("call_0", "look"), ToolCall("call 0", "look"), reason="tool_use"),
        ToolResultMessage("nobody", "look", "lost"),
        answered(ToolCall("call_0", "look", {"again": 1}), reason="tool_use"),
        ToolResultMessage("call_0", "look", "second"),
        tools=(LOOK,),
    )

    (_, first), (_, repaired), (_, second), (_, given_) = turns(body)[1:]
    assert [block["id"] for block in first + second] == ["call_0", "call_0_2", "call_0_3"]
    assert [(block["tool_use_id"], block["is_error"]) for block in repaired] == [("call_0", True), ("call_0_2", True)]
    assert [(block["tool_use_id"], block["content"]) for block in given_] == [("call_0_3", [text("second")])]


def test_a_call_of_the_providers_own_tool_without_a_result_goes() -> None:
    """P59: in the middle of a conversation nothing can answer it any more; one with its result stays, with it."""
    lost = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "a"}}
    done = {"type": "server_tool_use", "id": "s2", "name": "web_search", "input": {"query": "b"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s2", "content": []}
    said = answered(OpaqueContent(lost), OpaqueContent(done), OpaqueContent(result), TextContent("hi"))

    body = build(UserMessage("go"), said, UserMessage("and?"))

    assert turns(body)[1][1] == [done, result, text("hi")]


def test_thinking_goes_back_verbatim_to_its_maker_alone() -> None:
    """P78: signed, redacted, omitted thinking, opaque blocks and `wire` go back as they came, in order, to no one else.

    Thinking without a signature goes to nobody.
    """
    opaque = {"type": "future", "x": [1]}
    said = answered(
        ThinkingContent("hm", "sig"),
        ThinkingContent("", "omitted"),
        RedactedThinkingContent("EvAB"),
        ThinkingContent("unsigned"),
        TextContent("hi", wire={"citations": [{"url": "u"}]}),
        OpaqueContent(opaque),
        ToolCall("a", "look", {"n": 1}, wire={"caller": {"type": "direct"}}),
        reason="tool_use",
    )
    call = {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}}

    to_maker = turns(build(UserMessage("x"), said, tools=(LOOK,)))[1][1]
    to_other = turns(build(UserMessage("x"), said, tools=(LOOK,), provider="kimi"))[1][1]

    assert to_maker == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "thinking", "thinking": "", "signature": "omitted"},
        {"type": "redacted_thinking", "data": "EvAB"},
        {"type": "text", "text": "hi", "citations": [{"url": "u"}]},
        opaque,
        call | {"caller": {"type": "direct"}},
    ]
    assert to_other == [text("hi"), call]


def test_an_invalid_call_goes_back_without_arguments() -> None:
    """A call that never ran is sent with an empty input, and its result says why."""
    body = build(
        UserMessage("go"),
        answered(InvalidToolCall("a", "look", '{"pa', "cut"), reason="length"),
        ToolResultMessage("a", "look", "the arguments are not JSON", is_error=True),
        tools=(LOOK,),
    )

    assert turns(body)[1][1] == [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]
    assert turns(body)[2][1][0]["is_error"] is True


def test_a_turn_that_was_paused_goes_on_where_it_was() -> None:
    """P78: after `pause_turn` the message is sent back as the last one, its open call with it."""
    use = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    paused = answered(TextContent("let me see"), OpaqueContent(use), reason="pause_turn")
    done = OpaqueContent({"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []})

    waiting = build(UserMessage("x"), paused)
    followed = build(UserMessage("x"), paused, answered(done, TextContent("so")), UserMessage("y"))
    left = build(UserMessage("x"), paused, UserMessage("never mind"))
    elsewhere = build(UserMessage("x"), paused, provider="kimi")

    assert turns(waiting)[-1] == ("assistant", [text("let me see"), use])
    assert turns(followed)[1] == ("assistant", [text("let me see"), use, done.data, text("so")])
    assert turns(left)[1] == ("assistant", [text("let me see")])
    assert [role for role, _ in turns(elsewhere)] == ["user", "assistant", "user"]


def test_a_last_word_of_the_assistant() -> None:
    """Models before 4.6 go on with it (without white space at its end); from then on the user has the last word."""
    old = build(UserMessage("x"), answered(TextContent("It is \n")), model=OLD)
    new = build(UserMessage("x"), answered(TextContent("It is \n")))
    thinking = build(UserMessage("x"), answered(TextContent("It is")), model=OLD, thinking="low", max_tokens=9000)

    assert turns(old)[-1] == ("assistant", [text("It is")])
    assert [turns(body)[-1][0] for body in (new, thinking)] == ["user", "user"]


def test_a_conversation_with_calls_names_its_tools_where_none_is_offered() -> None:
    """A request with calls in it needs tools; where there are none now, those that were called are named, and none may be."""
    body = build(UserMessage("x"), answered(ToolCall("a", "look"), reason="tool_use"), ToolResultMessage("a", "look", "y"))  # fmt: skip

    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


def test_empty_text_is_never_sent() -> None:
    """Blank blocks are dropped, and so is what then is empty."""
    body = build(UserMessage([TextContent(""), TextContent("a")]), answered(TextContent(" ")), UserMessage("\n"), UserMessage("b"), system=" ")  # fmt: skip

    assert turns(body) == [("user", [text("a"), text("b")])]
    assert "system" not in body


@pytest.mark.parametrize(
    ("model", "level", "limit", "expected"),
    [
        (OLD, "minimal", 64000, {"type": "enabled", "budget_tokens": 1024}),
        (OLD, "low", 64000, {"type": "enabled", "budget_tokens": 2048}),
        (OLD, "medium", 64000, {"type": "enabled", "budget_tokens": 8192}),
        (OLD, "high", 64000, {"type": "enabled", "budget_tokens": 16384}),
        (OLD, "xhigh", 64000, {"type": "enabled", "budget_tokens": 32768}),
        (OLD, "xhigh", 10000, {"type": "enabled", "budget_tokens": 8976}),
        (OLD, "high", 1500, {"type": "enabled", "budget_tokens": 1024}),
        (OLD, "high", 1024, None),
        (OLD, "off", 64000, {"type": "disabled"}),
        (OLD, None, 64000, None),
        ("claude-3-7-sonnet-20250219", "low", 64000, {"type": "enabled", "budget_tokens": 2048}),
        ("claude-opus-4-20250514", "low", 64000, {"type": "enabled", "budget_tokens": 2048}),
        ("claude-3-5-haiku-20241022", "low", 64000, None),
        ("kimi-k2", "low", 64000, {"type": "enabled", "budget_tokens": 2048}),
        ("claude-sonnet-4-6", "high", 64000, {"type": "adaptive"}),
        ("anthropic/claude-opus-4.7", "high", 64000, {"type": "adaptive", "display": "summarized"}),
    ],
)
def test_thinking_is_asked_for_as_each_model_wants_it(model: str, level: Any, limit: int, expected: Any) -> None:
    """Budgets up to 4.5, clamped below the limit; from 4.6 on the model decides, and from 4.7 on it is asked to show it."""
    body = build(UserMessage("x"), model=model, thinking=level, max_tokens=limit)

    assert body.get("thinking") == expected


@pytest.mark.parametrize(
    ("model", "level", "effort"),
    [(NEW, "minimal", "low"), (NEW, "xhigh", "xhigh"), ("claude-opus-4-6", "xhigh", "max"), ("claude-sonnet-4-6", "xhigh", "high"), (OLD, "high", None)],
)  # fmt: skip
def test_effort_goes_with_adaptive_thinking(model: str, level: Any, effort: str | None) -> None:
    """From 4.6 on the level is an effort, by the words that the model knows."""
    assert build(UserMessage("x"), model=model, thinking=level).get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [(OLD, None, 0.5), (OLD, "high", None), ("claude-opus-4-6", None, 0.5), (NEW, None, None), ("claude-sonnet-5", None, None), ("kimi-k2", None, 0.5)],
)  # fmt: skip
def test_temperature_is_sent_only_where_it_is_taken(model: str, thinking: Any, expected: float | None) -> None:
    """Not beside thinking, and not to models from 4.7 on; never above 1."""
    body = build(UserMessage("x"), model=model, thinking=thinking, temperature=0.5, max_tokens=20000)

    assert body.get("temperature") == expected
    assert build(UserMessage("x"), model=OLD, temperature=1.7)["temperature"] == 1.0


def test_the_limit_is_the_options_then_the_models_then_a_default() -> None:
    """`max_tokens` is always sent: the option's, else the model's, else what is known of the model, else 8192."""
    by_model = build_request(
        Model("m", provider="anthropic", max_tokens=99), Context(messages=[UserMessage("x")]), StreamOptions(), NOWHERE
    )

    assert build(UserMessage("x"), max_tokens=7)["max_tokens"] == 7
    assert json.loads(by_model)["max_tokens"] == 99
    assert build(UserMessage("x"), model="claude-haiku-4-5")["max_tokens"] == 64_000
    assert build(UserMessage("x"), model="claude-of-tomorrow")["max_tokens"] == 8192


def test_a_model_with_budgets_does_not_think_after_calls_made_without_thinking() -> None:
    """A tool loop that another model began, or the same one without thinking, goes on without: it would be refused."""
    begun = (UserMessage("x"), answered(ToolCall("a", "look"), reason="tool_use"), ToolResultMessage("a", "look", "y"))

    assert "thinking" not in build(*begun, model=OLD, thinking="low", max_tokens=9000, tools=(LOOK,))
    assert build(*begun, thinking="low", tools=(LOOK,))["thinking"]["type"] == "adaptive"


def test_the_body_says_things_in_the_order_in_which_they_are_read() -> None:
    """Tools, system, messages: so that what was cached is a prefix of the bytes too."""
    names = list(build(UserMessage("x"), system="s", tools=(LOOK,)))

    assert names == ["model", "max_tokens", "stream", "tools", "system", "messages"]
