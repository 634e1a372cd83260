"""From what a tool returned to what a request can carry."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from tests.tools._calls import batch_of
from tinyagent_actors import tool


@attrs.frozen
class Point:
    x: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "done"),
        (float("nan"), "null"),
        ({"far": float("inf")}, '{"far":null}'),
        ({1: "one"}, "TypeError"),
        ([Point(1.5)], '[{"x":1.5}]'),
        ({"b", "a"}, '["a","b"]'),
        (lambda: None, "TypeError"),
        (2**70, "TypeError"),
        (bytearray(b"x"), "TypeError"),
    ],
)
async def test_whatever_a_tool_returns_the_next_request_can_carry(value: Any, text: str) -> None:
    """T18: None, NaN, infinity, keys that are no strings, our own classes, what JSON cannot say: a result, or an error result."""

    @tool
    async def gives() -> Any:
        return value

    batch = batch_of(gives)
    await batch.wait()
    (result,) = batch.results()

    assert text in result.text
    assert result.is_error == text.startswith("TypeError")
    json.dumps(result.text).encode()
