"""P79 to P84, of `minimax-completions`."""

from __future__ import annotations

from typing import Any

from tests.cassettes._case import DONE, MINIMAX, STOP, Case, answer, case, delta, dump, finish, say

_DOCS = "MiniMax docs, error codes"


def _base(code: int, message: str = "no") -> dict[str, Any]:
    return {"base_resp": {"status_code": code, "status_msg": message}}


def _case(number: str, name: str, about: str, source: str, *exchanges: Any, **options: Any) -> Case:
    return case(number, name, about, source, *exchanges, api=MINIMAX, **options)


def _details(text: str) -> dict[str, Any]:
    return delta(
        {
            "role": "assistant",
            "content": "",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "id": "reasoning-text-1",
                    "format": "MiniMax-response-v1",
                    "index": 0,
                    "text": text,
                }
            ],
        }
    )


def _whole(text: str, **message: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {"total_tokens": 15, "prompt_tokens": 10, "completion_tokens": 5},
        **_base(0, ""),
    }


_CODES: list[tuple[int, str, str, bool]] = [
    (1000, "unknown error", "provider_error", True),
    (1001, "request timed out", "timeout", True),
    (1002, "rate limit", "rate_limited", True),
    (1004, "not authorized", "auth", False),
    (1008, "insufficient balance", "rate_limited", False),
    (1013, "something else", "provider_error", False),
    (1024, "internal error", "provider_error", True),
    (1026, "input sensitive", "content_filter", False),
    (1027, "output sensitive", "content_filter", False),
    (1028, "plan used up", "rate_limited", False),
    (1033, "system error", "provider_error", True),
    (1039, "token limit", "rate_limited", True),
    (1039, "context window exceeds limit", "context_overflow", False),
    (1041, "connection limit", "rate_limited", True),
    (1042, "bad characters", "provider_error", False),
    (2013, "invalid params, invalid chat setting", "provider_error", False),
    (2013, "invalid params, context window exceeds limit", "context_overflow", False),
    (2049, "invalid api key", "auth", False),
    (2056, "usage limit", "rate_limited", False),
    (2061, "plan does not hold this model", "rate_limited", False),
]

CASES: list[Case] = [
    _case("P79", "codes-in-bodies", "Each code as the whole body, at status 200.", _DOCS, *[answer(dump(_base(code, message)).encode(), headers={"content-type": "application/json"}, error=error, retryable=retryable) for code, message, error, retryable in _CODES]),
    _case(
        "P79", "codes-in-events", "A code in an event and beside null choices; 0 is success; the other shape.", _DOCS,
        answer(say("a"), {**_base(1002, "rate limit"), "id": "1"}, text="a", error="rate_limited", retryable=True),
        answer({"id": "1", "choices": None, "created": 1, **_base(1004, "not authorized")}, DONE, error="auth"),
        answer(say("a", **_base(0, "")), finish("stop", **_base(0, "")), DONE, text="a"),
        answer(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow","http_code":"429"},"request_id":"1"}', headers={"content-type": "application/json"}, error="rate_limited", retryable=True),
    ),
    _case(
        "P80", "whole-at-the-end", "The last event is a whole completion: its usage and finish count, its text does not, unless nothing came before.", "BitFun#792",
        answer(say("hel"), say("lo"), _whole("hello"), DONE, text="hello", usage={"input": 10, "output": 5}),
        answer(_whole("hello"), DONE, text="hello", usage={"input": 10, "output": 5}),
        answer(_details("hm"), say("hello"), _whole("hello", reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "hm"}]), DONE, text="hello", thinking="hm", usage={"input": 10, "output": 5}),
    ),
    _case("P81", "placeholders", "Usage of zeros tells nothing.", "MiniMax-M2.5#2", answer(say("a", usage={"total_tokens": 0, "total_characters": 0}), finish("stop", usage={"total_tokens": 0, "prompt_tokens": 0, "completion_tokens": 0}), DONE, text="a")),
    _case(
        "P82", "empty-members", "Empty members, and null choices, change nothing.", "MiniMax-M2.5#2",
        answer({"id": "1", "choices": None, **_base(0, "")}, delta({"role": "", "content": "a", "name": "MiniMax AI", "audio_content": "", "reasoning_content": ""}, input_sensitive=False, output_sensitive=False, input_sensitive_type=0), delta({"role": "", "content": "b", "reasoning_content": ""}), STOP, DONE, text="ab"),
    ),
    _case(
        "P83", "reasoning-details", "Pieces that go on, and pieces that hold all there was so far.", "MiniMax docs; MiniMax-M2#95",
        answer(_details("one "), _details("two"), say("a"), STOP, DONE, text="a", thinking="one two"),
        answer(_details("one "), _details("one two"), _details("one two three"), say("a"), STOP, DONE, text="a", thinking="one two three"),
        answer(_details("ha"), _details("ha"), say("a"), STOP, DONE, text="a", thinking="haha"),
    ),
    _case("P50", "think-tags", "Thinking inside of the text, where it is not split off.", "MiniMax docs", answer(say("<think>\nh"), say("m\n</th"), say("ink>a"), STOP, DONE, text="a", thinking="\nhm\n"), think_tags=True),
    _case("P84", "temperature", "What the provider says to a temperature of 0, which is never sent.", "MiniMax docs", answer(dump(_base(2013, "invalid params, invalid temperature")).encode(), headers={"content-type": "application/json"}, error="provider_error")),
]  # fmt: skip
