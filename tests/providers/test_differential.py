"""The two decoders say the same of any bytes, and of the same bytes however they are split."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers._anthropic_streams import ANTHROPIC_BODIES
from tests.providers._streams import cut_bodies, decode
from tinyagent_actors import _alchemy
from tinyagent_actors.providers._dialects import dialect_of

APIS = ("openai-completions", "minimax-completions", "zai-completions")
LIMITS = st.sampled_from([64 * 1024 * 1024, 64 * 1024 * 1024, 64 * 1024 * 1024, 60, 7])
CUTS = st.sampled_from([None, "the connection broke"])


def make(engine: str, *, think_tags: bool, event_limit: int, api: str = "openai-completions") -> Any:
    """Give the decoder of an engine."""
    if engine == "native":
        return _alchemy.Decoder(api, think_tags=think_tags, event_limit=event_limit)
    return dialect_of(api).make_decoder(think_tags=think_tags, event_limit=event_limit)


@pytest.mark.native
@pytest.mark.parametrize("api", APIS)
@settings(max_examples=400, deadline=None)
@given(pieces=cut_bodies(), cut=CUTS, think_tags=st.booleans(), limit=LIMITS)
def test_both_decoders_say_the_same(
    api: str, pieces: list[bytes], cut: str | None, limit: int, *, think_tags: bool
) -> None:
    """Item by item: kinds, payloads, order."""
    ours, theirs = (make(engine, think_tags=think_tags, event_limit=limit, api=api) for engine in ("httpx", "native"))

    assert decode(theirs, pieces, cut) == decode(ours, pieces, cut)


@pytest.mark.parametrize("api", ["openai-completions", "minimax-completions"])
@settings(max_examples=300, deadline=None)
@given(pieces=cut_bodies(), cut=CUTS, think_tags=st.booleans(), limit=LIMITS)
def test_splitting_changes_nothing(
    engine: str, api: str, pieces: list[bytes], cut: str | None, limit: int, *, think_tags: bool
) -> None:
    """P01, P05, P21: whole or in pieces, one byte at a time too, a body gives the same items."""
    split, whole = (make(engine, think_tags=think_tags, event_limit=limit, api=api) for _ in range(2))

    assert decode(split, pieces, cut) == decode(whole, [b"".join(pieces)], cut)


@pytest.mark.native
@settings(max_examples=400, deadline=None)
@given(pieces=cut_bodies(ANTHROPIC_BODIES), cut=CUTS, limit=LIMITS)
def test_both_decoders_say_the_same_of_content_blocks(pieces: list[bytes], cut: str | None, limit: int) -> None:
    """P77: item by item, for `anthropic-messages`."""
    ours, theirs = (
        make(engine, think_tags=False, event_limit=limit, api="anthropic-messages") for engine in ("httpx", "native")
    )

    assert decode(theirs, pieces, cut) == decode(ours, pieces, cut)


@settings(max_examples=300, deadline=None)
@given(pieces=cut_bodies(ANTHROPIC_BODIES), cut=CUTS, limit=LIMITS)
def test_splitting_content_blocks_changes_nothing(
    engine: str, pieces: list[bytes], cut: str | None, limit: int
) -> None:
    """P01, P05, P21, P77: whole or in pieces, one byte at a time too, a body of `anthropic-messages` gives the same items."""
    split, whole = (make(engine, think_tags=False, event_limit=limit, api="anthropic-messages") for _ in range(2))

    assert decode(split, pieces, cut) == decode(whole, [b"".join(pieces)], cut)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_a_long_body_split_evenly(engine: str, size: int) -> None:
    """P19, P21: thousands of events, in reads of any size."""
    event = 'data: {{"id":"c","choices":[{{"index":0,"delta":{{"content":"wörd{} "}}}}]}}\n\n'
    body = "".join(event.format(number) for number in range(1000)).encode() + b"data: [DONE]\n\n"
    whole = decode(make(engine, think_tags=False, event_limit=1 << 20), [body], None)

    split = [body[at : at + size] for at in range(0, len(body), size)]
    assert decode(make(engine, think_tags=False, event_limit=1 << 20), split, None) == whole
    assert "".join(payload for kind, payload in whole if kind == 0) == "".join(f"wörd{n} " for n in range(1000))
