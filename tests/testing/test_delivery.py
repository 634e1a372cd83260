"""From a reply to writes, waits and breaks."""

from __future__ import annotations

import zlib
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors._errors import SpecError
from tinyagent_actors.testing import Cut, Delivery, Reply, Reset, Stall
from tinyagent_actors.testing._delivery import MAX_WRITE, BreakOff, Exchange, Step, Wait, Write, ending, plan


def steps(reply: Reply, chunks: list[bytes] | None = None, **exchange: Any) -> list[Step]:
    """Plan an answer; waits of no time are left out."""
    body = list(reply.chunks or ()) if chunks is None else chunks
    planned = plan(reply, body, Exchange(number=1, **exchange), content_type="text/plain")
    return [step for step in planned if step != Wait(0)]


def writes(found: list[Step]) -> list[bytes]:
    """Give the data of the writes."""
    return [step.data for step in found if isinstance(step, Write)]


def received(found: list[Step], method: str = "POST") -> tuple[h11.Response, bytes]:
    """Read the writes as a client would; the answer must be whole."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x"), ("content-length", "0")]))
    client.send(h11.EndOfMessage())
    for data in writes(found):
        client.receive_data(data)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head, body


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=6),
    framing=st.sampled_from(["auto", "chunked", "length", "close"]),
    delivery=st.builds(
        Delivery,
        split_at=st.sets(st.integers(1, 99)).map(sorted),
        coalesce=st.booleans(),
        delay_between=st.sampled_from([0, 1]),
    ),
    raw=st.booleans(),
)
def test_a_body_arrives_whole(chunks: list[bytes], framing: Any, delivery: Delivery, *, raw: bool) -> None:
    """However a body is framed, split and paced, a client reads it whole."""
    reply = Reply(framing=framing, delivery=delivery, chunks=chunks if raw else None)
    _, body = received(steps(reply, chunks))

    assert body == b"".join(chunks)


def test_full_speed_is_few_writes() -> None:
    """At full speed a body of many events is written in pieces of at most 64 KiB, the head with the first."""
    found = steps(Reply(), [b"x" * 100] * 2000)

    assert all(isinstance(step, Write) and len(step.data) <= MAX_WRITE + 16 for step in found)
    assert len(found) <= 6
    assert len(steps(Reply(), [b"x" * 100] * 20)) == 1


def test_chunks_are_written_one_by_one() -> None:
    """Chunks that are given as bytes, and events that may not coalesce, are one write and one HTTP chunk each."""
    raw = writes(steps(Reply(chunks=(b"a", b"", b"bc"))))
    apart = writes(steps(Reply(delivery=Delivery(coalesce=False)), [b"a", b"", b"bc"]))

    assert raw[1:] == apart[1:] == [b"1\r\na\r\n", b"2\r\nbc\r\n", b"0\r\n\r\n"]


def test_a_split_is_exact() -> None:
    """A body is written in exactly the pieces between the positions; past its end nothing is split."""
    reply = Reply(body=b"abcdef", delivery=Delivery(split_at=(1, 4, 99)))
    every = Reply(body=b"abcde", delivery=Delivery(split_every=2))

    assert writes(steps(reply, [b"abcdef"]))[1:] == [b"a", b"bcd", b"ef"]
    assert writes(steps(every, [b"abcde"]))[1:] == [b"ab", b"cd", b"e"]


def test_waits_stand_where_they_are_wanted() -> None:
    """`delay_head` is before the head, `delay_body` before the first byte, `delay_between` between two writes."""
    reply = Reply(chunks=(b"a", b"b"), framing="length", delivery=Delivery(delay_head=1, delay_body=2, delay_between=3))
    found = steps(reply)

    assert [step.seconds if isinstance(step, Wait) else "write" for step in found] == [
        1,
        "write",
        2,
        "write",
        3,
        "write",
    ]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Cut(after_bytes=0), [BreakOff("close")]),
        (Cut(after_bytes=1), [Write(b"2\r\na"), BreakOff("close")]),
        (Cut(after_bytes=2), [Write(b"2\r\nab\r\n"), BreakOff("close")]),
        (Reset(after_chunks=1), [Write(b"2\r\nab\r\n"), BreakOff("reset")]),
        (Cut(after_chunks=2), [Write(b"2\r\nab\r\n"), Write(b"2\r\ncd\r\n"), BreakOff("close")]),
        (
            Stall(after_bytes=3, seconds=9),
            [Write(b"2\r\nab\r\n"), Write(b"2\r\nc"), Wait(9), Write(b"d\r\n"), Write(b"0\r\n\r\n")],
        ),
    ],
)
def test_a_fault_strikes_before_its_byte(fault: Cut | Reset | Stall, expected: list[Step]) -> None:
    """A fault inside a piece strikes inside its HTTP chunk, whose size was announced; a stall goes on afterwards."""
    found = steps(Reply(chunks=(b"ab", b"cd"), fault=fault))
    until = next((index for index, step in enumerate(found) if isinstance(step, BreakOff)), len(found))

    assert found[1 : until + 1] == expected


@pytest.mark.parametrize(
    ("fault", "first"), [(Cut(), BreakOff("close")), (Reset(), BreakOff("reset")), (Stall(), Wait(None))]
)
def test_a_fault_without_a_place_is_before_the_head(fault: Cut | Reset | Stall, first: Step) -> None:
    """Without a position nothing is written before the fault."""
    assert steps(Reply(fault=fault), [b"a"])[0] == first


def test_a_fault_outside_of_the_body_is_an_error() -> None:
    """Planning refuses a fault that would never strike, before anything is written."""
    with pytest.raises(SpecError, match=r"fault\.after_chunks: 3 is outside of the body, which has 2"):
        plan(Reply(fault=Cut(after_chunks=3)), [b"a", b"b"], Exchange(number=1), content_type="text/plain")


def test_headers_of_the_reply_replace_ours() -> None:
    """A header of the reply stands in place of the endpoint's; `retry_after` is seconds or a text."""
    head, _ = received(steps(Reply(headers={"Content-Type": "text/html"}, retry_after=1.5), [b"a"]))
    dated, _ = received(steps(Reply(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), [b"a"]))

    assert dict(head.headers)[b"content-type"] == b"text/html"
    assert [name for name, _ in head.headers].count(b"content-type") == 1
    assert dict(head.headers)[b"retry-after"] == b"1.5"
    assert dict(dated.headers)[b"retry-after"] == b"Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("reply", "exchange", "expected"),
    [
        (Reply(), {}, "keep"),
        (Reply(), {"close": True}, "close"),
        (Reply(close=True), {}, "close"),
        (Reply(framing="close"), {}, "close"),
        (Reply(), {"http_version": "1.0"}, "close"),
        (Reply(framing="close", status=204), {}, "keep"),
    ],
)
def test_the_connection_is_kept_where_it_can_be(reply: Reply, exchange: dict[str, Any], expected: str) -> None:
    """A connection is kept unless the reply, the client or the framing says otherwise; then the head says so too."""
    found = b"".join(writes(steps(reply, [b"a"], **exchange)))

    assert ending(reply, Exchange(number=1, **exchange)) == expected
    assert (b"connection: close" in found) is (expected == "close")


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    """A 204 and a 304, and the answer to HEAD, are a head alone."""
    assert writes(steps(Reply(status=status), [b"a"]))[0].endswith(b"\r\n\r\n")
    assert received(steps(Reply(framing="length"), [b"a"], method="HEAD"), "HEAD")[1] == b""


def test_gzip_can_be_read_as_it_comes() -> None:
    """Each chunk of a compressed body can be read when it has come, and all of them are one gzip stream."""
    reply = Reply(encoding="gzip", chunks=(b"hello ", b"world"), framing="close")
    pieces = writes(steps(reply))
    unpacker = zlib.decompressobj(wbits=31)

    assert b"content-encoding: gzip" in pieces[0]
    assert [unpacker.decompress(piece) for piece in pieces[1:]] == [b"hello ", b"world"]
    assert unpacker.eof
