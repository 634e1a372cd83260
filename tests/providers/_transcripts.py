"""Random transcripts: of any makers, cut anywhere, with calls that have no result and results that have no call."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    CustomMessage,
    ImageContent,
    InvalidToolCall,
    Message,
    OpaqueContent,
    RedactedThinkingContent,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)

_TEXTS = st.sampled_from(["", " ", "\n", "hello", "tail \n", "é\ud83d", "a\0b"])
_IDS = st.sampled_from(["call_0", "call_1", "a b", "a.b", "", "x" * 100, "é"])
_NAMES = st.sampled_from(["look", "web.look", "", "n" * 200])
_MARKS = st.sampled_from([None, None, {"type": "ephemeral"}])
_WIRES = st.sampled_from([None, {"caller": {"type": "direct"}}])
_IMAGES = st.builds(
    ImageContent,
    url=st.sampled_from([None, "", "https://x.example/a.png", "data:image/gif;base64,R0lG"]),
    data=st.sampled_from([None, "iVBO"]),
    cache_control=_MARKS,
)
_SAID: st.SearchStrategy[Content] = st.one_of(st.builds(TextContent, _TEXTS, cache_control=_MARKS), _IMAGES)
_SERVER: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"type": st.just("server_tool_use"), "id": _IDS, "name": st.just("web_search"), "input": st.sampled_from([{}, {"q": 1}, '{"q'])}),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "tool_use_id": _IDS, "content": st.just([])}),
    st.just({"type": "future", "x": 1}), st.just({"no": "type"}),
)  # fmt: skip
_ANSWERED: st.SearchStrategy[Content] = st.one_of(
    st.builds(TextContent, _TEXTS, wire=_WIRES),
    st.builds(ThinkingContent, _TEXTS, st.sampled_from([None, "", "sig"])),
    st.builds(RedactedThinkingContent, st.just("EvAB")),
    st.builds(ToolCall, _IDS, _NAMES, st.sampled_from([{}, {"a": 1}, {"a": "\ud83d"}]), _WIRES),
    st.builds(ToolCall, _IDS, st.just("look")),
    st.builds(InvalidToolCall, _IDS, _NAMES, st.just('{"a'), st.just("cut")),
    st.builds(OpaqueContent, _SERVER),
    _IMAGES,
)
_MAKERS = st.sampled_from(
    [
        ("anthropic", "anthropic-messages"),
        ("anthropic", "anthropic-messages"),
        ("openrouter", "openai-completions"),
        ("kimi", "anthropic-messages"),
        ("", ""),
    ]
)
_ASSISTANT = st.builds(
    lambda content, reason, maker: AssistantMessage(content, reason, provider=maker[0], api=maker[1]),
    st.lists(_ANSWERED, max_size=4),
    st.sampled_from(["stop", "tool_use", "length", "pause_turn", "refusal", "aborted"]),
    _MAKERS,
)
_MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(UserMessage, st.lists(_SAID, max_size=3)),
    _ASSISTANT,
    _ASSISTANT,
    st.builds(ToolResultMessage, _IDS, st.just("look"), st.lists(_SAID, max_size=2), is_error=st.booleans()),
    st.builds(ToolResultMessage, _IDS, st.just("look"), st.lists(_SAID, max_size=2), is_error=st.booleans()),
    st.builds(CustomMessage, st.just("note")),
)

TRANSCRIPTS = st.lists(_MESSAGES, max_size=10)
