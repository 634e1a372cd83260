"""The generator of the long differential fuzz: a short run of it here, and that it would notice."""

from __future__ import annotations

import os
import random
from typing import Any

import attrs
import pytest

from benchmarks import _fuzz
from benchmarks._fuzz import Trial, decode_both, main, make_trial, minimise, run, spoken
from benchmarks._fuzz_streams import cut_body
from tinyagent_actors.providers import _dialects
from tinyagent_actors.providers._dialects import DIALECTS
from tinyagent_actors.providers._openai_decoder import OpenAIDecoder

pytestmark = pytest.mark.native
COUNT = 2000


def test_a_short_run_finds_no_difference() -> None:
    """`python -m benchmarks fuzz` runs a million; `TINYAGENT_SEED` repeats this one."""
    seed = int(os.environ.get("TINYAGENT_SEED", random.SystemRandom().randrange(10**6)))
    total = run(COUNT, seed, is_told=False)

    assert [(difference.trial, seed) for difference in total.differences] == []
    assert total.streams == COUNT


def test_it_goes_everywhere() -> None:
    """Every dialect that both engines speak, every kind of item, every error of a decoder."""
    total = run(3000, 7, is_told=False)
    errors = {"in_band", "malformed_event", "event_too_large", "protocol_error", "truncated", "empty_response"}
    kinds = {
        "text",
        "thinking",
        "call_open",
        "call_args",
        "call",
        "meta",
        "usage",
        "details",
        "finish",
        "refusal",
        "end",
    }

    assert total.by_api.keys() == DIALECTS.keys() == set(spoken())
    assert total.kinds.keys() >= kinds | {f"error:{code}" for code in errors}


def test_a_body_is_made_from_its_seed_and_number_alone() -> None:
    """K06: so that a difference can be had again without those before it."""
    chance = random.Random(0)  # noqa: S311  # no secret
    first = [make_trial(3, number, spoken(), chance) for number in range(50)]
    chance.seed(99)
    again = [make_trial(3, number, spoken(), chance) for number in range(49, -1, -1)]

    assert first == again[::-1]
    assert first != [make_trial(4, number, spoken(), chance) for number in range(50)]


@attrs.define(eq=False)
class Deaf(OpenAIDecoder):
    """Loses a text that is just a `b`."""

    def feed(self, data: bytes) -> list[Any]:
        return [item for item in super().feed(data) if item != (0, "b")]


@attrs.define(eq=False)
class Fragile(OpenAIDecoder):
    """Breaks at a refusal."""

    def feed(self, data: bytes) -> list[Any]:
        items = super().feed(data)
        if (9, None) in items:
            raise IndexError("broken")
        return items


@pytest.fixture
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a broken decoder in the place of the Python one."""
    dialect = attrs.evolve(DIALECTS["openai-completions"], make_decoder=request.param)
    monkeypatch.setitem(_dialects.DIALECTS, "openai-completions", dialect)


@pytest.mark.parametrize("broken", [Deaf, Fragile], indirect=True)
def test_a_broken_decoder_is_noticed(broken: None, capsys: pytest.CaptureFixture[str]) -> None:
    """K06: one that loses an item, one that raises; the program prints where, made small, and ends with 1."""
    assert main(["--count", str(COUNT), "--seed", "5", "--jobs", "1"]) == 1

    said = capsys.readouterr().out
    assert "DIFFERENCE in body" in said
    assert "seed 5" in said


@pytest.mark.parametrize("broken", [Deaf], indirect=True)
def test_a_difference_is_made_small(broken: None) -> None:
    """Of a long body what is left is what it takes."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    body = event * 5 + event.replace(b'"a"', b'"b"') + event * 5
    trial = Trial(number=1, api="openai-completions", body=body, think_tags=False, event_limit=1 << 20, cut=None)
    small = minimise(trial)
    python, native = decode_both(small, [small.body], [small.body])

    assert python != native
    assert len(small.body) < 60


def test_a_difference_that_hangs_on_the_pieces_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """K06: each decoder gets pieces of its own."""

    class Impatient(OpenAIDecoder):
        def feed(self, data: bytes) -> list[Any]:
            return super().feed(data.removesuffix(b"\r"))

    dialect = attrs.evolve(DIALECTS["openai-completions"], make_decoder=Impatient)
    monkeypatch.setitem(_dialects.DIALECTS, "openai-completions", dialect)

    assert run(2 * COUNT, 5, is_told=False).differences != []


def test_pieces_are_the_body() -> None:
    """However it is cut."""
    chance = random.Random(1)  # noqa: S311  # no secret
    for size in (0, 1, 5, 300, 1000):
        body = bytes(chance.randrange(256) for _ in range(size))
        assert all(b"".join(cut_body(chance, body)) == body for _ in range(50))


def test_processes_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bodies, counted once each, whatever the number of processes."""
    monkeypatch.setattr(_fuzz, "PART", 200)
    alone, together = (run(500, 11, jobs=jobs, is_told=False) for jobs in (1, 2))

    assert (alone.streams, alone.kinds, alone.size) == (together.streams, together.kinds, together.size)
    assert alone.streams == 500
