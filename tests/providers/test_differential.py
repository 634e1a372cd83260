"""The two decoders say the same of any bytes, and of the same bytes however they are split."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import BUILT
from tests.providers._anthropic_streams import ANTHROPIC_BODIES
from tests.providers._streams import cut_bodies, decode
from tinyagent_actors import _alchemy
from tinyagent_actors.providers._dialects import dialect_of

DECODERS = [engine for engine in ("httpx", "native") if BUILT[engine]]
LIMITS = st.sampled_from([64 * 1024 * 1024, 64 * 1024 * 1024, 64 * 1024 * 1024, 60, 7])
CUTS = st.sampled_from([None, "the connection broke"])


def make(engine: str, *, think_tags: bool, event_limit: int, api: str = "openai-completions") -> Any:
    """Give the decoder of an engine."""
    if engine == "native":
        return _alchemy.Decoder(api, think_tags=think_tags, event_limit=event_limit)
    return dialect_of(api).make_decoder(think_tags=think_tags, event_limit=event_limit)


def check(api: str, pieces: list[bytes], cut: str | None, limit: int, *, think_tags: bool = False) -> None:
    """Item by item, kinds, payloads, order: both decoders say the same, of the pieces and of the whole.

    All at once, for making a body takes far longer than decoding it.
    """
    said = {
        (engine, way): decode(make(engine, think_tags=think_tags, event_limit=limit, api=api), given, cut)
        for engine in DECODERS
        for way, given in (("whole", [b"".join(pieces)]), ("pieces", pieces))
    }

    for one, items in said.items():
        assert items == said["httpx", "whole"], one


@pytest.mark.parametrize("api", ["openai-completions", "minimax-completions"])
@settings(max_examples=700, deadline=None)
@given(pieces=cut_bodies(), cut=CUTS, think_tags=st.booleans(), limit=LIMITS)
def test_decoders_say_the_same_however_it_is_split(
    api: str, pieces: list[bytes], cut: str | None, limit: int, *, think_tags: bool
) -> None:
    """P01, P05, P21: whole or in pieces, one byte at a time too, a body gives the same items, on every engine."""
    check(api, pieces, cut, limit, think_tags=think_tags)


@settings(max_examples=400, deadline=None)
@given(pieces=cut_bodies(), cut=CUTS, think_tags=st.booleans(), limit=LIMITS)
def test_decoders_say_the_same_of_glm(pieces: list[bytes], cut: str | None, limit: int, *, think_tags: bool) -> None:
    """P01, P05, P21: the same for `zai-completions`."""
    check("zai-completions", pieces, cut, limit, think_tags=think_tags)


@settings(max_examples=700, deadline=None)
@given(pieces=cut_bodies(ANTHROPIC_BODIES), cut=CUTS, limit=LIMITS)
def test_decoders_say_the_same_of_content_blocks(pieces: list[bytes], cut: str | None, limit: int) -> None:
    """P01, P05, P21, P77: the same for `anthropic-messages`."""
    check("anthropic-messages", pieces, cut, limit)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_a_long_body_split_evenly(engine: str, size: int) -> None:
    """P19, P21: thousands of events, in reads of any size."""
    event = 'data: {{"id":"c","choices":[{{"index":0,"delta":{{"content":"wörd{} "}}}}]}}\n\n'
    body = "".join(event.format(number) for number in range(1000)).encode() + b"data: [DONE]\n\n"
    whole = decode(make(engine, think_tags=False, event_limit=1 << 20), [body], None)

    split = [body[at : at + size] for at in range(0, len(body), size)]
    assert decode(make(engine, think_tags=False, event_limit=1 << 20), split, None) == whole
    assert "".join(payload for kind, payload in whole if kind == 0) == "".join(f"wörd{n} " for n in range(1000))
