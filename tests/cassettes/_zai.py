"""P85 to P88, of `zai-completions`."""

from __future__ import annotations

from typing import Any

from tests.cassettes._case import CALLS, DONE, STOP, ZAI, Case, answer, call, case, delta, dump, finish, say, used

_DOCS = "bigmodel.cn docs"
_JSON = {"content-type": "application/json"}


def _case(number: str, name: str, about: str, source: str, *exchanges: Any) -> Case:
    return case(number, name, about, source, *exchanges, api=ZAI)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


_CODES: list[tuple[int, str, str, str, bool]] = [
    (401, "1001", "header not received", "auth", False),
    (401, "1002", "token invalid", "auth", False),
    (429, "1113", "account in arrears", "rate_limited", False),
    (400, "1210", "tokens in request more than max tokens allowed", "context_overflow", False),
    (400, "1211", "no such model", "provider_error", False),
    (500, "1230", "process error", "provider_error", True),
    (400, "1301", "unsafe content", "content_filter", False),
    (429, "1302", "too much at once", "rate_limited", True),
    (429, "1303", "too often", "rate_limited", True),
    (429, "1308", "usage limit reached for 5 hours, resets at 12:00", "rate_limited", False),
    (429, "1313", "fair use", "rate_limited", False),
]

CASES: list[Case] = [
    _case(
        "P85", "finish-reasons", "Blocked, failed, and full.", f"{_DOCS}; any-llm#1200",
        answer(say("a"), finish("sensitive"), DONE, text="a", stop="content_filter"),
        answer(say("a"), finish("network_error"), DONE, text="a", error="provider_error", retryable=True),
        answer(say("a"), finish("model_context_window_exceeded"), DONE, text="a", stop="length"),
    ),
    _case("P86", "codes", "Codes are texts; some 429 pass by themselves and some do not.", _DOCS, *[answer(dump(_error(code, message)).encode(), status=status, error=error, retryable=retryable) for status, code, message, error, retryable in _CODES]),
    _case(
        "P86", "codes-in-band", "The same codes at status 200.", _DOCS,
        answer(_error("1113", "account in arrears"), error="rate_limited"),
        answer(say("a"), _error("1302", "too much at once"), text="a", error="rate_limited", retryable=True),
        answer(dump(_error("1301", "unsafe content")).encode(), headers=_JSON, error="content_filter"),
        answer(dump(_error("1234", "network error")).encode(), headers=_JSON, error="provider_error", retryable=True),
    ),
    _case(
        "P87", "thinking", "Thinking before the calls, whole and unchanged: it goes back with them.", "z.ai docs, interleaved thinking",
        answer(
            delta({"role": "assistant", "reasoning_content": " look \n"}), delta({"reasoning_content": "first "}), call('{"x":1}', index=0, id="call_1", name="f"), finish("tool_calls", usage=used(20, 9, prompt_tokens_details={"cached_tokens": 8})["usage"]), DONE,
            thinking=" look \nfirst ", calls=[("f", {"x": 1})], stop="tool_use", usage={"input": 12, "output": 9, "cache_read": 8},
            content=[{"type": "thinking", "thinking": " look \nfirst "}, {"type": "tool_call", "id": "call_1"}],
        ),
    ),
    _case(
        "P88", "tool-stream", "Arguments in pieces, with tool_stream, and whole without.", "z.ai docs, tool streaming",
        answer(call("", index=0, id="call_1", name="f"), call('{"x"', index=0), call(": 1}", index=0), CALLS, DONE, calls=[("f", {"x": 1})], stop="tool_use"),
        answer(call('{"x": 1}', index=0, id="call_1", name="f"), CALLS, DONE, calls=[("f", {"x": 1})], stop="tool_use"),
        answer(say("a"), STOP, DONE, text="a"),
    ),
]  # fmt: skip
