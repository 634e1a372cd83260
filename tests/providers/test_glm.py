"""What GLM's endpoint sends (P85, P86, P88), over real sockets, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.conftest import Ask
from tinyagent_actors.messages import ThinkingContent
from tinyagent_actors.testing import Reply

JSON = {"content-type": "application/json"}


@pytest.fixture
def ask(engine: str) -> Ask:
    """Ask in the dialect of GLM."""
    return Ask(engine, "zai-completions")


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Give a chunk."""
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, **({"finish_reason": finish} if finish else {})}
    return {"id": "g1", "created": 1, "model": "glm-4.7", "choices": [choice]}


def refusal(code: object, words: str, status: int) -> Reply:
    """Give an answer with an error in GLM's shape."""
    return Reply(status=status, body=json.dumps({"error": {"code": code, "message": words}}).encode(), headers=JSON)


async def test_thinking_is_a_member_of_its_own(ask: Ask) -> None:
    """P48: `reasoning_content`, then text; usage with what was cached."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    said = [chunk(reasoning_content="\nThe"), chunk(reasoning_content=" user"), chunk(content="\nHi <think>")]

    answer = await ask(Reply.events(*said, {**chunk("stop", content=""), "usage": usage}, "[DONE]"))

    thinking, _ = answer.message.content
    assert isinstance(thinking, ThinkingContent)
    assert (thinking.thinking, answer.text) == ("\nThe user", "\nHi <think>")
    assert answer.message.usage is not None
    assert (answer.message.usage.input, answer.message.usage.cache_read) == (6, 4)


async def test_blocked_in_the_middle(ask: Ask) -> None:
    """P85: `sensitive` is `content_filter`; what came before stays."""
    answer = await ask(Reply.events(chunk(content="so"), chunk("sensitive"), "[DONE]"))

    assert (answer.text, answer.message.stop_reason, answer.message.raw_stop_reason, answer.kind) == (
        "so",
        "content_filter",
        "sensitive",
        None,
    )


async def test_inference_that_failed(ask: Ask) -> None:
    """P85: `network_error` is an error that may pass; a call of such a message does not run."""
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}

    answer = await ask(Reply.events(chunk(content="so", tool_calls=[call]), chunk("network_error"), "[DONE]"))

    assert answer.message.error is not None
    assert (answer.text, answer.kind, answer.message.error.retryable) == ("so", "provider_error", True)
    assert (answer.message.tool_calls, len(answer.message.invalid_tool_calls)) == ((), 1)


async def test_a_full_window_cuts(ask: Ask) -> None:
    """P85: `model_context_window_exceeded` is `length`: no error, and a call of such a message does not run."""
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}

    answer = await ask(Reply.events(chunk(tool_calls=[call]), chunk("model_context_window_exceeded"), "[DONE]"))

    assert (answer.message.stop_reason, answer.kind, answer.message.tool_calls) == ("length", None, ())


CODES = [
    ("1000", "Authentication Failed", 401, "auth", False),
    ("1004", "Authentication Token expired", 401, "auth", False),
    ("1112", "Your account has been locked", 429, "auth", False),
    ("1113", "Your account is in arrears, please recharge", 429, "rate_limited", False),
    ("1210", "API call parameters are incorrect", 400, "provider_error", False),
    ("1210", "tokens in request more than max tokens allowed", 400, "context_overflow", False),
    ("1211", "Model does not exist", 400, "provider_error", False),
    ("1220", "You do not have permission", 403, "auth", False),
    ("1230", "API call process error", 500, "provider_error", True),
    ("1234", "Network error, please contact customer service", 400, "provider_error", True),
    ("1261", "Prompt exceeds max length", 400, "context_overflow", False),
    ("1300", "API call blocked by strategy", 400, "content_filter", False),
    ("1301", "possibly unsafe or sensitive content", 400, "content_filter", False),
    ("1302", "High concurrency usage of this API", 429, "rate_limited", True),
    ("1303", "High frequency usage of this API", 429, "rate_limited", True),
    ("1304", "Daily call limit for this API reached", 429, "rate_limited", False),
    ("1305", "The API has triggered a rate limit", 429, "overloaded", True),
    ("1308", "Usage limit reached for 5 hour. Your limit will reset at noon", 429, "rate_limited", False),
    ("1310", "Weekly limit exhausted", 429, "rate_limited", False),
    ("1313", "Fair use policy", 429, "rate_limited", False),
    ("9999", "something new", 429, "rate_limited", True),
    ("500", "Internal Error", 500, "provider_error", True),
]


@pytest.mark.parametrize(("code", "words", "status", "kind", "retryable"), CODES)
async def test_codes_in_an_error(ask: Ask, code: str, words: str, status: int, kind: str, *, retryable: bool) -> None:
    """P86: a string code decides before the status; one in no table leaves it to the status."""
    answer = await ask(refusal(code, words, status))

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable, error.status, error.message) == (kind, retryable, status, words)


@pytest.mark.parametrize(("code", "kind", "retryable"), [("1302", "rate_limited", True), ("1113", "rate_limited", False), (1305, "overloaded", True)])  # fmt: skip
async def test_codes_inside_of_a_stream(ask: Ask, code: object, kind: str, *, retryable: bool) -> None:
    """P86: the same at status 200, as a string or a number."""
    answer = await ask(Reply.events(chunk(content="so"), {"error": {"code": code, "message": "no"}}, "[DONE]"))

    assert answer.message.error is not None
    assert (answer.text, answer.kind, answer.message.error.retryable) == ("so", kind, retryable)


@pytest.mark.parametrize(("status", "kind", "retryable"), [(434, "auth", False), (435, "provider_error", False), (500, "provider_error", True)])  # fmt: skip
async def test_statuses_without_a_code(ask: Ask, status: int, kind: str, *, retryable: bool) -> None:
    """P86: 434 is no permission for the API."""
    answer = await ask(Reply(status=status, body=b'{"message": "no"}', headers=JSON))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == (kind, retryable)


async def test_numbers_are_only_glms_own(engine: str) -> None:
    """P86: another provider's 1113 means nothing; its status decides."""
    answer = await Ask(engine)(refusal("1113", "see the manual", 429))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == ("rate_limited", True)


