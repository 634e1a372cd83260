"""What becomes of bytes: framing, ends and errors inside of streams (P01 to P34), over real sockets, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.conftest import Ask
from tinyagent_actors.testing import Cut, Delivery, Reply, Reset


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Give a chunk of a completion."""
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def data(value: Any) -> bytes:
    """Give an event as it stands on the wire, characters unescaped."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
SAID = [data(chunk({"content": "Grüße, "})), data(chunk({"content": "世界 🌍"})), data(chunk({}, "stop")), DONE]
WORDS = "Grüße, 世界 🌍"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_the_same_bytes_in_any_pieces(ask: Ask, size: int) -> None:
    """P01, P21: characters split over writes, and a drip of single bytes, give the same answer."""
    answer = await ask(Reply(body=b"".join(SAID), framing="chunked", delivery=Delivery(split_every=size)))

    assert (answer.text, answer.message.stop_reason) == (WORDS, "stop")
    assert answer.types == ["stream_start", "text_start", "text_delta", "text_end", "stream_end"]


async def test_an_invalid_byte_is_one_replacement_character(ask: Ask) -> None:
    """P02: each maximal subpart of invalid UTF-8 becomes one U+FFFD, and the stream goes on."""
    raw = b'data: {"choices": [{"delta": {"content": "a\xffb\xe4\xb8c"}}]}\n\n'

    answer = await ask(Reply(chunks=[raw, SAID[2], DONE]))

    assert answer.text == "a�b�c"


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
async def test_lines_may_end_in_other_ways(ask: Ask, end: bytes) -> None:
    """P03, P04: CRLF and bare CR end lines like LF."""
    answer = await ask(Reply(body=b"".join(SAID).replace(b"\n", end), framing="chunked"))

    assert (answer.text, answer.kind) == (WORDS, None)


async def test_crlf_in_two_writes_is_one_line_end(ask: Ask) -> None:
    """P05, P06: a CR and its LF in two writes end one line; ends may be mixed."""
    body = SAID[0].replace(b"\n", b"\r\n") + SAID[1].replace(b"\n", b"\r") + SAID[2] + DONE
    cut = body.index(b"\r\n") + 1

    answer = await ask(Reply(body=body, framing="chunked", delivery=Delivery(split_at=(cut,))))

    assert (answer.text, answer.kind) == (WORDS, None)


async def test_data_in_several_lines_is_one_event(ask: Ask) -> None:
    """P07: pretty-printed JSON over several data lines."""
    pretty = "".join(f"data: {line}\n" for line in json.dumps(chunk({"content": "hi"}), indent=2).split("\n")) + "\n"

    assert (await ask(Reply(chunks=[pretty.encode(), SAID[2], DONE]))).text == "hi"


@pytest.mark.parametrize("lead", [b"data:", b"data:  ", b"data:\t"])
async def test_space_after_the_colon_is_free(ask: Ask, lead: bytes) -> None:
    """P08, P09: no space, two spaces or a tab before the JSON."""
    body = b"".join(SAID).replace(b"data: ", lead)

    assert (await ask(Reply(body=body, framing="chunked"))).text == WORDS


async def test_a_byte_order_mark_counts_only_at_the_start(ask: Ask) -> None:
    """P10: dropped as the first thing of the body; in mid-stream it makes its line an unknown field."""
    bom = b"\xef\xbb\xbf"

    answer = await ask(Reply(chunks=[bom + SAID[0], bom + data(chunk({"content": "lost"})), *SAID[1:]]))

    assert answer.text == WORDS


async def test_comments_unknown_fields_and_names_change_nothing(ask: Ask) -> None:
    """P11, P12, P13, P14: pings, ids, retry, lines without a colon, event names and empty data are passed over."""
    noise = b": keep-alive\n\n:\n\nid: 1\nretry: 5\nnonsense\n data: {}\nid: a\0b\n\ndata\n\ndata:\n\ndata:   \n\n"

    answer = await ask(Reply(chunks=[noise, b"event: chunk\n" + SAID[0], noise, *SAID[1:]]))

    assert (answer.text, answer.kind) == (WORDS, None)


async def test_line_separators_of_unicode_do_not_split_lines(ask: Ask) -> None:
    """P15: U+2028, U+2029 and U+0085 stand raw in JSON."""
    said = "a\u2028b\u2029c\u0085d"

    assert (await ask(Reply(chunks=[data(chunk({"content": said})), SAID[2], DONE]))).text == said


@pytest.mark.parametrize("marker", [b"data: [DONE]", b"data:[DONE]\n", b"data:  [DONE] \r\n\r\n"])
async def test_the_end_marker_is_read_in_any_dress(ask: Ask, marker: bytes) -> None:
    """P16: `[DONE]` without a newline, a space or a blank line."""
    answer = await ask(Reply(chunks=[SAID[0], SAID[1], marker]))

    assert (answer.text, answer.message.stop_reason) == (WORDS, "stop")


async def test_the_last_event_may_lack_its_end(ask: Ask) -> None:
    """P17: a last data line without a newline is used if it is complete JSON."""
    answer = await ask(Reply(chunks=[SAID[0], SAID[1], SAID[2].rstrip()]))

    assert (answer.text, answer.message.raw_stop_reason) == (WORDS, "stop")


async def test_nothing_counts_after_the_end_marker(ask: Ask) -> None:
    """P18: neither data nor a reset after `[DONE]` change the answer."""
    answer = await ask(
        Reply(chunks=[*SAID, data({"error": {"message": "late"}}), b"x" * 9000], fault=Reset(after_bytes=-1))
    )

    assert (answer.text, answer.kind) == (WORDS, None)


async def test_thousands_of_events_in_one_write(ask: Ask) -> None:
    """P19: they come in order, none is lost."""
    body = b"".join(data(chunk({"content": f"{number} "})) for number in range(5000)) + SAID[2] + DONE

    answer = await ask(Reply(body=body))

    assert answer.text == "".join(f"{number} " for number in range(5000))


async def test_an_event_of_ten_mebibytes(ask: Ask) -> None:
    """P20: one line of 10 MiB is one event."""
    answer = await ask(Reply(chunks=[data(chunk({"content": "x" * (10 << 20)})), SAID[2], DONE]))

    assert len(answer.text) == 10 << 20


async def test_an_event_over_the_limit_is_an_error(ask: Ask) -> None:
    """P20: `event_too_large`, without holding more of it; what came before stays."""
    from tinyagent_actors.providers import StreamLimits

    reply = Reply(chunks=[SAID[0], data(chunk({"content": "x" * 100_000})), DONE])

    answer = await ask(reply, limits=StreamLimits(event_bytes=10_000))

    assert (answer.kind, answer.text) == ("event_too_large", "Grüße, ")


@pytest.mark.parametrize("fault", [None, Cut(after_chunks=2), Reset(after_chunks=2)])
async def test_an_end_before_the_message_ended_is_truncated(ask: Ask, fault: Cut | Reset | None) -> None:
    """P22: a clean end, a cut or a reset before finish reason and end marker is `truncated`; what came stays."""
    answer = await ask(Reply(chunks=[SAID[0], SAID[1]], fault=fault))

    assert (answer.kind, answer.message.stop_reason, answer.message.error.retryable) == ("truncated", "error", True)  # type: ignore[union-attr]
    if not isinstance(fault, Reset):
        assert answer.text == WORDS
    assert answer.types[-2:] == ["text_end", "stream_end"] or answer.text == ""


async def test_the_end_marker_without_a_finish_reason_is_a_stop(ask: Ask) -> None:
    """P23: `[DONE]` ends the message; calls that parse may run."""
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"x": 1}'}}

    answer = await ask(Reply(chunks=[data(chunk({"tool_calls": [call]})), DONE]))

    assert answer.message.stop_reason == "stop"
    assert [(made.name, made.arguments) for made in answer.message.tool_calls] == [("look", {"x": 1})]


@pytest.mark.parametrize("fault", [None, Cut(after_chunks=3), Reset(after_chunks=3)])
async def test_a_finish_reason_without_the_end_marker_is_a_success(ask: Ask, fault: Cut | Reset | None) -> None:
    """P24: a clean end, a cut or a reset after a finish reason is no error."""
    from tinyagent_actors.testing import Delivery

    # The finish reason must have been read before the reset tears the connection down.
    delivery = Delivery(delay_between=0.05) if isinstance(fault, Reset) else Delivery()

    answer = await ask(Reply(chunks=[*SAID[:3], b": bye\n\n"], fault=fault, delivery=delivery))

    assert (answer.text, answer.kind, answer.message.stop_reason) == (WORDS, None, "stop")


ERROR = {"code": 502, "message": "upstream broke"}


@pytest.mark.parametrize(
    "event",
    [
        data({"choices": [{"delta": {"content": ""}, "finish_reason": "error"}], "error": ERROR}),
        data({"error": ERROR}),
        b"event: error\n" + data({"error": ERROR}),
        b"event: error\n" + data(ERROR),
        b"error: " + json.dumps(ERROR).encode() + b"\n\n",
        json.dumps({"error": ERROR}).encode() + b"\n\n",
        data([{"error": ERROR}]),
        data({"choices": [{"index": 0, "delta": {}, "error": ERROR}]}),
        data({"object": "error", **ERROR}),
    ],
    ids=["chunk", "bare", "event", "event-bare", "field", "unframed", "array", "choice", "object"],
)
async def test_an_error_inside_the_stream_ends_it(ask: Ask, event: bytes) -> None:
    """P25 to P29, P34: in any shape it is typed by its code, and what came before stays; `[DONE]` does not hide it."""
    answer = await ask(Reply(chunks=[SAID[0], event, DONE]))

    assert (answer.kind, answer.message.stop_reason, answer.text) == ("provider_error", "error", "Grüße, ")
    assert answer.message.error is not None
    assert answer.message.error.retryable
    assert "upstream broke" in answer.message.error.message


async def test_an_error_may_be_a_string(ask: Ask) -> None:
    """P26: `{"error": "..."}`."""
    answer = await ask(Reply(chunks=[SAID[0], data({"error": "model is sleeping"}), DONE]))

    assert (answer.kind, answer.text) == ("provider_error", "Grüße, ")
    assert "model is sleeping" in str(answer.message.error_message)


async def test_a_rate_limit_inside_the_stream(ask: Ask) -> None:
    """P30: a 429 in band is `rate_limited`, as if it were the status."""
    answer = await ask(Reply.events({"error": {"code": 429, "message": "slow down"}}, "[DONE]"))

    assert answer.kind == "rate_limited"
    assert answer.message.error is not None
    assert answer.message.error.retryable


async def test_an_event_that_is_not_json_ends_the_stream(ask: Ask) -> None:
    """P31: `malformed_event`; nothing is dropped in silence, and what came before stays."""
    answer = await ask(Reply(chunks=[SAID[0], b"data: {oops\n\n", *SAID[1:]]))

    assert (answer.kind, answer.text) == ("malformed_event", "Grüße, ")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "1e999", "[" * 200 + "]" * 200])
async def test_numbers_and_depths_out_of_the_profile_are_malformed(ask: Ask, word: str) -> None:
    """P31: NaN, Infinity, numbers out of range and depths over 127 are no JSON here."""
    answer = await ask(Reply(chunks=[SAID[0], f'data: {{"x": {word}}}\n\n'.encode(), DONE]))

    assert answer.kind == "malformed_event"


@pytest.mark.parametrize(
    ("finish", "reason", "kind"),
    [
        ("stop", "stop", None),
        ("LENGTH", "length", None),
        ("tool_calls", "tool_use", None),
        ("content_filter", "content_filter", None),
        ("refusal", "refusal", None),
        ("banana", "stop", None),
        ("network_error", "error", "provider_error"),
        ("insufficient_system_resource", "error", "overloaded"),
    ],
)
async def test_finish_reasons_by_the_table(ask: Ask, finish: str, reason: str, kind: str | None) -> None:
    """P32, P33: each word has its meaning, one in no table is `stop`, and the raw word is kept."""
    answer = await ask(Reply(text="hi", finish=finish))

    assert (answer.message.stop_reason, answer.message.raw_stop_reason, answer.kind) == (reason, finish, kind)
    assert answer.text == "hi"


async def test_the_last_finish_reason_that_is_one_counts(ask: Ask) -> None:
    """P33: an empty reason is none; a repeated one changes nothing; a later one replaces the earlier."""
    reply = Reply.events(chunk({"content": "a"}, ""), chunk({}, "stop"), chunk({}, "length"), chunk({}, ""), "[DONE]")

    assert (await ask(reply)).message.stop_reason == "length"


@pytest.mark.parametrize("body", [b"", b"\n\n", b": only a comment\n\n", DONE, b"data: \n\n" + DONE])
async def test_nothing_at_all_is_an_empty_response(ask: Ask, body: bytes) -> None:
    """P70: an empty 200, only framing, or only the end marker: `empty_response`, which may be tried again."""
    answer = await ask(Reply(chunks=[body] if body else [], framing="chunked"))

    assert (answer.kind, answer.types) == ("empty_response", ["stream_end"])
    assert answer.message.error is not None
    assert answer.message.error.retryable


async def test_a_finish_reason_with_no_content_is_a_success(ask: Ask) -> None:
    """An answer may be empty."""
    answer = await ask(Reply.events(chunk({}, "stop"), "[DONE]"))

    assert (answer.kind, answer.message.content, answer.message.stop_reason) == (None, (), "stop")
