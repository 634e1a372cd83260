"""Bodies that are made to hurt: the decoders stay small, do work in proportion, and say what is wrong."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

from tests._forks import Forks
from tests.providers._endless import ENDLESS, MEBIBYTE, PIECE, feed_endlessly, make
from tests.providers._streams import decode
from tests.providers._work import held_by, work_of
from tinyagent_actors.providers._items import CALL, ERROR, TEXT, USAGE
from tinyagent_actors.providers._openai_decoder import OpenAIDecoder

LIMIT = 256 * 1024


def event(delta: str) -> bytes:
    """Give an event with that delta."""
    return f'data: {{"choices":[{{"index":0,"delta":{{{delta}}}}}]}}\n\n'.encode()


def call(index: int, **members: str) -> bytes:
    """Give an event with a piece of a tool call."""
    function = ",".join(f'"{name}":"{value}"' for name, value in members.items() if name != "id")
    call_id = f'"id":"{members["id"]}",' if "id" in members else ""
    return event(f'"tool_calls":[{{"index":{index},{call_id}"function":{{{function}}}}}]')


def detail(index: int) -> bytes:
    """Give an event with a reasoning detail."""
    return event(f'"reasoning_details":[{{"type":"reasoning.text","index":{index},"text":"x"}}]')


Pieces = Callable[[int], Iterator[bytes]]
SHAPES: dict[str, Pieces] = {
    "a line without end": lambda n: (b"data: " + b"x" * 10 for _ in range(n)),
    "a line without end, byte by byte": lambda n: iter([b"data: ", *[b"x"] * n]),
    "a comment without end": lambda n: iter([b":", *[b"x" * 10] * n]),
    "comments": lambda n: (b": ping\n\n" for _ in range(n)),
    "empty events": lambda n: (b"data:\n\n" for _ in range(n)),
    "blank lines": lambda n: (b"\n\r\n\r" for _ in range(n)),
    "lone CRs": lambda n: (b"\r" for _ in range(n)),
    "spaces at the start": lambda n: (b" " for _ in range(n)),
    "lines of one event": lambda n: (b"data: x\n" for _ in range(n)),
    "fields that nobody knows": lambda n: (b"junk: x\n" for _ in range(n)),
    "a JSON body": lambda n: iter([b"{", *[b'"a":1,'] * n]),
    "a page": lambda n: iter([b"<html>", *[b"x" * 10] * n]),
    "unframed lines": lambda n: iter([b": x\n\n{", *[b"x\n"] * n]),
    "events": lambda n: (event('"content":"ab"') for _ in range(n)),
    "invalid bytes": lambda n: (event('"content":"X"').replace(b"X", b"\xff\xc3") for _ in range(n)),
    "halves of characters": lambda n: (event('"content":"\\ud83d"') for _ in range(n)),
    "halves of tags": lambda n: (event('"content":"<think"') for _ in range(n)),
    "pieces of one call": lambda n: (call(0, arguments="x") for _ in range(n)),
    "calls": lambda n: (call(number, id=f"c{number}", name="f", arguments="{}") for number in range(n)),
    "calls at one index": lambda n: (call(0, id=f"c{number}", name="f") for number in range(n)),
    "reasoning details": lambda n: (detail(number) for number in range(n)),
    "finish reasons": lambda n: (
        f'data: {{"choices":[{{"finish_reason":"r{number % 2}"}}]}}\n\n'.encode() for number in range(n)
    ),
    "null choices": lambda n: (b'data: {"choices":null}\n\n' for _ in range(n)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("think_tags", [False, True])
def test_work_grows_as_the_body(shape: str, *, think_tags: bool) -> None:
    """Four times the body is four times the work, counted in calls and in bytes that calls look at."""
    small, large = (
        work_of(OpenAIDecoder(think_tags=think_tags, event_limit=LIMIT), SHAPES[shape](count)) for count in (250, 1000)
    )

    assert large <= 4.4 * small + 1000


@pytest.mark.parametrize("shape", SHAPES)
def test_the_decoders_agree_on_hostile_bodies(shape: str, engine: str) -> None:
    """In pieces and in one, with a small limit too."""
    pieces = list(SHAPES[shape](300))
    for limit in (LIMIT, 1000):
        whole = decode(OpenAIDecoder(event_limit=limit), [b"".join(pieces)], None)
        assert decode(make(engine, event_limit=limit), pieces, None) == whole


def test_quadratic_work_would_be_seen() -> None:
    """The count notices a decoder that joins what it holds at each read."""

    class Joining(OpenAIDecoder):
        def feed(self, data: bytes) -> list[Any]:
            items = super().feed(data)
            b"".join([b"x" * held_by(self)])
            return items

    shape = SHAPES["a line without end, byte by byte"]
    small, large = (work_of(Joining(event_limit=LIMIT), shape(count)) for count in (250, 1000))

    assert large > 8 * small


@pytest.mark.parametrize("shape", ENDLESS)
def test_a_body_without_end_takes_no_more_than_its_limit(shape: str) -> None:
    """A typed error, and a few times the limit at the most: what is held is counted by the allocator."""
    first, again, code = ENDLESS[shape]
    decoder = OpenAIDecoder(event_limit=LIMIT)
    tracemalloc.start()
    try:
        found = feed_endlessly(decoder, first, again, 3 * LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == code
    assert peak < 4 * LIMIT + 16 * PIECE


async def grown(forks: Forks, call: str, *words: str) -> tuple[str, int]:
    """Run a function of `_endless` in a process of its own; give its result, and by how many bytes the process grew."""
    with trio.fail_after(120):
        found, size = (await forks.run("tests.providers._peak_client", call, *words)).split()
    return found, int(size)


@pytest.mark.process
@pytest.mark.parametrize("shape", ["a line", "a JSON body", "unframed JSON"])
async def test_a_process_grows_by_no_more_than_the_limit(forks: Forks, engine: str, shape: str) -> None:
    """64 MiB against a limit of 8: the process grows by at most 8 + 32 MiB."""
    found, size = await grown(forks, "read_endless", engine, shape)

    assert found == ENDLESS[shape][2]
    assert size < (8 + 32) * MEBIBYTE


@pytest.mark.process
async def test_a_large_legal_event_takes_five_times_its_size(forks: Forks, engine: str) -> None:
    """P20: of 16 MiB, in pieces."""
    found, size = await grown(forks, "read_large", engine)

    assert found == str(16 * MEBIBYTE)
    assert size < 5 * 16 * MEBIBYTE


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize(("depth", "is_read"), [(100, True), (10_000, False)])
def test_nesting(engine: str, opening: str, depth: int, *, is_read: bool) -> None:
    """10,000 levels are malformed and cost no stack; 100 are read."""
    closing = "]" if opening == "[" else "}"
    value = opening * depth + "1" + closing * depth
    body = f'data: {{"choices":[{{"delta":{{"content":"a","odd":{value}}}}}]}}\n\ndata: [DONE]\n\n'.encode()
    items = decode(make(engine, event_limit=LIMIT), [body], None)

    assert ((TEXT, "a") in items) is is_read
    assert (items[-1][0] == ERROR and items[-1][1][0] == "malformed_event") is not is_read


@pytest.mark.parametrize("number", ["1" * 5000, "1e400", "-" + "9" * 30, "0." + "1" * 5000, "9007199254740993"])
def test_numbers_beyond_64_bits(engine: str, number: str) -> None:
    """P38: no counter, no panic; one that is no finite double makes its event malformed."""
    body = f'data: {{"choices":[{{"delta":{{"content":"a"}}}}],"usage":{{"prompt_tokens":{number},"completion_tokens":3}}}}\n\n'
    items = decode(make(engine, event_limit=LIMIT), [body.encode()], None)

    is_finite = number not in ("1" * 5000, "1e400")
    assert ((TEXT, "a") in items) is is_finite
    told = [payload for kind, payload in items if kind == USAGE]
    assert [(counters[0], counters[1]) for counters in told] == ([(None, 3)] if is_finite else [])


def test_many_calls_are_all_told(engine: str) -> None:
    """P55: a thousand at once, each with its own name."""
    pieces = [call(number, id=f"c{number}", name=f"f{number}", arguments="{}") for number in range(1000)]
    items = decode(make(engine, event_limit=LIMIT), [*pieces, b"data: [DONE]\n\n"], None)

    assert [payload[2] for kind, payload in items if kind == CALL] == [f"f{number}" for number in range(1000)]
