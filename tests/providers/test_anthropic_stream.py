"""The stream of `anthropic-messages` (P75 to P78, and the ends of streams), over real sockets, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers._anthropic_events import PING, STOP, begin, call, calls_of, delta, finish, start, stop, text
from tests.providers.conftest import Ask
from tinyagent_actors.messages import OpaqueContent, RedactedThinkingContent, TextContent, ThinkingContent
from tinyagent_actors.testing import CallSpec, Cut, Delivery, Reply, Reset

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}


@pytest.fixture
def ask(engine: str) -> Ask:
    """Ask in the dialect, on the engine that the test runs on."""
    return Ask(engine, "anthropic-messages")


async def test_pings_and_what_is_not_known_change_nothing(ask: Ask) -> None:
    """P75: a ping stands anywhere; events and deltas of types to come are passed over."""
    odd: list[dict[str, Any]] = [PING, {"type": "future_event", "index": 0, "delta": {"text": "no"}}]
    future = delta(0, "future", text="no")

    answer = await ask(
        Reply.events(
            *odd, begin(), *odd, start(0, "text", text=""), future, *odd, delta(0, "text", text="hello"), future,
            stop(0), *odd, finish(), *odd, STOP,
        )
    )  # fmt: skip

    assert (answer.text, answer.kind, answer.message.raw_stop_reason) == ("hello", None, "end_turn")


async def test_a_block_of_an_unknown_type_is_kept_whole_at_its_place(ask: Ask) -> None:
    """P75: blocks that are not known are there for their maker: with what their deltas brought, and in order."""
    search = [
        start(1, "server_tool_use", id="srv_1", name="web_search", input={}, caller={"type": "direct"}),
        delta(1, "input_json", partial_json='{"query"'),
        delta(1, "input_json", partial_json=':"trio"}'),
        stop(1),
        start(2, "web_search_tool_result", tool_use_id="srv_1", content=[{"type": "web_search_result", "url": "u"}]),
        stop(2),
        start(3, "compaction", content=None),
        delta(3, "compaction", content="a "),
        delta(3, "compaction", content="summary"),
        stop(3),
    ]

    answer = await ask(Reply.events(begin(), *text("a"), *search, *text("b", 4), finish(), STOP))

    assert [block.type for block in answer.message.content] == ["text", "opaque", "opaque", "opaque", "text"]
    use, result, summary = (block.data for block in answer.message.content if isinstance(block, OpaqueContent))
    assert use == {
        "type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "trio"}, "caller": {"type": "direct"},
    }  # fmt: skip
    assert result["content"] == [{"type": "web_search_result", "url": "u"}]
    assert summary == {"type": "compaction", "content": "a summary"}
    assert answer.types == [
        "stream_start", "text_start", "text_delta", "text_end", "text_start", "text_delta", "text_end", "stream_end",
    ]  # fmt: skip


@pytest.mark.parametrize("named", [False, True])
async def test_an_error_in_mid_stream_ends_it(ask: Ask, *, named: bool) -> None:
    """P75, P27: at status 200, with an `event:` name or without; what came before stays, its block closed."""
    error: Any = OVERLOADED
    if named:
        error = b"event: error\ndata: " + json.dumps(OVERLOADED).encode() + b"\n\n"

    answer = await ask(Reply.events(begin(), *text("so far")[:2], error, *text("late"), finish(), STOP))

    assert (answer.text, answer.kind) == ("so far", "overloaded")
    assert answer.message.error is not None
    assert answer.message.error.retryable
    assert answer.message.error.message == "Overloaded"
    assert answer.types[-2:] == ["text_end", "stream_end"]


@pytest.mark.parametrize(
    ("word", "kind", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("api_error", "provider_error", True),
        ("rate_limit_error", "rate_limited", True),
        ("timeout_error", "timeout", True),
        ("authentication_error", "auth", False),
        ("permission_error", "auth", False),
        ("billing_error", "rate_limited", False),
        ("invalid_request_error", "provider_error", False),
        ("request_too_large", "provider_error", False),
        ("not_found_error", "provider_error", False),
    ],
)
async def test_an_error_as_the_first_event_goes_by_its_type(ask: Ask, word: str, kind: str, *, retryable: bool) -> None:
    """P75, P30: an error that comes first of all is no empty answer, and what can be tried again says so."""
    answer = await ask(Reply.events({"type": "error", "error": {"type": word, "message": "no"}}))

    assert answer.kind == kind
    assert answer.message.error is not None
    assert answer.message.error.retryable is retryable
    assert answer.message.content == ()


async def test_usage_is_cumulative_and_later_numbers_replace(ask: Ask) -> None:
    """P76: the numbers of `message_delta` are totals, and may speak of input and caches too; nothing is counted twice."""
    answer = await ask(
        Reply.events(
            begin(input_tokens=10, cache_read_input_tokens=100, cache_creation_input_tokens=20, output_tokens=1),
            *text("a"),
            finish(None, output_tokens=7),
            finish(input_tokens=11, cache_read_input_tokens=101, output_tokens=25),
            STOP,
        )
    )

    usage = answer.message.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (11, 25, 101, 20)
    assert usage.total_tokens == 11 + 25 + 101 + 20


async def test_a_counter_that_is_null_or_missing_keeps_the_earlier_one(ask: Ask) -> None:
    """P76, P38: null, negative or no number is not told."""
    answer = await ask(
        Reply.events(
            begin(input_tokens=10, cache_read_input_tokens=100, output_tokens=1),
            *text("a"),
            finish(input_tokens=None, cache_read_input_tokens=-1, cache_creation_input_tokens="2", output_tokens=25),
            STOP,
        )
    )

    usage = answer.message.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (10, 25, 100, 0)


async def test_cache_counters_are_no_input(ask: Ask) -> None:
    """P40, P76: input excludes both caches here, so nothing is taken off; details of caches and thinking are read."""
    answer = await ask(
        Reply.events(
            begin(
                input_tokens=3, output_tokens=1,
                cache_creation={"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 50},
            ),
            *text("a"), finish(output_tokens=90, output_tokens_details={"thinking_tokens": 60}), STOP,
        )
    )  # fmt: skip

    usage = answer.message.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning) == (3, 90, 0, 450, 60)


async def test_no_usage_is_unknown(ask: Ask) -> None:
    """P39: where nothing was told, or only zeros, usage is None."""
    nothing = await ask(Reply.events({"type": "message_start", "message": {}}, *text("a"), finish(), STOP))
    zeros = await ask(Reply.events(begin(input_tokens=0, output_tokens=0), *text("a"), finish(), STOP))

    assert (nothing.message.usage, zeros.message.usage) == (None, None)


@pytest.mark.parametrize(
    ("pieces", "given", "expected"),
    [
        (('{"a":', "1}"), {}, {"a": 1}),
        (("", '{"a":1}', ""), {}, {"a": 1}),
        ((), {}, {}),
        (("",), {}, {}),
        ((), {"a": 1}, {"a": 1}),
        (("",), {"a": 1}, {"a": 1}),
        (('{"b":2}',), {"a": 1}, {"b": 2}),
        ((), None, {}),
    ],
)
async def test_the_input_of_a_call(ask: Ask, pieces: tuple[str, ...], given: Any, expected: dict[str, Any]) -> None:
    """P77: in pieces, in empty pieces, in the start, or not at all; pieces go before what stands in the start."""
    answer = await ask(Reply.events(begin(), *call(0, *pieces, input=given), finish("tool_use"), STOP))

    assert calls_of(answer) == [("toolu_0", expected)]
    assert answer.message.stop_reason == "tool_use"
    deltas = "".join(event.text for event in answer.events if event.type == "tool_call_delta")
    assert json.loads(deltas or "{}") == expected


async def test_blocks_may_be_interleaved(ask: Ask) -> None:
    """P77: pieces go to the block with their index, and content is in the order in which the blocks began."""
    answer = await ask(
        Reply.events(
            begin(),
            start(0, "text", text=""), start(1, "tool_use", id="a", name="look", input={}), start(2, "tool_use", id="b", name="look", input={}),
            delta(1, "input_json", partial_json='{"n"'), delta(0, "text", text="one "), delta(2, "input_json", partial_json='{"n":'),
            delta(1, "input_json", partial_json=":1}"), delta(2, "input_json", partial_json="2}"), delta(0, "text", text="text"),
            stop(2), stop(0), stop(1), finish("tool_use"), STOP,
        )
    )  # fmt: skip

    assert [block.type for block in answer.message.content] == ["text", "tool_call", "tool_call"]
    assert answer.text == "one text"
    assert calls_of(answer) == [("a", {"n": 1}), ("b", {"n": 2})]


async def test_starts_and_stops_may_be_missing(ask: Ask) -> None:
    """P77: what is open at the end is closed, and a delta without a block that it fits opens one."""
    answer = await ask(
        Reply.events(
            begin(), delta(0, "thinking", thinking="hm"), delta(0, "text", text="he"), delta(0, "text", text="llo"),
            *call(0, '{"a":1}')[:-1], finish("tool_use"), STOP,
        )
    )  # fmt: skip

    assert [block.type for block in answer.message.content] == ["thinking", "text", "tool_call"]
    assert answer.text == "hello"
    assert calls_of(answer) == [("toolu_0", {"a": 1})]


async def test_a_call_that_was_cut_by_the_token_limit_never_runs(ask: Ask) -> None:
    """P77, P67: `max_tokens` in the middle of the input, and also where the input looks whole."""
    cut = await ask(Reply.events(begin(), *call(0, '{"path": "/et'), finish("max_tokens"), STOP))
    whole = await ask(Reply.events(begin(), *call(0, '{"path": "/etc"}'), finish("max_tokens"), STOP))

    for answer in (cut, whole):
        assert answer.message.stop_reason == "length"
        assert answer.message.tool_calls == ()
        assert [made.id for made in answer.message.invalid_tool_calls] == ["toolu_0"]


@pytest.mark.parametrize("given", [[1], "x", '{"a":1}', 7, False])
async def test_an_input_that_is_no_object_makes_the_call_invalid(ask: Ask, given: Any) -> None:
    """P77, P62: in the start as in the pieces."""
    in_start = await ask(Reply.events(begin(), *call(0, input=given), finish("tool_use"), STOP))
    in_pieces = await ask(Reply.events(begin(), *call(0, json.dumps(given)), finish("tool_use"), STOP))

    for answer in (in_start, in_pieces):
        assert (answer.message.tool_calls, len(answer.message.invalid_tool_calls)) == ((), 1)


async def test_what_stands_beside_a_call_is_kept_for_its_maker(ask: Ask) -> None:
    """P77, P78: `caller` and `toolset_name` are in `wire`; so are the citations of a text."""
    cited = [start(0, "text", text="", citations=None), delta(0, "text", text="so"), delta(0, "citations", citation={"url": "u"}), stop(0)]  # fmt: skip

    answer = await ask(
        Reply.events(begin(), *cited, *call(1, caller={"type": "direct"}, toolset_name="t"), finish("tool_use"), STOP)
    )

    said, made = answer.message.content
    assert said.wire == {"citations": [{"url": "u"}]}
    assert made.wire == {"caller": {"type": "direct"}, "toolset_name": "t"}


async def test_thinking_with_its_signature(ask: Ask) -> None:
    """P78: the signature comes whole in a delta of its own; text in the start of a block counts."""
    thought = [start(0, "thinking", thinking="I ", signature=""), delta(0, "thinking", thinking="wonder"), delta(0, "signature", signature="sig=="), stop(0)]  # fmt: skip

    answer = await ask(Reply.events(begin(), *thought, *text("hi", 1), finish(), STOP))

    assert answer.message.content == (ThinkingContent("I wonder", "sig=="), TextContent("hi"))
    assert answer.types[:4] == ["stream_start", "thinking_start", "thinking_delta", "thinking_end"]


async def test_thinking_that_is_redacted_or_left_out(ask: Ask) -> None:
    """P78: a signature alone, and data that nobody can read, are blocks of their own."""
    omitted = [start(0, "thinking", thinking="", signature=""), delta(0, "signature", signature="sig"), stop(0)]
    redacted = [start(1, "redacted_thinking", data="EvAB"), stop(1)]

    answer = await ask(Reply.events(begin(), *omitted, *redacted, *text("hi", 2), finish(), STOP))

    assert answer.message.content == (ThinkingContent("", "sig"), RedactedThinkingContent("EvAB"), TextContent("hi"))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_use"),
        ("pause_turn", "pause_turn"),
        ("refusal", "refusal"),
        ("something_new", "stop"),
    ],
)
async def test_each_stop_reason_is_told_apart(ask: Ask, word: str, reason: str) -> None:
    """P78, P33: `refusal` and `pause_turn` are reasons of their own; the raw word is kept."""
    answer = await ask(Reply.events(begin(), *text("a"), finish(word), STOP))

    assert (answer.message.stop_reason, answer.message.raw_stop_reason, answer.kind) == (reason, word, None)


async def test_a_done_marker_behind_the_end(ask: Ask) -> None:
    """P78, P18: gateways append `[DONE]`; neither it nor what follows counts."""
    answer = await ask(Reply.events(begin(), *text("a"), finish(), STOP, "[DONE]", "not json", *text("b")))

    assert (answer.text, answer.kind) == ("a", None)


async def test_an_empty_answer_that_ended_properly_is_one(ask: Ask) -> None:
    """An empty message with `end_turn`, as after tool results, is no error."""
    answer = await ask(Reply.events(begin(input_tokens=9, output_tokens=2), finish(output_tokens=2), STOP))

    assert (answer.message.content, answer.kind, answer.types) == ((), None, ["stream_start", "stream_end"])


@pytest.mark.parametrize("fault", [Cut(after_chunks=-2), Reset(after_chunks=-2), Cut(after_chunks=-1)])
async def test_an_end_before_the_stop_reason_is_no_answer(ask: Ask, fault: Cut | Reset) -> None:
    """P22, P34: a stream that ends, or breaks, before it said why it ends is `truncated`; what came stays."""
    events = [begin(), *text("so far"), *call(1, '{"a":1}'), finish("tool_use")]

    answer = await ask(Reply.events(*events, fault=fault))

    assert (answer.text, answer.kind) == ("so far", "truncated")
    assert answer.message.tool_calls == ()


async def test_a_stop_reason_without_the_end_marker_is_an_end(ask: Ask) -> None:
    """P24: `message_delta` with a stop reason, then the end of the body."""
    answer = await ask(Reply.events(begin(), *call(0, '{"a":1}'), finish("tool_use")))

    assert (answer.kind, calls_of(answer)) == (None, [("toolu_0", {"a": 1})])


async def test_an_end_marker_without_a_stop_reason_is_an_end(ask: Ask) -> None:
    """P23: `message_stop` alone; so is `[DONE]`."""
    for marker in (STOP, "[DONE]"):
        answer = await ask(Reply.events(begin(), *text("a"), marker))

        assert (answer.text, answer.message.stop_reason, answer.kind) == ("a", "stop", None)


async def test_only_a_done_marker_is_nothing(ask: Ask) -> None:
    """An answer without any event is `empty_response`."""
    assert (await ask(Reply.events("[DONE]"))).kind == "empty_response"


async def test_a_message_that_comes_as_one_document(ask: Ask) -> None:
    """P70: JSON in place of a stream is one message: thinking, text and calls, in order."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}},
    ]
    message = {"type": "message", "id": "m", "model": "c", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 3}}  # fmt: skip

    answer = await ask(Reply(body=json.dumps(message).encode()))

    assert [block.type for block in answer.message.content] == ["thinking", "text", "tool_call"]
    assert calls_of(answer) == [("toolu_1", {"a": 1})]
    assert answer.message.usage is not None
    assert (answer.message.stop_reason, answer.message.model, answer.message.usage.input) == ("tool_use", "c", 3)


