"""Chunks that have come already are one chunk: the same data, the same end, the same judge."""

from __future__ import annotations

import itertools
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors.providers import _merged_chunks
from tinyagent_actors.providers._merged_chunks import MergingConnection

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def connected() -> h11.Connection:
    """Give a connection whose request was sent."""
    connection = h11.Connection(h11.CLIENT)
    sent = connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    assert sent
    connection.send(h11.EndOfMessage())
    return connection


def events_of(connection: h11.Connection) -> list[Any]:
    """Take all events that are ready; a breach of the protocol is the last."""
    events: list[Any] = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return [*events, "breach"]
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return events
        events.append(event)
        if isinstance(event, h11.ConnectionClosed):
            return events


def told(pieces: list[bytes], *, is_merged: bool) -> tuple[bytes, list[Any], int]:
    """Give the body, what else came, and in how many pieces, of a response whose head comes with the first piece."""
    connection = connected()
    events: list[Any] = []
    for place, piece in enumerate(pieces):
        connection.receive_data(HEAD + piece if place == 0 else piece)
        if place == 0:
            head = connection.next_event()
            assert isinstance(head, h11.Response)
            if is_merged:
                connection.__class__ = MergingConnection
                connection.begin()  # type: ignore[attr-defined]  # its class was changed
        if piece or place:
            events += events_of(connection)
        if events and events[-1] == "breach":
            break
    data = [bytes(event.data) for event in events if isinstance(event, h11.Data)]
    others: list[Any] = [
        event if isinstance(event, str) else (type(event), sorted(getattr(event, "headers", ())))
        for event in events
        if not isinstance(event, h11.Data)
    ]
    return b"".join(data), others, len(data)


def chunked(pieces: list[bytes]) -> bytes:
    """Give a body in these chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a body at these places."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[begin:end] for begin, end in itertools.pairwise(places)] or [b""]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_body_is_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    """However it is split: the same data, and then its end."""
    reads = [read for read in split(chunked(pieces), cuts) if read]

    plain, merged = told(reads, is_merged=False), told(reads, is_merged=True)

    assert plain[:2] == merged[:2]
    assert merged[0] == b"".join(pieces)


_STRANGE = [
    chunked([b"abc"])[:-5] + b"4;name=value\r\nabcd\r\n0\r\n\r\n",
    chunked([b"abc"])[:-5] + b"0\r\nTrailer: yes\r\n\r\n",
    chunked([b"abc"])[:-5] + b"zz\r\nabc\r\n",
    chunked([b"abc"])[:-5] + b"3\r\nabcX3\r\nabc\r\n0\r\n\r\n",
    b"5\r\nhello3\r\nabc\r\n0\r\n\r\n",
    chunked([b"abc"])[:-5] + b"-3\r\nabc\r\n",
    chunked([b"abc"])[:-5] + b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    chunked([b"abc"])[:-5] + b"00000003\r\nabc\r\n000\r\n\r\n",
    chunked([b"abc"])[:-5] + b"11111111111111111111\r\nabc\r\n",
    chunked([b"abc"])[:-5] + b"\r\n",
    chunked([b"abc"]) + b"HTTP/1.1 200 OK\r\n",
]


@pytest.mark.parametrize("body", _STRANGE)
@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_h11_stays_the_judge(body: bytes, cuts: list[int]) -> None:
    """X09: extensions, trailers, and every breach: the same verdict after the same data."""
    reads = [read for read in split(body, cuts) if read]

    assert told(reads, is_merged=False)[:2] == told(reads, is_merged=True)[:2]


@given(st.integers(0, 60), st.lists(st.integers(0, 10_000), max_size=4))
def test_an_end_in_the_middle(length: int, cuts: list[int]) -> None:
    """What came of the data is given, and then it is a breach."""
    reads = [read for read in split(chunked([b"0123456789", b"abcdef", b"x"])[:length], cuts) if read] or [b""]

    plain, merged = told([*reads, b""], is_merged=False), told([*reads, b""], is_merged=True)

    assert plain[:2] == merged[:2]


def test_what_came_together_is_one() -> None:
    """A hundred chunks in one read, with the head or after it, are one piece of data; a part of a chunk waits for nothing."""
    hundred = chunked([b"token"] * 100)

    assert told([hundred], is_merged=True)[2] == 1
    assert told([b"1\r\na\r\n", hundred], is_merged=True)[2] == 2
    assert told([b"a\r\n0123"], is_merged=True)[0] == b"0123"


def test_another_httpcore_is_left_alone() -> None:
    """Where there is no connection of h11 at the place, nothing happens."""
    _merged_chunks.merge_chunks(object())

    connection = connected()
    _merged_chunks.merge_chunks(connection)

    assert type(connection) is h11.Connection