@pytest.mark.parametrize("pieces", [['{"city": "Bern", "days": 3}'], ['{"ci', 'ty": "Be', 'rn", "days"', ": 3}"]])
async def test_calls_in_pieces_or_whole(ask: Ask, pieces: list[str]) -> None:
    """P88: with `tool_stream` arguments come in pieces, each a delta; without it whole in one."""
    first = {"id": "call_1", "index": 0, "type": "function", "function": {"name": "weather", "arguments": pieces[0]}}
    rest = [{"index": 0, "type": "function", "function": {"arguments": piece}} for piece in pieces[1:]]

    answer = await ask(
        Reply.events(*(chunk(tool_calls=[call]) for call in [first, *rest]), chunk("tool_calls"), "[DONE]")
    )

    (call,) = answer.message.tool_calls
    assert (call.id, call.name, call.arguments) == ("call_1", "weather", {"city": "Bern", "days": 3})
    assert "".join(event.text for event in answer.events if event.type == "tool_call_delta") == "".join(pieces)


async def test_a_cut_call_in_pieces_does_not_run(ask: Ask) -> None:
    """P88: a stream of arguments that breaks off makes no call."""
    call = {"id": "c", "index": 0, "type": "function", "function": {"name": "weather", "arguments": '{"city": "B'}}

    answer = await ask(Reply.events(chunk(tool_calls=[call])))

    assert (answer.kind, answer.message.tool_calls, len(answer.message.invalid_tool_calls)) == ("truncated", (), 1)
