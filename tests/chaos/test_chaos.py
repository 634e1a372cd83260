"""Storms, short ones; ``python -m tests.chaos`` makes long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import _real, _virtual


async def test_a_storm_with_real_parts(tmp_path: Path) -> None:
    """Endpoint and tools fail at random, agents are killed, interrupted and left: each call has one result, sums add up, nothing is left."""
    seen = await _real.storm(20261130, 3.0, tmp_path, agents=10)

    assert seen.runs > 0


@pytest.mark.parametrize("seed", range(3))
def test_hours_of_virtual_time(seed: int) -> None:
    """The same with scripted models, for hours; the same seed takes the same course."""
    first = _virtual.storm(seed, 0.5)

    assert first.calls > 0
    assert first.events["tool_execution_end"] > 0
    assert first.digest == _virtual.storm(seed, 0.5).digest
