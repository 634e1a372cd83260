"""P75 to P78, and what else is different, of `anthropic-messages`."""

from __future__ import annotations

from typing import Any

from tests.cassettes._case import ANTHROPIC, DONE, Case, answer, case, dump, joined, split

_USED = {"usage": {"input": 25, "output": 15}}


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {dump({'type': kind, **members})}\n\n".encode()


def _start(**usage: Any) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 1, **usage},
    }
    return _event("message_start", message=message)


def _open(index: int = 0, kind: str = "text", **members: Any) -> bytes:
    block: dict[str, Any] = {"type": kind, **({"text": ""} if kind == "text" else {}), **members}
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, kind: str, **members: Any) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": kind, **members})


def _text(text: str, index: int = 0) -> bytes:
    return _delta(index, "text_delta", text=text)


def _json(text: str, index: int = 0) -> bytes:
    return _delta(index, "input_json_delta", partial_json=text)


def _close(index: int = 0) -> bytes:
    return _event("content_block_stop", index=index)


def _tool(index: int = 0, name: str = "f", **members: Any) -> bytes:
    return _open(index, "tool_use", **{"id": f"toolu_{index}", "name": name, "input": {}, **members})


def _end(reason: str = "end_turn", **usage: Any) -> bytes:
    return _event(
        "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 15, **usage}
    )


_LAST = _event("message_stop")
_HELLO = _open() + _text("hello") + _close()
_DOCS = "Anthropic docs, streaming messages"


def _case(number: str, name: str, about: str, source: str, *exchanges: Any) -> Case:
    return case(number, name, about, source, *exchanges, api=ANTHROPIC)


_WHOLE = joined(_start(), _open(), _text("日本語 😀"), _close(), _end(), _LAST)

