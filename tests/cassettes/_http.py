"""P70 to P74: HTTP around the stream."""

from __future__ import annotations

from tests.cassettes._case import DONE, STOP, Case, answer, case, dump, gzipped, joined, say, split, to_bytes

_COMPLETION = dump(
    {
        "id": "c1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
).encode()
_SLOW = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
_BODY = joined(say("abc"), STOP, DONE)
_PAGE = b"\n<!doctype html><html><h1>Sign in</h1></html>"
_JSON = {"content-type": "application/json"}
_HTML = {"content-type": "text/html"}

CASES: list[Case] = [
    case(
        "P70", "not-a-stream", "JSON, an error, a page, nothing and another content type, at status 200.", "mistral-vibe#619, tinyagents#56, aibridge#56, sub2api#2826",
        answer(_COMPLETION, headers=_JSON, text="whole", usage={"input": 3, "output": 2}),
        answer(b'{"error":{"code":429,"message":"slow"}}', headers=_JSON, error="rate_limited", retryable=True),
        answer(_PAGE, headers=_HTML, error="protocol_error"),
        answer(error="empty_response", retryable=True),
        answer(DONE, error="empty_response", retryable=True),
        answer(_BODY, headers={"content-type": "text/plain"}, text="abc"),
    ),
    case(
        "P71", "statuses", "What a status means, and how long to wait.", "hiring-agent#386, CopilotKit#3842, librefang#4257; RFC 9110",
        answer(_SLOW, status=429, headers={"retry-after": "3"}, error="rate_limited", retryable=True, retry_after=3),
        answer(_SLOW, status=429, headers={"retry-after": "1.2"}, error="rate_limited", retryable=True, retry_after=2),
        answer(_SLOW, status=429, headers={"retry-after-ms": "1500"}, error="rate_limited", retryable=True, retry_after=1.5),
        answer(_SLOW, status=429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, error="rate_limited", retryable=True, retry_after=0),
        answer(_SLOW, status=429, headers={"retry-after": "999999"}, error="rate_limited", retryable=True, retry_after=999999),
        answer(b'{"error":{"message":"overloaded"}}', status=529, error="overloaded", retryable=True),
        answer(b"<html><h1>Bad gateway</h1></html>", status=502, headers=_HTML, error="provider_error", retryable=True),
        answer(b'{"error":{"message":"no such key","type":"invalid_request_error","code":"invalid_api_key"}}', status=401, error="auth"),
        answer(b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}', status=429, error="rate_limited"),
        answer(b'{"error":{"message":"This model\'s maximum context length is 8192 tokens","code":"context_length_exceeded"}}', status=400, error="context_overflow"),
        answer(b'{"error":{"message":"The response was filtered","code":"content_filter"}}', status=400, error="content_filter"),
        answer(b'{"error":{"message":"odd"}}', status=500, headers={"x-should-retry": "false"}, error="provider_error"),
    ),
    case(
        "P72", "stall", "Silence in the middle of an answer.", "kimi-code#1799, lace#370, opencode#16366",
        answer(say("a"), end="left", text="a", error="timeout", retryable=True),
        timeouts={"idle": 0.3},
    ),
    case("P73", "one-request", "A failure is one request: who retries is not the engine. A second one would be a miss.", "lace#370", answer(b'{"error":{"message":"try again"}}', status=503, error="overloaded", retryable=True)),
    case(
        "P74", "delivery", "Compressed, in tiny HTTP chunks, cut, short of its length, torn down, sent elsewhere.", "Kong#14893, sseclient#36, eca#479",
        answer(*gzipped([to_bytes(say("a")), to_bytes(say("b")), joined(STOP, DONE)]), headers={"content-encoding": "gzip"}, text="ab"),
        answer(*split(_BODY, *range(1, len(_BODY), 2)), text="abc"),
        answer(to_bytes(say("a")), to_bytes(say("b"))[:20], end="cut", text="a", error="truncated", retryable=True),
        answer(to_bytes(say("a")), framing="length", length=1000, end="cut", text="a", error="truncated", retryable=True),
        answer(to_bytes(say("a")), framing="length", length=1000, end="reset", text="a", error="truncated", retryable=True),
        answer(_BODY, framing="close", text="abc"),
        answer(b"", status=307, headers={"location": "https://elsewhere.invalid/v1/chat/completions"}, error="redirect"),
    ),
]  # fmt: skip
