"""Cassettes as files: what is written is read again, byte by byte; what is wrong is told by line and member."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors._errors import CassetteError, CassetteMissError, CassetteUnusedError
from tinyagent_actors.providers._cassette import (
    ENDS,
    Cassette,
    CassetteExchange,
    CassetteRequest,
    CassetteResponse,
    Chunk,
)
from tinyagent_actors.providers._cassette_file import format_cassette, parse_cassette, read_cassette

HEAD = '{"cassette": 1}'
REQUEST = '{"request": {"path": "/v1/chat/completions"}}'
RESPONSE = '{"response": {"status": 200}}'
END = '{"end": "clean"}'
SECONDS = st.integers(0, 10**9).map(lambda microseconds: microseconds / 10**6)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXCHANGES = st.builds(
    lambda body, status, chunks, end, after, expected: CassetteExchange(
        request=CassetteRequest(path="/v1/x", query="a=1", headers=(("accept", "*"),), has_body=True, body=body),
        response=CassetteResponse(
            status=status, headers=(("x", "y"),), after=after, chunks=tuple(chunks), end=end, end_after=after
        ),
        expected=expected,
    ),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), WORDS),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=5,
    ),
    st.integers(200, 599),
    st.lists(st.builds(Chunk, st.one_of(st.binary(max_size=20), WORDS.map(str.encode)), SECONDS), max_size=4),
    st.sampled_from(ENDS),
    SECONDS,
    st.one_of(st.none(), st.dictionaries(WORDS, WORDS, max_size=2)),
)


def lines(*of: str) -> bytes:
    """Give a file of these lines."""
    return "\n".join(of).encode()


@given(exchanges=st.lists(EXCHANGES, max_size=3), about=st.dictionaries(WORDS, WORDS, max_size=2))
def test_what_is_written_is_read_again(exchanges: list[CassetteExchange], about: dict[str, Any]) -> None:
    """K01: any bytes, in any pieces; lone bytes, odd spaces and marks included; only ASCII and what can be seen stands raw."""
    cassette = Cassette(exchanges=tuple(exchanges), base="/api", about=about)
    data = format_cassette(cassette)
    again = parse_cassette(data)

    assert attrs.evolve(again, exchanges=tuple(attrs.evolve(one, line=0) for one in again.exchanges)) == cassette
    assert data.count(b"\n") == len(data.decode().splitlines())


def test_the_form() -> None:
    """K01: A line each: so the difference of two cassettes is one of lines. Times are rounded to microseconds."""
    exchange = CassetteExchange(
        request=CassetteRequest(path="/v1/chat/completions", has_body=True, body={"model": "m"}),
        response=CassetteResponse(
            headers=(("content-type", "text/event-stream"),),
            after=0.25,
            chunks=(Chunk("data: é\u2028\n\n".encode(), 0.1234567), Chunk(b"\xc3"), Chunk(b"\xa9")),
            end="reset",
        ),
        expected={"text": "é"},
    )

    assert format_cassette(Cassette(exchanges=(exchange,), about={"says": "hello"})).decode().splitlines() == [
        '{"cassette": 1, "base": "/v1", "about": {"says": "hello"}}',
        '{"request": {"method": "POST", "path": "/v1/chat/completions", "body": {"model": "m"}}}',
        '{"response": {"status": 200, "framing": "chunked", "after": 0.25, "headers": [["content-type", "text/event-stream"]]}}',
        '{"chunk": "data: é\\u2028\\n\\n", "after": 0.123457}',
        '{"chunk64": "ww=="}',
        '{"chunk64": "qQ=="}',
        '{"end": "reset"}',
        '{"expected": {"text": "é"}}',
    ]


def test_what_may_be_left_out() -> None:
    """K01: A request is POST and stands for any body; a response is chunked; blank lines are nothing."""
    (exchange,) = parse_cassette(lines(HEAD, "", REQUEST, RESPONSE, '{"chunk": "a"}', END, "")).exchanges

    assert (exchange.request.method, exchange.request.has_body, exchange.line) == ("POST", False, 3)
    assert (exchange.response.body, exchange.response.framing, exchange.response.end) == (b"a", "chunked", "clean")


@pytest.mark.parametrize(
    ("data", "line", "field", "problem"),
    [
        (b"", 0, "", "is empty"),
        (b"\xff\n", 1, "", "is not JSON"),
        (lines("[]"), 1, "", "must be an object, is a list"),
        (lines('{"cassette": 2}'), 1, "cassette", "must be 1, the version of the form"),
        (lines('{"cassette": true}'), 1, "cassette", "must be a whole number"),
        (lines('{"cassette": 1, "more": 1}'), 1, "more", "is not known here"),
        (lines('{"cassette": 1, "base": 3}'), 1, "base", "must be a text"),
        (lines(HEAD, RESPONSE), 2, "response", "stands where request must stand"),
        (lines(HEAD, '{"request": {}}'), 2, "request.path", "is missing"),
        (lines(HEAD, '{"request": {"path": "v1"}}'), 2, "request.path", "must begin with /"),
        (lines(HEAD, '{"request": {"path": "/", "key": "x"}}'), 2, "request.key", "is not known here"),
        (lines(HEAD, '{"request": {"path": "/", "headers": [["a"]]}}'), 2, "request.headers[0]", "must be a list of a name"),
        (lines(HEAD, '{"request": {"path": "/"}, "end": "clean"}'), 2, "", "must have exactly one of"),
        (lines(HEAD, REQUEST), 2, "", "the file ends here, before the response"),
        (lines(HEAD, REQUEST, RESPONSE), 3, "", "the file ends here, before the end"),
        (lines(HEAD, REQUEST, '{"response": {"status": "200"}}'), 3, "response.status", "must be a whole number, is a text"),
        (lines(HEAD, REQUEST, '{"response": {"status": 100}}'), 3, "response.status", "must be from 200 to 599"),
        (lines(HEAD, REQUEST, '{"response": {"status": 200, "after": -1}}'), 3, "response.after", "must be seconds"),
        (lines(HEAD, REQUEST, '{"response": {"status": 200, "framing": "odd"}}'), 3, "response.framing", "must be one of chunked"),
        (lines(HEAD, REQUEST, '{"response": {"status": 200, "length": 1}}'), 3, "response.length", "and only there"),
        (lines(HEAD, REQUEST, '{"response": {"status": 200, "headers": [["a", "b\\r\\nc"]]}}'), 3, "response.headers[0]", "no header can carry"),
        (lines(HEAD, REQUEST, '{"response": {"status": 200, "framing": "length", "length": 9}}', '{"chunk": "a"}', END), 3, "response.length", "the body has 1 bytes and ends clean"),
        (lines(HEAD, REQUEST, RESPONSE, '{"chunk": 1}', END), 4, "chunk", "must be a text"),
        (lines(HEAD, REQUEST, RESPONSE, '{"chunk64": "*"}', END), 4, "chunk64", "is not base64"),
        (lines(HEAD, REQUEST, RESPONSE, '{"end": "odd"}'), 4, "end", "must be one of clean"),
        (lines(HEAD, REQUEST, RESPONSE, END, '{"expected": 1}'), 5, "expected", "must be an object"),
        (lines(HEAD, REQUEST, RESPONSE, END, END), 5, "end", "stands where request must stand"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(data: bytes, line: int, field: str, problem: str) -> None:
    """K01: by the line and the member; the text is a sentence."""
    with pytest.raises(CassetteError) as caught:
        parse_cassette(data, "x.jsonl")

    assert (caught.value.file, caught.value.line, caught.value.field) == ("x.jsonl", line, field)
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"x.jsonl:{line}: " if line else "x.jsonl: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is not there, or is a folder."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(CassetteError, match="cannot be read"):
            read_cassette(path)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CassetteError("x", 2, "end", "is wrong"), "x:2: end: is wrong"),
        (CassetteMissError("x", "POST /", 0, ""), "x: no recorded answer to POST /"),
        (CassetteMissError("x", "POST /", 3, "  body: ...", 2), "x: no recorded answer to POST / (the first of 2 such requests); the nearest is at line 3:\n  body: ..."),
        (CassetteUnusedError("x", ("line 2 POST /",)), "x: 1 recorded answers were never asked for: line 2 POST /"),
    ],
)  # fmt: skip
def test_the_errors(error: Exception, text: str) -> None:
    """Each says what to look at, and can be pickled."""
    assert str(error) == text
    assert pickle.loads(pickle.dumps(error)) == error  # noqa: S301  # our own


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"a": 1, "b": [1, {"c": 2, "d": 3}]}, {"b": [1, {"d": 3, "c": 2}], "a": 1}, True),
        ({"a": 1}, {"a": 1.5}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({}, None, False),
        ("", None, False),
    ],
)
def test_requests_are_compared_as_json(one: Any, other: Any, *, is_same: bool) -> None:
    """K04: without regard to the order of members."""
    keys = {CassetteRequest(path="/", has_body=True, body=body).key for body in (one, other)}

    assert (len(keys) == 1) is is_same