CASES: list[Case] = [
    _case("P01", "split-characters", "Characters cut in two by the network.", "librefang#3448", answer(*split(_WHOLE, *range(_WHOLE.index("日".encode()) + 1, _WHOLE.index("😀".encode()) + 3)), text="日本語 😀", **_USED)),
    _case("P22", "no-end", "The body ends before message_stop and before a stop reason.", _DOCS, answer(_start(), _open(), _text("hel"), text="hel", error="truncated", retryable=True, usage={"input": 25, "output": 1}), answer(_start(), _HELLO, end="cut", text="hello", error="truncated", retryable=True, usage={"input": 25, "output": 1})),
    _case("P24", "stop-reason-without-stop", "A stop reason, and then the end of the body: a success.", "gateways", answer(_start(), _HELLO, _end(), text="hello", **_USED), answer(_start(), _HELLO, _end(), end="reset", text="hello", **_USED)),
    _case(
        "P33", "stop-reasons", "Each stop reason.", _DOCS,
        *[answer(_start(), _HELLO, _end(reason), _LAST, text="hello", stop=stop, **_USED) for reason, stop in (("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("tool_use", "tool_use"), ("something_new", "stop"))],
    ),
    _case(
        "P71", "statuses", "Errors by status, in Anthropic's shape.", "Anthropic docs, errors",
        *[
            answer(dump({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode(), status=status, error=error, retryable=retryable)
            for status, kind, message, error, retryable in (
                (401, "authentication_error", "invalid x-api-key", "auth", False),
                (403, "permission_error", "not yours", "auth", False),
                (404, "not_found_error", "model: nope", "provider_error", False),
                (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context_overflow", False),
                (429, "rate_limit_error", "This request would exceed your rate limit", "rate_limited", True),
                (500, "api_error", "Internal server error", "provider_error", True),
                (529, "overloaded_error", "Overloaded", "overloaded", True),
            )
        ],
    ),
    _case(
        "P75", "pings-and-strangers", "Pings anywhere; events, deltas and blocks that are not known.", "Anthropic docs, versioning",
        answer(
            _event("ping"), _start(), _event("ping"), _event("brand_new", payload={"a": 1}), _open(), _event("ping"), _text("hel"),
            _delta(0, "sparkle_delta", sparkle="*"), _text("lo"), _close(), _event("ping"), _end(), _LAST, text="hello", **_USED,
        ),
    ),
    _case(
        "P75", "errors", "An error event in the middle, and as the first.", "anthropic-sdk#688, #1918; agent-os#2118; ai#10653",
        answer(_start(), _open(), _text("hel"), _event("error", error={"type": "overloaded_error", "message": "Overloaded"}), text="hel", error="overloaded", retryable=True, usage={"input": 25, "output": 1}),
        answer(_event("error", error={"type": "overloaded_error", "message": "Overloaded"}), error="overloaded", retryable=True),
        answer(_event("error", error={"type": "rate_limit_error", "message": "slow"}, request_id="req_1"), error="rate_limited", retryable=True),
        answer(_event("error", error={"type": "invalid_request_error", "message": "no"}), error="provider_error"),
        answer(b'data: {"type":"error","error":{"type":"api_error","message":"broken"}}\n\n', error="provider_error", retryable=True),
    ),
    _case(
        "P76", "usage", "Counters at the start and at the end: cumulative; null keeps; the cache stands beside the input.", "rust-genai#258, langchainjs#11195, ai-gateway#2239, pi-mono#1045",
        answer(_start(cache_creation_input_tokens=100, cache_read_input_tokens=1000), _HELLO, _end(), _LAST, text="hello", usage={"input": 25, "output": 15, "cache_read": 1000, "cache_write": 100}),
        answer(_start(), _HELLO, _end(input_tokens=30, cache_read_input_tokens=7, output_tokens=9), _LAST, text="hello", usage={"input": 30, "output": 9, "cache_read": 7}),
        answer(_start(cache_read_input_tokens=7), _HELLO, _end(input_tokens=None, cache_read_input_tokens=None, cache_creation_input_tokens=None), _LAST, text="hello", usage={"input": 25, "output": 15, "cache_read": 7}),
        answer(_start(), _HELLO, _end(output_tokens=4), _end(output_tokens=9), _LAST, text="hello", usage={"input": 25, "output": 9}),
    ),
    _case(
        "P77", "tools", "Empty pieces, no pieces, input at the start, interleaved, cut, without their ends, and without names of events.", "Anthropic docs; sdk#794",
        answer(_start(), _tool(), _json(""), _json('{"x":'), _json("1}"), _close(), _end("tool_use"), _LAST, calls=[("f", {"x": 1})], stop="tool_use", **_USED),
        answer(_start(), _tool(), _close(), _end("tool_use"), _LAST, calls=[("f", {})], stop="tool_use", **_USED),
        answer(_start(), _tool(input={"x": 1}), _close(), _end("tool_use"), _LAST, calls=[("f", {"x": 1})], stop="tool_use", **_USED),
        answer(_start(), _tool(0), _tool(1, "g"), _json('{"y":', 1), _json('{"x":', 0), _json("2}", 1), _json("1}", 0), _close(0), _close(1), _end("tool_use"), _LAST, calls=[("f", {"x": 1}), ("g", {"y": 2})], stop="tool_use", **_USED),
        answer(_start(), _tool(), _json('{"x": "a'), _close(), _end("max_tokens"), _LAST, invalid=[("f", '{"x": "a')], stop="length", **_USED),
        answer(_start(), _tool(), _json('{"x":1}'), _end("tool_use"), _LAST, calls=[("f", {"x": 1})], stop="tool_use", **_USED),
        answer(joined(_start(), _HELLO, _end(), _LAST).replace(b"event: ", b": "), text="hello", **_USED),
        answer(_start(), _open(text="hel"), _text("lo"), _close(), _end(), _LAST, text="hello", **_USED),
    ),
    _case(
        "P78", "thinking", "A signature, redacted thinking, thinking that is left out: all kept as they came.", "Anthropic docs, extended thinking; pi-mono#1665",
        answer(
            _start(), _open(0, "thinking", thinking="", signature=""), _delta(0, "thinking_delta", thinking="h"), _delta(0, "thinking_delta", thinking="m"), _delta(0, "signature_delta", signature="c2ln"), _close(0),
            _open(1, "redacted_thinking", data="cmVk"), _close(1), _open(2), _text("a", 2), _close(2), _end(), _LAST,
            text="a", thinking="hm", content=[{"type": "thinking", "thinking": "hm", "thinking_signature": "c2ln"}, {"type": "redacted_thinking", "data": "cmVk"}, {"type": "text", "text": "a"}], **_USED,
        ),
        answer(
            _start(), _open(0, "thinking", thinking="", signature=""), _delta(0, "signature_delta", signature="c2ln"), _close(0), _open(1), _text("a", 1), _close(1), _end(), _LAST,
            text="a", content=[{"type": "thinking", "thinking": "", "thinking_signature": "c2ln"}, {"type": "text", "text": "a"}], **_USED,
        ),
    ),
    _case(
        "P78", "refusal-and-pause", "A refusal and a pause are what they are; a [DONE] behind the end does not count.", "Anthropic docs, stop reasons",
        answer(_start(), _HELLO, _end("refusal"), _LAST, text="hello", stop="refusal", **_USED),
        answer(_start(), _HELLO, _end("pause_turn"), _LAST, text="hello", stop="pause_turn", **_USED),
        answer(_start(), _HELLO, _end(), _LAST, DONE, text="hello", **_USED),
        answer(_start(), _end(output_tokens=2), _LAST, usage={"input": 25, "output": 2}),
    ),
]  # fmt: skip
