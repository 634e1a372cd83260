"""Where bytes, errors and counters are at their edges (P02 to P49), beyond the plain cases, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests.providers.conftest import Ask
from tinyagent_actors.messages import AssistantMessage, Context, Model, TextContent, ThinkingContent, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import Cut, Delivery, Reply, open_endpoint

STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
DONE = b"data: [DONE]\n\n"


def chunk(**delta: Any) -> dict[str, Any]:
    """Give a chunk with that delta."""
    return {"choices": [{"index": 0, "delta": delta}]}


def data(value: Any) -> bytes:
    """Give an event as it stands on the wire."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_invalid_bytes_in_pieces(ask: Ask, size: int) -> None:
    """P02: an invalid byte at the seam of two writes is one U+FFFD, and takes no good byte along."""
    raw = b'data: {"choices": [{"delta": {"content": "a\xf0\x9f\x98b\xc3(\xe2\x82\xacc"}}]}\n\n'

    answer = await ask(Reply(body=raw + DONE, framing="chunked", delivery=Delivery(split_every=size)))

    assert answer.text == "a\ufffdb\ufffd(€c"


async def test_a_byte_order_mark_in_pieces(ask: Ask) -> None:
    """P10: its three bytes may come one by one."""
    body = b"\xef\xbb\xbf" + data(chunk(content="a")) + DONE

    assert (await ask(Reply(body=body, framing="chunked", delivery=Delivery(split_at=(1, 2))))).text == "a"


@pytest.mark.parametrize("name", [b" data", b"Data", b"data ", b"datum", b"event data"])
async def test_a_field_that_is_nearly_data(ask: Ask, name: bytes) -> None:
    """P12: a name with a space, in capitals or longer is an unknown field, and what it holds is not looked at."""
    odd = name + b': {"error": {"message": "not me"}}\n\n'

    answer = await ask(Reply(chunks=[odd, data(chunk(content="a")), odd, data(STOP), DONE]))

    assert (answer.text, answer.kind) == ("a", None)


async def test_a_cr_and_its_lf_between_lines_of_data(ask: Ask) -> None:
    """P05: cut between the two, an event of several lines stays one."""
    lines = json.dumps(chunk(content="hello"), indent=1).split("\n")
    body = b"".join(b"data: " + line.encode() + b"\r\n" for line in lines) + b"\r\n" + data(STOP) + DONE
    cuts = tuple(place + 1 for place, byte in enumerate(body) if byte == ord("\r"))

    answer = await ask(Reply(body=body, framing="chunked", delivery=Delivery(split_at=cuts)))

    assert (answer.text, answer.kind) == ("hello", None)


@pytest.mark.parametrize(("given", "seconds"), [("1", 0.001), ("1500", 1.5), ("2000", 2), ("2000.5", 2.001), ("0", 0)])
async def test_milliseconds_are_rounded_up(ask: Ask, given: str, seconds: float) -> None:
    """P71: `retry-after-ms` up to a whole millisecond, never too early; it goes before `retry-after`."""
    answer = await ask(Reply.rate_limited(9, headers={"retry-after-ms": given}))

    assert answer.message.error is not None
    assert answer.message.error.retry_after == seconds


async def test_a_last_event_that_was_cut_is_dropped(ask: Ask) -> None:
    """P17, P22: half an event at the end is no event: `truncated`, not `malformed_event`; what came stays."""
    answer = await ask(Reply(chunks=[data(chunk(content="a")), data(chunk(content="b"))[:-9]]))

    assert (answer.kind, answer.text) == ("truncated", "a")


