"""The corpus of cassettes: whole over a socket, one byte at a time, and at random splits, on every engine."""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.cassettes._case import Case
from tests.cassettes._corpus import CORPUS, FOLDER
from tests.providers._told import told
from tests.providers.conftest import CONTEXT
from tinyagent_actors import _alchemy
from tinyagent_actors.events import StreamEnd
from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers import StreamOptions, Timeouts, open_stream
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._cassette import Cassette, CassetteExchange, Chunk
from tinyagent_actors.providers._cassette_file import format_cassette, read_cassette
from tinyagent_actors.providers._dialects import DIALECTS
from tinyagent_actors.testing import replay_cassette

WAITING: set[str] = set()
"""The dialects of the corpus that are not spoken yet: their cassettes wait, and are read by nobody."""
SPLITS = 20
PIECES = 150
"""Into how many pieces a body is cut for a socket; a short one into its bytes. Decoders alone get every byte by itself."""
SPOKEN = [case for case in CORPUS if case.api in DIALECTS]

every_case = pytest.mark.parametrize("case", SPOKEN, ids=lambda case: case.file.removesuffix(".jsonl"))


@pytest.fixture(scope="module")
def seed() -> int:
    """Where the splits come from; printed, so that a failure can be had again (`TINYAGENT_SEED`)."""
    seed = int(os.environ.get("TINYAGENT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"TINYAGENT_SEED={seed}")  # noqa: T201  # pytest shows it where a test fails
    return seed


def options_of(cassette: Cassette, engine: str, key: str = "none") -> StreamOptions:
    """Give the options that a cassette asks for."""
    options = dict(cassette.about.get("options", {}))
    if "timeouts" in options:
        options["timeouts"] = Timeouts(**options["timeouts"])
    return StreamOptions(engine=engine, api_key=key, **options)


async def read_over_socket(path: Path, cassette: Cassette, engine: str) -> list[AssistantMessage]:
    """Ask for each exchange of a cassette, in order."""
    messages = []
    with trio.fail_after(60):
        async with replay_cassette(path, timed=False) as replay:
            model = Model("any", api=cassette.about["api"], base_url=replay.url or "/")
            for number in range(len(cassette.exchanges)):
                # Each with a key of its own, so that none waits for the pause that another was told.
                async with open_stream(model, CONTEXT, options_of(cassette, engine, f"key-{number}")) as stream:
                    messages.append(await stream.result())
    return messages


def check(case: Case, messages: list[AssistantMessage], exchanges: tuple[CassetteExchange, ...]) -> None:
    """Compare what was read with what was expected."""
    for at, (message, exchange) in enumerate(zip(messages, exchanges, strict=True)):
        expected = exchange.expected
        assert expected is not None
        assert told(message, expected) == expected, f"{case.file}, exchange {at} at line {exchange.line}"


def read_purely(cassette: Cassette, exchange: CassetteExchange, engine: str, pieces: list[bytes]) -> AssistantMessage:
    """Decode and assemble a body in pieces, without any I/O."""
    api, think_tags = cassette.about["api"], cassette.about.get("options", {}).get("think_tags", False)
    limit = 64 * 1024 * 1024
    decoder: Any = (
        _alchemy.Decoder(api, think_tags=think_tags, event_limit=limit)
        if engine == "native"
        else DIALECTS[api].make_decoder(think_tags=think_tags, event_limit=limit)
    )
    assembler = Assembler(Model("any", api=api))
    events = [event for piece in pieces for event in assembler.feed(decoder.feed(piece))]
    events += assembler.feed(decoder.end(None if exchange.response.end == "clean" else "it broke"))
    last = events[-1]
    assert isinstance(last, StreamEnd)
    return last.message


def plain_body(exchange: CassetteExchange) -> bytes:
    """Give a body as a decoder gets it."""
    is_packed = ("content-encoding", "gzip") in exchange.response.headers
    return zlib.decompress(exchange.response.body, wbits=31) if is_packed else exchange.response.body


def purely_readable(cassette: Cassette) -> list[CassetteExchange]:
    """Give the exchanges that a decoder alone can judge: no error status, no deadline."""
    return [one for one in cassette.exchanges if one.response.status == 200 and one.response.end != "left"]


def drip(exchange: CassetteExchange) -> CassetteExchange:
    """Give an exchange with its body in small pieces."""
    body = exchange.response.body
    step = -(-len(body) // PIECES) or 1
    chunks = tuple(Chunk(body[at : at + step]) for at in range(0, len(body), step))
    return attrs.evolve(exchange, response=attrs.evolve(exchange.response, chunks=chunks))


def cut_at_random(body: bytes, chance: random.Random) -> list[bytes]:
    """Cut a body at up to eight places."""
    places = sorted(chance.sample(range(len(body) + 1), min(len(body), chance.randint(1, 8))))
    return [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]


@every_case
async def test_whole_over_a_socket(engine: str, case: Case) -> None:
    """Every behaviour of providers: each cassette is played back over a socket, and gives what is expected of it."""
    cassette = read_cassette(FOLDER / case.file)

    check(case, await read_over_socket(FOLDER / case.file, cassette, engine), cassette.exchanges)


@every_case
async def test_in_small_pieces_over_a_socket(engine: str, case: Case, tmp_path: Path) -> None:
    """Every behaviour of providers: the same in pieces of a few bytes, each an HTTP chunk and a write of its own."""
    cassette = read_cassette(FOLDER / case.file)
    dripped = attrs.evolve(cassette, exchanges=tuple(map(drip, cassette.exchanges)))
    path = tmp_path / "dripped.jsonl"
    path.write_bytes(format_cassette(dripped))

    check(case, await read_over_socket(path, read_cassette(path), engine), cassette.exchanges)


@every_case
def test_split_anywhere(engine: str, case: Case, seed: int) -> None:
    """Every behaviour of providers: whole, one byte at a time and at 20 random splits, the decoder of each engine gives what is expected."""
    cassette = read_cassette(FOLDER / case.file)
    chance = random.Random(f"{seed} {case.file}")  # noqa: S311  # no secret
    for exchange in purely_readable(cassette):
        body = plain_body(exchange)
        ways = [[body], [body[at : at + 1] for at in range(len(body))]]
        ways += [cut_at_random(body, chance) for _ in range(SPLITS)]
        for pieces in ways:
            check(case, [read_purely(cassette, exchange, engine, pieces)], (exchange,))


def test_every_behaviour_has_a_cassette() -> None:
    """Of the numbers of providers.md none is left out."""
    numbers = {case.number for case in CORPUS}

    assert [number for number in (f"P{number:02}" for number in range(1, 89)) if number not in numbers] == []


def test_the_files_are_what_the_descriptions_say() -> None:
    """`python -m tests.cassettes` makes them anew."""
    written = {path.name: path.read_bytes() for path in FOLDER.glob("*.jsonl")}

    assert sorted(written) == sorted(case.file for case in CORPUS)
    assert [case.file for case in CORPUS if written[case.file] != format_cassette(case.cassette())] == []


def test_what_waits_is_what_is_not_spoken() -> None:
    """A dialect that is here now must be taken off the list, so that nothing is left out in silence."""
    apis = {case.api for case in CORPUS}

    assert apis - DIALECTS.keys() == WAITING
