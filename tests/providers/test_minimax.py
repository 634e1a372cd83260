"""What MiniMax's endpoint sends (P79 to P83), over real sockets, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.conftest import Answer, Ask
from tinyagent_actors.messages import ThinkingContent
from tinyagent_actors.testing import Reply, open_endpoint

ZEROS = {"total_tokens": 0, "total_characters": 0, "prompt_tokens": 0, "completion_tokens": 0}
FINE = {"status_code": 0, "status_msg": ""}
USED = {"total_tokens": 15, "prompt_tokens": 10, "completion_tokens": 5}
QUIET = {"role": "", "name": "MiniMax AI", "audio_content": "", "reasoning_content": ""}
DATA = {"content-type": "application/json"}


@pytest.fixture
def ask(engine: str) -> Ask:
    """Ask in the dialect of MiniMax."""
    return Ask(engine, "minimax-completions")


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Give a chunk as MiniMax dresses it: empty members, a usage of zeros, `base_resp`."""
    choice = {"index": 0, "delta": {**QUIET, **delta}, "finish_reason": finish}
    flags = {"input_sensitive": False, "output_sensitive": False, "output_sensitive_type": 0}
    return {"id": "m1", "model": "MiniMax-M2.5", "choices": [choice], "usage": ZEROS, "base_resp": FINE, **flags}


