"""What it takes to read the arguments of one call: the schema, then the types of the signature."""

from __future__ import annotations

import enum
import statistics
import time
from typing import Any, Literal

import attrs

from benchmarks._row import RUNS, Row
from tinyagent_actors import Tool, tool

CALLS = 20_000


class Color(enum.Enum):
    """One of the types that a model's string becomes."""

    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Point:
    """An object in an object."""

    x: float
    y: float
    label: str = ""


@tool
async def draw(
    path: str,
    count: int = 3,
    color: Color = Color.RED,
    mode: Literal["a", "b"] = "a",
    at: Point | None = None,
    tags: list[str] | None = None,
) -> None:
    """Six arguments, of which three are scalars."""


@tool
async def look(path: str) -> None:
    """One argument."""


SMALL: dict[str, Any] = {"path": "src/main.py"}
LARGE: dict[str, Any] = {
    "path": "src/main.py",
    "count": 4,
    "color": "blue",
    "mode": "b",
    "at": {"x": 1.0, "y": 2, "label": "here"},
    "tags": ["one", "two", "three"],
}


def _microseconds(made: Tool, arguments: dict[str, Any]) -> float:
    """CPU of one call, the median of the runs."""
    read, taken = made.reader.read, []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(CALLS):
            read(arguments)
        taken.append((time.process_time() - began) / CALLS * 1e6)
    return statistics.median(taken)


def validation_row() -> Row:
    """Give the line of the table; its figure is no ratio, but microseconds."""
    small, large = _microseconds(look, SMALL), _microseconds(draw, LARGE)
    note = f"us of CPU a call of six arguments, with a class, an enum and a list; {small:.1f} us of one"
    return Row("schema + validation", large, "<= 10", note)