async def test_a_whole_message_after_its_pieces_says_nothing_twice(ask: Ask) -> None:
    """The content of a message that comes in one counts only if none came before."""
    whole = {"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}

    answer = await ask(Reply.events(begin(), *text("a"), whole, STOP))

    assert (answer.text, answer.message.raw_stop_reason) == ("a", "end_turn")


async def test_a_page_is_no_answer(ask: Ask) -> None:
    """P70: HTML at status 200."""
    assert (await ask(Reply(body=b"<html>sign in</html>"))).kind == "protocol_error"


async def test_an_event_that_is_not_json(ask: Ask) -> None:
    """P31: a typed error, and what came before stays."""
    answer = await ask(Reply.events(begin(), *text("a")[:2], b"data: {nonsense\n\n", STOP))

    assert (answer.text, answer.kind) == ("a", "malformed_event")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_characters_split_over_events_and_writes(ask: Ask, size: int) -> None:
    """P01, P21, P47: halves of a character in two deltas are one character, however the bytes are cut."""
    halves = [delta(0, "text", text="a"), b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud83d"}}\n\n',
              b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ude00 \xc3\xbc"}}\n\n']  # fmt: skip
    reply = Reply.events(begin(), start(0, "text", text=""), *halves, stop(0), finish(), STOP)
    body = b"".join(reply.chunks or ())

    answer = await ask(Reply(body=body, framing="chunked", delivery=Delivery(split_every=size)))

    assert (answer.text, answer.kind) == ("a😀 ü", None)


async def test_the_endpoint_of_the_tests_speaks_the_dialect(ask: Ask) -> None:
    """The fake endpoint answers a request for messages with a stream that reads as what the reply says."""
    reply = Reply(thinking="let me see", text="looking", tool_calls=[CallSpec("look", {"path": "a" * 50}, id="t1")])

    answer = await ask(reply)

    assert answer.message.content[:2] == (ThinkingContent("let me see", "signature-1"), TextContent("looking"))
    assert calls_of(answer) == [("t1", {"path": "a" * 50})]
    assert answer.message.usage is not None
    assert (answer.message.stop_reason, answer.message.usage.output) == ("tool_use", 20)