def detail(text: str, **members: Any) -> list[dict[str, Any]]:
    """Give reasoning details with that text."""
    return [{"type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0, "text": text, **members}]  # fmt: skip


def whole(text: str, **message: Any) -> dict[str, Any]:
    """Give the last event: a whole completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {"id": "m1", "object": "chat.completion", "choices": [choice], "usage": USED, "base_resp": FINE}


def thinking(answer: Answer) -> str:
    """Give all thinking."""
    return "".join(block.thinking for block in answer.message.content if isinstance(block, ThinkingContent))


FAILURES = [
    (1000, "unknown error", "provider_error", True),
    (1024, "internal error", "provider_error", True),
    (1033, "system error", "provider_error", True),
    (1001, "timeout", "timeout", True),
    (1002, "rate limit", "rate_limited", True),
    (1041, "conn limit", "rate_limited", True),
    (1004, "not authorized", "auth", False),
    (2049, "invalid api key", "auth", False),
    (1008, "insufficient balance", "rate_limited", False),
    (1028, "5 hour limit", "rate_limited", False),
    (1030, "weekly limit", "rate_limited", False),
    (2056, "usage limit exceeded", "rate_limited", False),
    (2061, "your plan does not support this model", "rate_limited", False),
    (1026, "input new_sensitive", "content_filter", False),
    (1027, "output new_sensitive", "content_filter", False),
    (1039, "tokens per minute", "rate_limited", True),
    (1039, "token limit exceeded", "context_overflow", False),
    (1042, "invisible characters over 10%", "provider_error", False),
    (2013, "invalid chat setting", "provider_error", False),
    (2013, "invalid params, context window exceeds limit", "context_overflow", False),
    (4711, "something new", "provider_error", False),
]


@pytest.mark.parametrize(("code", "words", "kind", "retryable"), FAILURES)
async def test_codes_in_base_resp(ask: Ask, code: int, words: str, kind: str, *, retryable: bool) -> None:
    """P79: `base_resp.status_code` says what went wrong, at status 200."""
    event = {"choices": None, "base_resp": {"status_code": code, "status_msg": words}}

    answer = await ask(Reply.events(chunk(content="so far"), event, "[DONE]"))

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable, error.message, answer.text) == (kind, retryable, words, "so far")


BALANCE = {"status_code": 1008, "status_msg": "insufficient balance"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=json.dumps({"base_resp": BALANCE}).encode(), headers=DATA),
        Reply(body=json.dumps({"id": "", "choices": None, "usage": ZEROS, "base_resp": BALANCE}).encode(), headers=DATA),
        Reply(body=json.dumps({"base_resp": BALANCE}).encode(), headers=DATA, status=400),
        Reply.events({"base_resp": BALANCE}),
        Reply.events({"base_resp": {"status_code": 1008.0, "status_msg": "insufficient balance"}}),
        Reply.events({"type": "error", "error": {"type": "api_error", "message": "insufficient balance (1008)"}}),
        Reply(
            status=500,
            body=json.dumps({"type": "error", "error": {"type": "api_error", "message": "insufficient balance (1008)"}}).encode(),
        ),
    ],
    ids=["body", "null-choices", "status-400", "event", "float", "openai", "openai-500"],
)  # fmt: skip
async def test_wherever_a_code_stands(ask: Ask, reply: Reply) -> None:
    """P79: in a body, in an event, beside `choices: null`, at the end of a text: the code decides, before the status."""
    answer = await ask(reply)

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable, answer.text) == ("rate_limited", False, "")
    assert "insufficient balance" in error.message


@pytest.mark.parametrize(
    ("http_code", "kind", "retryable"),
    [("401", "auth", False), ("429", "rate_limited", True), ("529", "overloaded", True), ("400", "provider_error", False)],
)  # fmt: skip
async def test_errors_in_the_shape_of_openai(ask: Ask, http_code: str, kind: str, *, retryable: bool) -> None:
    """P79: without a code that is known `http_code` counts as the status."""
    error = {"type": "some_error", "message": "no luck (9999)", "http_code": http_code}

    answer = await ask(Reply.events({"type": "error", "error": error, "request_id": "r"}))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == (kind, retryable)
    assert answer.message.error.status == int(http_code)


@pytest.mark.parametrize(
    ("words", "kind", "retryable"),
    [("login fail (1004)", "auth", False), ("no luck (1000)", "provider_error", True), ("wait (1002) ", "rate_limited", True),
     ("limit reached (2056)", "rate_limited", False), ("see (1004) there", "provider_error", False)],
)  # fmt: skip
async def test_the_code_at_the_end_of_a_text(ask: Ask, words: str, kind: str, *, retryable: bool) -> None:
    """P79: the shape of OpenAI has MiniMax's code in the message alone; it decides before the status."""
    body = json.dumps({"type": "error", "error": {"type": "some_error", "message": words}}).encode()

    answer = await ask(Reply(status=400, body=body, headers=DATA))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == (kind, retryable)


async def test_a_limit_of_tokens_a_minute_is_no_overflow(ask: Ask) -> None:
    """P79: with status 429 code 1039 speaks of a rate, whatever its words."""
    body = json.dumps({"base_resp": {"status_code": 1039, "status_msg": "token limit exceeded"}}).encode()

    answer = await ask(Reply(status=429, body=body, headers=DATA))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == ("rate_limited", True)


@pytest.mark.parametrize("base", [FINE, {"status_code": 0.0}, {}, None, {"status_code": None}])
async def test_code_zero_is_success(ask: Ask, base: object) -> None:
    """P79: 0, or none, is no error."""
    event = {**chunk(content="fine"), "base_resp": base}

    answer = await ask(Reply.events(event, {**chunk("stop"), "base_resp": base}, "[DONE]"))

    assert (answer.text, answer.kind, answer.message.stop_reason) == ("fine", None, "stop")


async def test_a_last_event_that_holds_everything_again(ask: Ask) -> None:
    """P80: usage and finish reason come from the whole completion at the end; its text, thinking and calls never again."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
    last = whole("Hello there", reasoning_content="hm", reasoning_details=detail("hm"), tool_calls=[call])

    answer = await ask(
        Reply.events(chunk(reasoning_details=detail("hm")), chunk(content="Hello "), chunk(content="there"),
                     chunk(tool_calls=[call]), last)
    )  # fmt: skip

    assert (answer.text, thinking(answer), len(answer.message.tool_calls)) == ("Hello there", "hm", 1)
    assert (answer.message.stop_reason, answer.kind) == ("stop", None)
    assert answer.message.usage is not None
    assert (answer.message.usage.input, answer.message.usage.output) == (10, 5)


@pytest.mark.parametrize(
    "before", [[], [chunk()], [chunk(content="")], [{"choices": [{"delta": {"role": "assistant"}}]}]]
)
async def test_a_message_counts_if_no_delta_said_anything(ask: Ask, before: list[dict[str, Any]]) -> None:
    """P80: where it is the first thing that says anything it is the answer, with its thinking and calls."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}

    answer = await ask(Reply.events(*before, whole("Hi", reasoning_details=detail("hm"), tool_calls=[call]), "[DONE]"))

    assert (answer.text, thinking(answer)) == ("Hi", "hm")
    assert [made.arguments for made in answer.message.tool_calls] == [{"x": 1}]


async def test_a_body_that_is_a_completion(ask: Ask) -> None:
    """P80: the answer of a server that does not stream."""
    answer = await ask(Reply(body=json.dumps(whole("Hi")).encode(), headers=DATA))

    assert (answer.text, answer.kind, answer.message.stop_reason) == ("Hi", None, "stop")


async def test_zeros_tell_nothing(ask: Ask) -> None:
    """P81: a usage of zeros is neither a usage nor takes an earlier one back."""
    only_zeros = await ask(Reply.events(chunk(content="a"), chunk("stop"), "[DONE]"))
    before = await ask(Reply.events({**chunk(content="a"), "usage": USED}, chunk(content="b"), chunk("stop"), "[DONE]"))

    assert only_zeros.message.usage is None
    assert before.message.usage is not None
    assert (before.text, before.message.usage.input, before.message.usage.output) == ("ab", 10, 5)


@pytest.mark.parametrize(
    "event",
    [
        chunk(),
        chunk(content=""),
        {"choices": None, "base_resp": FINE, "usage": ZEROS},
        {"choices": [], "base_resp": FINE},
        chunk(reasoning_details=[]),
        chunk(reasoning_details=detail("")),
        chunk(reasoning_details=None, tool_calls=None, content=None),
    ],
)
async def test_empty_members_change_nothing(ask: Ask, event: dict[str, Any]) -> None:
    """P82: `role: ""`, `choices: null`, `reasoning_content: ""` and the like between pieces do not even part them."""
    answer = await ask(
        Reply.events(event, chunk(content="a"), event, chunk(content="b"), chunk("stop"), event, "[DONE]")
    )

    assert (answer.text, thinking(answer), answer.kind) == ("ab", "", None)
    assert [name for name in answer.types if name.startswith("text")] == ["text_start", "text_delta", "text_end"]


@pytest.mark.parametrize(
    "pieces",
    [
        ["The user", " asks", " me"],
        ["The user", "The user asks", "The user asks me"],
        ["The user", "The user asks", "The user asks", "The user asks me", "The user asks me"],
        ["The user", "The user asks", " me"],
        ["", "The user", " asks me"],
        ["The user asks me"],
    ],
    ids=["pieces", "wholes", "wholes-repeated", "mixed", "empty-first", "one"],
)
@pytest.mark.parametrize("members", [{}, {"index": None}, {"type": None, "index": None}])
async def test_thinking_in_pieces_or_wholes(ask: Ask, pieces: list[str], members: dict[str, Any]) -> None:
    """P83: a text that starts with all so far gives its tail, any other is appended; what is kept for replay is whole."""
    answer = await ask(
        Reply.events(
            *(chunk(reasoning_details=detail(piece, **members)) for piece in pieces),
            chunk(content="Hello"), chunk("stop"), "[DONE]",
        )
    )  # fmt: skip

    (block, _) = answer.message.content
    assert isinstance(block, ThinkingContent)
    assert (block.thinking, answer.text) == ("The user asks me", "Hello")
    assert block.wire is not None
    (kept,) = block.wire["reasoning_details"]
    assert (kept["text"], kept["id"]) == ("The user asks me", "reasoning-text-1")
    assert "".join(event.text for event in answer.events if event.type == "thinking_delta") == block.thinking


async def test_a_word_said_twice_is_no_whole(ask: Ask) -> None:
    """P83: where nothing says that pieces are wholes, an equal piece is a word said again."""
    answer = await ask(
        Reply.events(*(chunk(reasoning_details=detail("ha")) for _ in range(3)), chunk("stop"), "[DONE]")
    )

    assert thinking(answer) == "hahaha"


async def test_details_of_several_indexes_grow_each_for_itself(ask: Ask) -> None:
    """P83: all so far is all of that detail."""
    first, second = detail("one"), detail("on", index=1)

    answer = await ask(
        Reply.events(
            chunk(reasoning_details=first), chunk(reasoning_details=second),
            chunk(reasoning_details=detail("one two")), chunk(reasoning_details=detail("only", index=1)),
            chunk("stop"), "[DONE]",
        )
    )  # fmt: skip

    assert thinking(answer) == "oneon twoly"
    (block,) = answer.message.content
    assert isinstance(block, ThinkingContent)
    assert block.wire is not None
    assert [kept["text"] for kept in block.wire["reasoning_details"]] == ["one two", "only"]


async def test_tags_are_thinking_without_being_asked(ask: Ask) -> None:
    """P50: a server that does not split thinking from text has it in tags, and that is known here."""
    said = [chunk(content="<thi"), chunk(content="nk>hm</think>\n\nHel"), chunk(content="lo"), chunk("stop"), "[DONE]"]

    split, raw = await ask(Reply.events(*said)), await ask(Reply.events(*said), think_tags=False)

    assert (thinking(split), split.text) == ("hm", "\n\nHello")
    assert (thinking(raw), raw.text) == ("", "<think>hm</think>\n\nHello")


@pytest.mark.parametrize("member", [{"reasoning_details": detail("hm")}, {"reasoning_content": "hm"}])
async def test_with_split_thinking_tags_are_text(ask: Ask, member: dict[str, Any]) -> None:
    """P50: once thinking has come in a member of its own, an answer may speak of tags."""
    answer = await ask(
        Reply.events(chunk(**member), chunk(content="Write <think>"), chunk(content=" here."), chunk("stop"), "[DONE]")
    )

    assert (thinking(answer), answer.text) == ("hm", "Write <think> here.")


async def test_base_resp_is_minimax_everywhere(engine: str) -> None:
    """P79: also where the endpoint was asked in the dialect of OpenAI."""
    async with open_endpoint([Reply.events({"base_resp": BALANCE})]) as endpoint:
        answer = await Ask(engine).url(endpoint.url)

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == ("rate_limited", False)
