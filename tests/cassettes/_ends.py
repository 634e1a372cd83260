"""P22 to P34: how streams end, and errors inside of them."""

from __future__ import annotations

from tests.cassettes._case import CALLS, DONE, STOP, Case, answer, call, case, finish, say

_BROKEN = {"text": "a", "error": "provider_error", "retryable": True}

CASES: list[Case] = [
    case(
        "P22", "no-end", "The body ends, is cut or is reset before the message did.", "oh-my-pi#9433, 9router#4079",
        answer(say("a"), text="a", error="truncated", retryable=True),
        answer(say("a"), end="cut", text="a", error="truncated", retryable=True),
        answer(say("a"), end="reset", text="a", error="truncated", retryable=True),
        answer(call('{"x":1}', index=0, id="c", name="f"), invalid=[("f", '{"x":1}')], error="truncated", retryable=True),
    ),
    case(
        "P23", "done-without-finish", "[DONE] without a finish reason: stop, and calls that parse may run.", "gateways",
        answer(say("a"), DONE, text="a"),
        answer(call('{"x":1}', index=0, id="c", name="f"), DONE, calls=[("f", {"x": 1})]),
    ),
    case(
        "P24", "finish-without-done", "A finish reason, and then the end of the body, a cut or a reset: a success.", "local servers",
        answer(say("a"), STOP, text="a"),
        answer(say("a"), STOP, end="cut", text="a"),
        answer(say("a"), STOP, end="reset", text="a"),
    ),
    case(
        "P25", "openrouter-error", "An error beside choices, with the finish reason `error`.", "OpenRouter docs; verifiers#2600, OmniRoute#8210",
        answer(
            say("a"),
            {"id": "gen-1", "provider": "x", "error": {"code": 502, "message": "Provider disconnected"}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
            DONE, **_BROKEN,
        ),
    ),
    case(
        "P26", "bare-error", "An error as an object, as a text, and empty.", "octo-agent#910, huggingface_hub#2558, llama.cpp#14566",
        answer(say("a"), {"error": {"message": "out of memory", "type": "server_error", "code": 500}}, **_BROKEN),
        answer(say("a"), {"error": "out of memory"}, **_BROKEN),
        answer(say("a"), {"error": {}}, DONE, **_BROKEN),
        answer({"error": {"message": "no such model", "type": "invalid_request_error"}}, error="provider_error"),
    ),
    case("P27", "event-error", "`event: error`.", "LM Studio", answer(say("a"), b'event: error\ndata: {"error": {"message": "the model crashed"}}\n\n', **_BROKEN), answer(say("a"), b"event: error\ndata: the model crashed\n\n", **_BROKEN)),
    case("P28", "error-field", "A field named `error`.", "llama.cpp#16109", answer(say("a"), b'error: {"code":500,"message":"out of memory","type":"server_error"}\n\n', **_BROKEN)),
    case(
        "P29", "unframed-error", "Bare JSON among events, and as all there is.", "lemonade#2826",
        answer(say("a"), b'{"error":{"code":503,"message":"loading","type":"unavailable_error"}}\n\n', text="a", error="overloaded", retryable=True),
        answer(b'{"error":{"code":503,"message":"loading"}}', error="overloaded", retryable=True),
        answer(b'[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]', error="rate_limited", retryable=True),
    ),
    case("P30", "rate-limit", "429 at status 200.", "OpenRouter", answer({"error": {"code": 429, "message": "slow down"}}, error="rate_limited", retryable=True), answer(say("a"), {"error": {"code": "429", "message": "slow down"}}, text="a", error="rate_limited", retryable=True)),
    case("P31", "not-json", "An event that is not JSON ends the stream; what came stays.", "gaia#3501", answer(say("a"), b'data: {"choices":[{"delta"\n\n', say("b"), STOP, DONE, text="a", error="malformed_event")),
    case("P32", "content-filter", "The filter as a finish reason.", "OpenAI, Azure docs", answer(say("a"), finish("content_filter"), DONE, text="a", stop="content_filter")),
    case(
        "P33", "finish-reasons", "Unknown, empty, repeated and changed finish reasons: the last that says something counts.", "gateways; Gemini",
        answer(say("a"), finish("banana"), DONE, text="a"),
        answer(say("a"), finish(""), DONE, text="a"),
        answer(say("a"), STOP, say("b"), STOP, finish(None), DONE, text="ab"),
        answer(say("a"), STOP, finish("length"), finish(""), DONE, text="a", stop="length"),
        answer(say("a"), finish("MAX_TOKENS"), DONE, text="a", stop="length"),
        answer(say("a"), finish("eos"), DONE, text="a"),
        answer(call("{}", index=0, id="c", name="f"), CALLS, DONE, calls=[("f", {})], stop="tool_use"),
        answer(say("a"), finish("insufficient_system_resource"), DONE, text="a", error="overloaded", retryable=True),
        answer(say("a"), finish("malformed_function_call"), DONE, text="a", error="provider_error"),
        answer(say("a"), finish("abort"), DONE, text="a", error="provider_error", retryable=True),
    ),
    case(
        "P34", "proxies", "A proxy reports the failure in band and then [DONE], or drops the connection.", "litellm#39748, open-webui#29697",
        answer(say("a"), {"error": {"message": "upstream failed", "type": "None", "param": "None", "code": "500"}}, DONE, **_BROKEN),
        answer(say("a"), say("b"), end="cut", text="ab", error="truncated", retryable=True),
        answer(say("a"), {"object": "error", "message": "engine died", "type": "InternalServerError", "param": None, "code": 500}, DONE, **_BROKEN),
    ),
]  # fmt: skip