async def test_the_end_marker_after_half_a_call(ask: Ask) -> None:
    """P23: `[DONE]` without a finish reason ends well; a call that does not parse does not run."""
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"x":'}}

    answer = await ask(Reply.events(chunk(tool_calls=[call]), "[DONE]"))

    assert (answer.kind, answer.message.stop_reason, answer.message.tool_calls) == (None, "stop", ())
    assert len(answer.message.invalid_tool_calls) == 1


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        (b'event: error\ndata: {"error": {"message": "no model", "code": 503}}\n\n', "overloaded", "no model"),
        (b'event: error\ndata: {"message": "no model", "code": 401}\n\n', "auth", "no model"),
        (b'event: error\ndata: "no model"\n\n', "provider_error", "no model"),
        (b"event: error\ndata: no model\n\n", "provider_error", "no model"),
    ],
)
async def test_errors_by_the_name_of_the_event(ask: Ask, event: bytes, kind: str, words: str) -> None:
    """P27: `event: error`, its data an error, what stands in one, a text, or no JSON at all."""
    answer = await ask(Reply(chunks=[data(chunk(content="a")), event, DONE]))

    assert answer.message.error is not None
    assert (answer.kind, answer.text) == (kind, "a")
    assert words in answer.message.error.message


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'error: {"code": 500, "message": "no slot", "type": "server_error"}\n\n', "provider_error"),
        (b'error: {"code": 429, "message": "no slot"}\n\n', "rate_limited"),
        (b"error: no slot\n\n", "provider_error"),
        (b'error:{"message": "no slot", "type": "exceed_context_size_error"}\n', "context_overflow"),
    ],
)
async def test_errors_in_a_field_of_the_framing(ask: Ask, event: bytes, kind: str) -> None:
    """P28: `error:` instead of `data:`, JSON or not; an unterminated one is told from silence."""
    answer = await ask(Reply(chunks=[data(chunk(content="a")), event + b"\n", DONE]))

    assert answer.message.error is not None
    assert (answer.kind, answer.text) == (kind, "a")
    assert "no slot" in answer.message.error.message


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b""])
async def test_json_that_is_not_framed(ask: Ask, end: bytes) -> None:
    """P29: an error as a bare line between events, or at the end of them."""
    answer = await ask(Reply(chunks=[data(chunk(content="a")), b'{"error": {"code": 502, "message": "gone"}}' + end]))

    assert answer.message.error is not None
    assert (answer.kind, answer.text, answer.message.error.status) == ("provider_error", "a", 502)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(chunks=[data(chunk(content="a")), data({"error": {"message": "upstream", "code": "500"}}), DONE]), "provider_error"),
        (Reply(chunks=[data(chunk(content="a")), DONE], fault=Cut(after_chunks=1)), "truncated"),
    ],
    ids=["said", "dropped"],
)  # fmt: skip
async def test_a_proxy_whose_upstream_failed(ask: Ask, reply: Reply, kind: str) -> None:
    """P34: it says so and ends in order, or drops the connection: an error both times."""
    answer = await ask(reply)

    assert answer.message.error is not None
    assert (answer.kind, answer.text, answer.message.error.retryable) == (kind, "a", True)


async def test_counters_that_are_whole_floats(ask: Ask) -> None:
    """P38: 12.0 and 1e1 are whole numbers."""
    usage = b'{"prompt_tokens": 12.0, "completion_tokens": 1e1}'

    answer = await ask(Reply(chunks=[b'data: {"choices": [], "usage": ' + usage + b"}\n\n", data(STOP), DONE]))

    assert answer.message.usage is not None
    assert (answer.message.usage.input, answer.message.usage.output) == (12, 10)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}, (0, 1, 9, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (5, 1, 4, 0)),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 14, "completion_tokens_details": {"reasoning_tokens": 3}},
            (9, 5, 0, 3),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "completion_tokens_details": {"reasoning_tokens": 3}},
            (9, 5, 0, 3),
        ),
    ],
    ids=["more cached than sent", "hits at the top", "reasoning beside", "reasoning inside"],
)  # fmt: skip
async def test_one_form_of_usage(ask: Ask, usage: dict[str, Any], expected: tuple[int, ...]) -> None:
    """P40: input is never below 0; reasoning counts as output once, wherever the provider puts it."""
    answer = await ask(Reply.events(chunk(content="a"), STOP, {"choices": [], "usage": usage}, "[DONE]"))

    found = answer.message.usage
    assert found is not None
    assert (found.input, found.output, found.cache_read, found.reasoning) == expected
    assert found.total_tokens == found.input + found.output + found.cache_read + found.cache_write


async def test_halves_of_characters_in_every_channel(ask: Ask) -> None:
    """P47: text, thinking and arguments each wait for their own other half; what never comes is one U+FFFD."""
    events = [
        rb'{"choices": [{"delta": {"reasoning": "t\ud83d"}}]}',
        rb'{"choices": [{"delta": {"reasoning": "\ude00"}}]}',
        rb'{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":\"\ud83d"}}]}}]}',
        rb'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "\ude00\"}"}}]}}]}',
        rb'{"choices": [{"delta": {"content": "end\ud83d"}, "finish_reason": "stop"}]}',
    ]

    answer = await ask(Reply(chunks=[*(b"data: " + event + b"\n\n" for event in events), DONE]))

    thought = [block.thinking for block in answer.message.content if isinstance(block, ThinkingContent)]
    assert (thought, answer.text) == (["t😀"], "end\ufffd")
    assert [call.arguments for call in answer.message.tool_calls] == [{"x": "😀"}]


@pytest.mark.parametrize(("provider", "is_kept"), [("openrouter", True), ("custom", False)])
async def test_reasoning_details_go_back_to_their_maker(engine: str, provider: str, *, is_kept: bool) -> None:
    """P49: to the letter, signature and all, in their order; to another provider none of it."""
    details = [
        {"type": "reasoning.text", "text": "one two", "index": 0, "format": "f", "signature": "sig=="},
        {"type": "reasoning.encrypted", "data": "b64==", "index": 1, "id": None},
    ]
    answer = AssistantMessage(
        [ThinkingContent("one two", wire={"reasoning_details": details}), TextContent("Hi.")],
        provider="openrouter",
        api="openai-completions",
    )
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        model = Model("any", provider, base_url=endpoint.url)
        context = Context(messages=[UserMessage("a"), answer, UserMessage("b")])
        with trio.fail_after(30):
            async with open_stream(model, context, StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]  # one of them
                await stream.result()
        message = endpoint.requests[0].json["messages"][1]

    assert message.get("reasoning_details") == (details if is_kept else None)
    assert message["content"] == "Hi."
