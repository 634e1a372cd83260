"""A line of the table, and how its figures are taken."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import attrs

from tinyagent_actors import _alchemy

RUNS = 5
ENGINES = ("httpx", "native") if _alchemy.AVAILABLE else ("httpx",)


@attrs.frozen
class Row:
    """One line of the table."""

    name: str
    ratio: float
    limit: str
    """What it is to hold, such as ``<= 0.7``."""
    note: str = ""

    def holds(self) -> bool:
        """Whether it does."""
        sign, bound = self.limit.split()
        return self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)


def alternately(*measures: Callable[[], float]) -> list[list[float]]:
    """Take `RUNS` rounds of all measures, so that noise falls on each alike."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(RUNS):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return taken


def median_ratio(ours: list[float], reference: list[float]) -> float:
    """Give our median over the reference's."""
    return statistics.median(ours) / statistics.median(reference)
