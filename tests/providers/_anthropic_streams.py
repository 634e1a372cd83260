"""Bodies for the decoders of `anthropic-messages`: good events, odd ones, and whole messages."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.providers._streams import HALVES, NUMBERS, ODD, TEXTS, Raw, bodies_of, maybe, objects

_INDICES = st.sampled_from([0, 0, 0, 1, 2, Raw("0.0"), Raw("-1"), None])
_JSON_PIECES = st.one_of(st.sampled_from(['{"a', '":1}', "{", "}", "[]", "1", "", " ", '"x"', "NaN"]), TEXTS)
_INPUTS: st.SearchStrategy[Any] = st.one_of(st.just({}), st.just({"a": 1}), ODD)
_TYPES = st.sampled_from(
    [
        "text",
        "thinking",
        "tool_use",
        "redacted_thinking",
        "server_tool_use",
        "web_search_tool_result",
        "container_upload",
    ]
)
_STARTS = st.one_of(
    st.just({"type": "text", "text": ""}),
    st.just({"type": "thinking", "thinking": "", "signature": ""}),
    objects({"type": st.just("tool_use"), "id": TEXTS, "name": TEXTS, "input": _INPUTS}),
    maybe({
        "type": _TYPES, "text": TEXTS, "thinking": TEXTS, "signature": TEXTS, "data": TEXTS, "id": TEXTS, "name": TEXTS, "input": _INPUTS,
        "citations": st.lists(ODD, max_size=2), "caller": ODD, "content": ODD,
    }),
)  # fmt: skip
_DELTAS = st.one_of(
    objects({"type": st.just("text_delta"), "text": TEXTS}),
    objects({"type": st.just("thinking_delta"), "thinking": TEXTS}),
    objects({"type": st.just("input_json_delta"), "partial_json": _JSON_PIECES}),
    maybe({
        "type": st.sampled_from(["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta", "future_delta"]),
        "text": TEXTS, "thinking": TEXTS, "signature": st.one_of(TEXTS, HALVES), "partial_json": _JSON_PIECES, "citation": st.just({"url": "u"}),
        "content": TEXTS,
    }),
)  # fmt: skip
_COUNTERS = maybe({
    "input_tokens": NUMBERS, "output_tokens": NUMBERS, "cache_read_input_tokens": NUMBERS, "cache_creation_input_tokens": NUMBERS, "cost": NUMBERS,
    "cache_creation": maybe({"ephemeral_5m_input_tokens": NUMBERS, "ephemeral_1h_input_tokens": NUMBERS}),
    "output_tokens_details": maybe({"thinking_tokens": NUMBERS}),
})  # fmt: skip
_REASONS = st.sampled_from(["end_turn", "tool_use", "pause_turn", "", None, "\ud83d"])
_MESSAGE = {"type": st.just("message"), "id": TEXTS, "model": TEXTS, "usage": _COUNTERS, "content": st.lists(_STARTS, max_size=3), "stop_reason": _REASONS}  # fmt: skip
_EVENTS = st.one_of(
    objects({"type": st.just("message_start"), "message": maybe(_MESSAGE)}),
    objects({"type": st.just("content_block_start"), "index": _INDICES, "content_block": _STARTS}),
    objects({"type": st.just("content_block_delta"), "index": st.integers(0, 1), "delta": _DELTAS}),
    objects({"type": st.just("content_block_delta"), "index": _INDICES, "delta": _DELTAS}),
    objects({"type": st.just("content_block_stop"), "index": _INDICES}),
    maybe({"type": st.just("message_delta"), "usage": _COUNTERS, "delta": maybe({"stop_reason": _REASONS, "stop_sequence": ODD})}),
    maybe({"type": st.sampled_from(["ping", "future"]), "index": _INDICES, "delta": _DELTAS, "content_block": _STARTS, "message": ODD}),
)  # fmt: skip
_ERRORS = st.one_of(
    objects({"type": st.just("error")}, sometimes={"error": ODD, "request_id": TEXTS}),
    maybe({"base_resp": maybe({"status_code": NUMBERS}), "object": st.just("error"), "error": ODD, "type": st.just("content_block_delta")}),
    maybe(_MESSAGE),
    ODD,
)  # fmt: skip

ANTHROPIC_BODIES = bodies_of(
    _EVENTS,
    _ERRORS,
    st.sampled_from([
        b'data: {"type":"message_stop"}\n\n', b'event: message_stop\ndata: {"type":"message_stop"}\n\ndata: [DONE]\n\n',
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}\n\n',
    ]),
)  # fmt: skip
"""Bodies of streams, and of messages that come as one JSON document among other things."""
