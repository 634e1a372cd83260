"""@tool: the schema of a signature, and what it lets through."""

from __future__ import annotations

import datetime
import enum
from typing import Any, Literal, TypedDict

import attrs
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors import InvalidArgumentsError, ToolContext, ToolDefinitionError, tool


class Color(enum.Enum):
    RED = "red"


class Place(TypedDict, total=False):
    city: str


@attrs.frozen
class Node:
    name: str
    children: list[Node] = attrs.field(factory=list)


@tool
async def everything(
    text: str,
    count: int = 3,
    color: Color = Color.RED,
    mode: Literal["a", "b"] = "a",
    node: Node | None = None,
    place: Place | None = None,
    when: datetime.datetime | None = None,
    ctx: ToolContext | None = None,
) -> Any:
    """Do it all.

    Args:
        text: What to do.
        count: How often.
    """
    return text, count, color, mode, node, place, when, ctx


def test_the_schema_says_what_signature_and_docstring_say() -> None:
    """Types, descriptions, defaults, required members, recursion; nothing else is let in."""
    schema = everything.definition.parameters

    assert everything.definition.description == "Do it all."
    assert schema["properties"]["text"] == {"type": "string", "description": "What to do."}
    assert schema["properties"]["count"]["default"] == 3
    assert schema["required"] == ["text"]
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    jsonschema_rs.validator_for(schema)


def test_arguments_come_in_the_types_of_the_signature() -> None:
    """Enums, datetimes and nested classes are structured."""
    read = everything.reader.read(
        {
            "text": "x",
            "color": "red",
            "node": {"name": "n", "children": [{"name": "m"}]},
            "when": "2026-01-02T03:04:05Z",
        }
    )

    assert read["color"] is Color.RED
    assert read["node"] == Node("n", [Node("m")])
    assert read["when"] == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def test_every_problem_is_named_by_its_path() -> None:
    """Wrong types, missing and unknown members, at any depth."""
    with pytest.raises(InvalidArgumentsError) as caught:
        everything.reader.read({"count": "3", "node": {"name": 1}, "extra": 0})

    said = str(caught.value)
    assert all(word in said for word in ("count", "node", "text", "extra"))


def test_a_parameter_without_a_schema_is_refused_at_once() -> None:
    """The error names the parameter."""

    async def no_hint(thing) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # what is tested
        pass

    async def foreign(thing: object) -> None:
        pass

    for function in (no_hint, foreign):
        with pytest.raises(ToolDefinitionError) as caught:
            tool(function)
        assert "thing" in str(caught.value)


@given(st.dictionaries(st.sampled_from(["text", "count", "mode"]), st.one_of(st.text(), st.integers(), st.none())))
def test_what_is_let_through_fits(arguments: dict[str, Any]) -> None:
    """Arguments either fit the hints or are refused; never changed silently."""
    try:
        read = everything.reader.read(arguments)
    except InvalidArgumentsError:
        return
    assert isinstance(read["text"], str)
    assert isinstance(read.get("count", 0), int)
    assert read.get("mode", "a") in ("a", "b")
