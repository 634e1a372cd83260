"""Transcripts such as long conversations over several providers leave behind, and what a receiver would refuse of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    CustomMessage,
    ImageContent,
    InvalidToolCall,
    Message,
    Model,
    OpaqueContent,
    RedactedThinkingContent,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)

MAKERS: Final = (
    "openrouter:anthropic/claude-opus-4.6", "openrouter:openai/gpt-5.4", "openai:gpt-5.4", "azure:gpt-5.4",
    "deepseek:deepseek-v4-pro", "deepseek:deepseek-r1", "mistral:mistral-large-2512", "groq:openai/gpt-oss-120b",
    "cerebras:gpt-oss-120b", "xai:grok-4.5", "gemini:gemini-3.8-flash", "vllm:Qwen/Qwen3-8B", "llama.cpp:any", "ollama:qwen3:8b",
    "lmstudio:any", "litellm:any", "chutes:any", "featherless:any", "anthropic:claude-opus-5", "minimax:MiniMax-M2",
)  # fmt: skip
RECEIVERS: Final = MAKERS[:-2]

TEXTS: Final = st.one_of(
    st.sampled_from(["", " ", "hello", "é😀", "\0", "a\0b", "\ud83d", "\ude00x", "\\u0000", "\u2028"]),
    st.text(max_size=5),
)
_IDS: Final = st.one_of(
    st.sampled_from(
        ["call_0", "call_1", "abcdefghi", "", "id with spaces", "x" * 60, "x" * 59 + "y", "toolu_01", "\ud83d"]
    ),
    TEXTS,
)
_NAMES: Final = st.one_of(st.sampled_from(["look", "look", "a.b", "x" * 70, "", "\0"]), TEXTS)
_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    st.one_of(
        TEXTS,
        st.integers(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.just(10**30),
        st.just(float("nan")),
        st.just(float("-inf")),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)
_OBJECTS: Final = st.dictionaries(TEXTS, _VALUES, max_size=2)


def mark(maker: str) -> str:
    """Give a text that only `maker` may ever see again."""
    return f"made by <{maker}>"


@st.composite
def _wires(draw: st.DrawFn, maker: str) -> dict[str, Any] | None:
    if draw(st.booleans()):
        return None
    return {"x_signature": mark(maker), "x_more": draw(_VALUES)}


@st.composite
def _details(draw: st.DrawFn, maker: str) -> dict[str, Any] | None:
    if draw(st.booleans()):
        return None
    return {"reasoning_details": [{"type": "reasoning.text", "text": draw(TEXTS), "signature": mark(maker)}]}


def _images() -> st.SearchStrategy[Content]:
    return st.sampled_from(
        [ImageContent(url="https://a.example/x.png"), ImageContent(data="aGk="), ImageContent(data="aGk=", mime_type="image/gif"),
         ImageContent(), ImageContent(url="")]
    )  # fmt: skip


@st.composite
def _blocks(draw: st.DrawFn, maker: str) -> Content:
    """Any kind of content that a model may have made."""
    match draw(st.integers(0, 7)):
        case 0:
            return TextContent(draw(TEXTS), wire=draw(_wires(maker)))
        case 1:
            return ThinkingContent(f"{draw(TEXTS)} {mark(maker)}", mark(maker), wire=draw(_details(maker)))
        case 2:
            return RedactedThinkingContent(mark(maker))
        case 3:
            return InvalidToolCall(draw(_IDS), draw(_NAMES), mark(maker), "cut", draw(_wires(maker)))
        case 4:
            return OpaqueContent({"type": "server_tool_use", "input": mark(maker)})
        case 5:
            return draw(_images())
    return ToolCall(draw(_IDS), draw(_NAMES), draw(_OBJECTS), draw(_wires(maker)))


@st.composite
def _answers(draw: st.DrawFn) -> AssistantMessage:
    maker = draw(st.sampled_from(MAKERS))
    model = Model.parse(maker)
    content = draw(st.lists(_blocks(maker), max_size=4))
    reason = draw(st.sampled_from(["stop", "tool_use", "length", "aborted", "refusal"]))
    return AssistantMessage(content, reason, api=model.api, provider=model.provider, model=model.id)


_SAID: Final = st.lists(st.one_of(TEXTS.map(TextContent), _images(), st.just(ThinkingContent("odd"))), max_size=3)
_RESULTS: Final = st.builds(ToolResultMessage, _IDS, _NAMES, _SAID, is_error=st.booleans())
_MESSAGES: Final[st.SearchStrategy[Message]] = st.one_of(
    st.builds(UserMessage, _SAID),
    _answers(),
    _answers(),
    _RESULTS,
    st.just(CustomMessage("note", {"text": "for programs"})),
)


@st.composite
def transcripts(draw: st.DrawFn) -> list[Message]:
    """Messages in any order; most calls have a result somewhere, some have none, some results have no call."""
    messages: list[Message] = []
    for message in draw(st.lists(_MESSAGES, max_size=6)):
        messages.append(message)
        if isinstance(message, AssistantMessage):
            calls = [block for block in message.content if isinstance(block, ToolCall | InvalidToolCall)]
            answered = (call for call in draw(st.permutations(calls)) if draw(st.integers(0, 3)))
            messages += [ToolResultMessage(call.id, call.name, draw(_SAID)) for call in answered]
    return messages


def same_maker(one: str, other: str) -> bool:
    """Whether two models are of one maker: of one provider, and behind a router of one vendor."""
    left, right = Model.parse(one), Model.parse(other)
    if (left.provider, left.api) != (right.provider, right.api):
        return False
    return left.provider != "openrouter" or left.id.split("/")[0] == right.id.split("/")[0]


def problems_of(content: bytes, receiver: str) -> list[str]:
    """Give what the receiver would refuse of a request, or must not see."""
    problems: list[str] = []
    text = content.decode()
    body = json.loads(text, parse_constant=lambda word: problems.append(f"a number {word}"))
    problems += [f"{maker} is seen" for maker in MAKERS if mark(maker) in text and not same_maker(maker, receiver)]
    _walk(body, problems)
    messages = body["messages"]
    for place, message in enumerate(messages):
        before = messages[place - 1] if place else {"role": "", "content": ""}
        problems += [f"messages[{place}]: {problem}" for problem in _message_problems(message, before, receiver, place)]
    return problems + _order_problems(messages, receiver)


def _walk(value: Any, problems: list[str]) -> None:
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            problems.append(f"a text that cannot be taken: {value!r}")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            _walk(name, problems)
            _walk(member, problems)
    elif isinstance(value, list):
        for member in value:
            _walk(member, problems)


def _message_problems(message: dict[str, Any], before: dict[str, Any], receiver: str, place: int) -> list[str]:
    problems = []
    role, content = message["role"], message.get("content")
    provider, _, model_id = receiver.partition(":")
    if role in ("system", "developer") and place:
        problems.append("the system speaks in the middle")
    if not isinstance(content, str | list) or content == []:
        problems.append(f"content is {content!r}")
    if isinstance(content, list):
        problems += [f"part {part!r}" for part in content if not _is_part(part)]
        if role != "user":
            problems.append("parts outside of the user's message")
        if (
            provider == "deepseek"
            and model_id == "deepseek-v4-pro"
            and any(part["type"] == "image_url" for part in content)
        ):
            problems.append("an image for a model that cannot see")
    if role == "assistant" and not content and not message.get("tool_calls"):
        problems.append("an assistant who says nothing")
    if role == "assistant" and receiver == "deepseek:deepseek-v4-pro" and "reasoning_content" not in message:
        problems.append("no reasoning_content")
    if role == "user" and before["role"] == "tool" and provider == "mistral":
        problems.append("the user directly after a tool")
    if role == "tool" and provider == "mistral" and not message.get("name"):
        problems.append("a result without a name")
    return problems


def _is_part(part: dict[str, Any]) -> bool:
    if part["type"] == "text":
        return bool(part["text"])
    return part["type"] == "image_url" and str(part["image_url"]["url"]).startswith(("data:image/", "https://"))


def _order_problems(messages: list[dict[str, Any]], receiver: str) -> list[str]:
    """Each call has exactly one result, directly after its message; ids are unique and of the form that is wanted."""
    wanted = r"[A-Za-z0-9]{9}" if receiver.startswith("mistral:") else r"[A-Za-z0-9_-]{1,40}"
    problems: list[str] = []
    seen: set[str] = set()
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                problems.append(f"a result of no call: {message['tool_call_id']!r}")
            else:
                waiting.remove(message["tool_call_id"])
            continue
        problems += [f"no result of {call_id!r}" for call_id in waiting]
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        for call in message.get("tool_calls", ()):
            if call["id"] in seen or not re.fullmatch(wanted, call["id"]):
                problems.append(f"the id {call['id']!r}")
            if call["type"] != "function" or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call["function"]["name"]):
                problems.append(f"the name {call['function']['name']!r}")
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                problems.append("arguments that are no object")
            seen.add(call["id"])
    return problems + [f"no result of {call_id!r}" for call_id in waiting]
