"""@tool: the schema of a signature, and what it lets through."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import attrs
import jsonschema_rs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.tools._calls import batch_with
from tinyagent_actors import InvalidArgumentsError, ToolContext, ToolDefinitionError, tool
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.tools import Tool


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict, total=False):
    """Somewhere.

    Attributes:
        city: Its name.
    """

    city: str
    since: NotRequired[datetime.date]


@attrs.frozen
class Node:
    name: str
    children: list[Node] = attrs.field(factory=list)
    size: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    _cache: dict[str, int] = attrs.field(factory=dict, init=False)


@dataclasses.dataclass(frozen=True)
class Span:
    first: int
    last: int = 9


Count = NewType("Count", int)


@tool
async def everything(
    text: str,
    count: int = 3,
    color: Color = Color.RED,
    level: Level = Level.LOW,
    mode: Literal["a", "b"] = "a",
    node: Node | None = None,
    place: Place | None = None,
    when: datetime.datetime | None = None,
    either: int | list[str] | Span | str | None = None,
    ratio: float = 0.5,
    several: tuple[int, str] = (1, "x"),
    names: set[str] = frozenset(),  # type: ignore[assignment]  # a default that cannot be changed
    by_name: dict[str, Span] | None = None,
    total: Count = Count(0),
    bounded: Annotated[int, "From 1 to 9.", {"minimum": 1, "maximum": 9}] = 1,
    anything: Any = None,
    ctx: ToolContext | None = None,
) -> Any:
    """Do it all.

    Args:
        text: What to do.
        count: How often.
    """
    return text, count, color, level, mode, node, place, when, either, ratio, several, names, by_name, total, ctx


def problems_of(arguments: Any, made: Tool = everything) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        made.reader.read(arguments)
    return list(caught.value.problems)


def test_the_schema_says_what_signature_and_docstring_say() -> None:
    """Types, descriptions, defaults, required members, recursion; nothing else is let in."""
    schema = everything.definition.parameters
    properties = schema["properties"]

    assert everything.definition.description == "Do it all."
    assert properties["text"] == {"type": "string", "description": "What to do."}
    assert properties["count"] == {"type": "integer", "description": "How often.", "default": 3}
    assert properties["color"] == {"enum": ["red", "blue"], "default": "red"}
    assert properties["level"] == {"enum": [1, 2], "default": 1}
    assert properties["mode"] == {"enum": ["a", "b"], "default": "a"}
    assert properties["total"] == {"type": "integer", "default": 0}
    assert properties["bounded"] == {
        "type": "integer",
        "description": "From 1 to 9.",
        "minimum": 1,
        "maximum": 9,
        "default": 1,
    }
    assert properties["several"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert "ctx" not in properties
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    jsonschema_rs.validator_for(schema)
    json.dumps(schema)


def test_the_schemas_of_classes() -> None:
    """Classes of attrs, dataclasses and TypedDicts: members that may be given, which must be, and what their docstring says."""
    classes = everything.definition.parameters["$defs"]

    assert classes["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert list(classes["Node"]["properties"]) == ["name", "children", "size"]
    assert classes["Node"]["required"] == ["name"]
    assert classes["Place"]["description"] == "Somewhere."
    assert classes["Place"]["properties"]["city"] == {"type": "string", "description": "Its name."}
    assert classes["Place"]["properties"]["since"] == {"type": "string", "format": "date"}
    assert classes["Place"]["required"] == []
    assert classes["Span"]["properties"]["last"] == {"type": "integer", "default": 9}
    assert "description" not in classes["Span"]


def test_arguments_come_in_the_types_of_the_signature() -> None:
    """Enums, dates, nested classes, tuples and sets are structured; a whole number is an int, any other a float."""
    read = everything.reader.read(
        {
            "text": "x",
            "count": 4.0,
            "color": "blue",
            "level": 2,
            "node": {"name": "n", "children": [{"name": "m", "size": 2}]},
            "place": {"since": "2026-01-02"},
            "when": "2026-01-02T03:04:05Z",
            "ratio": 2,
            "several": [2, "y"],
            "names": ["b", "a"],
            "by_name": {"s": {"first": 1}},
        }
    )

    assert (read["count"], type(read["count"])) == (4, int)
    assert read["color"] is Color.BLUE
    assert read["level"] is Level.HIGH
    assert read["node"] == Node("n", [Node("m", size=2)])
    assert read["place"] == {"since": datetime.date(2026, 1, 2)}
    assert read["when"] == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert (read["ratio"], type(read["ratio"])) == (2.0, float)
    assert read["several"] == (2, "y")
    assert read["names"] == {"a", "b"}
    assert read["by_name"] == {"s": Span(1, 9)}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), ("1", "1"), (["a"], ["a"]), ({"first": 2}, Span(2)), (None, None), ("", "")],
)
def test_of_a_union_the_type_that_it_has(value: object, expected: object) -> None:
    """A string that looks like a number stays a string."""
    read = everything.reader.read({"text": "x", "either": value})["either"]

    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, 'arguments: "text" is a required property'),
        ({"text": 1}, 'text: 1 is not of type "string"'),
        ({"text": None}, 'text: null is not of type "string"'),
        ({"text": "x", "count": "3"}, 'count: "3" is not of type "integer"'),
        ({"text": "x", "count": True}, 'count: true is not of type "integer"'),
        ({"text": "x", "count": 1.5}, 'count: 1.5 is not of type "integer"'),
        ({"text": "x", "extra": 0}, "extra"),
        ({"text": "x", "color": "green"}, "color: "),
        ({"text": "x", "bounded": 10}, "bounded: 10 is greater than the maximum of 9"),
        ({"text": "x", "node": {"name": 1}}, 'node.name: 1 is not of type "string"'),
        ({"text": "x", "node": {"name": "n", "children": [{"nme": "m"}]}}, "node.children[0]: "),
        ({"text": "x", "node": {"name": "n", "size": -1}}, "node: 'size' must be >= 0: -1"),
        ({"text": "x", "node": {"name": "n", "_cache": {}}}, "_cache"),
        ({"text": "x", "by_name": {"s": {"first": "1"}}}, 'by_name.s.first: "1" is not of type "integer"'),
        ({"text": "x", "when": "yesterday"}, "when: "),
        ({"text": "x", "when": "2026-02-30T00:00:00Z"}, "when: "),
        ({"text": "x", "place": {"since": "2026-13-01"}}, "place.since: "),
        ({"text": "x", "several": [1]}, "several: "),
        ({"text": "x", "names": ["a", "a"]}, "names: "),
        ({"text": "x", "ratio": math.nan}, "ratio: nan is no number in JSON"),
        ({"text": "x", "anything": [{"deep": -math.inf}]}, "anything[0].deep: -inf is no number in JSON"),
        ({"text": "half \ud800"}, "text: it holds half of a character"),
        ({"text": "x", "by_name": {"\udfff": {"first": 1}}}, "by_name: '\\udfff' is no name of a member"),
        ({"text": "x", "anything": {1: 2}}, "anything: 1 is no name of a member"),
        ({"text": "x", "anything": {"a": b"bytes"}}, "anything.a: a bytes is nothing that JSON has"),
        ([{"text": "x"}], 'is not of type "object"'),
        ("text", 'is not of type "object"'),
        (None, 'is not of type "object"'),
        (math.nan, "arguments: nan is no number in JSON"),
    ],
)
def test_every_problem_names_its_argument(arguments: Any, problem: str) -> None:
    """By its path, at any depth, also within what may be one of several things; lists, strings and NaN for arguments, too."""
    assert any(problem in told for told in problems_of(arguments)), problems_of(arguments)


def test_what_is_nested_too_deeply_is_refused() -> None:
    """Long before anything that walks over it overflows its stack."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    told = problems_of({"text": "x", "anything": deep})
    while deep:
        deep = deep["x"]  # or its own end would overflow it

    assert len(told) == 1
    assert "nested too deeply" in told[0]


def test_of_many_problems_ten_are_told_and_each_is_short() -> None:
    """A model that is far off does not fill its context with it."""
    told = problems_of({"text": "x", "node": {"name": "n", "children": [{"name": number} for number in range(100)]}})
    long = problems_of({"text": "x", "color": "x" * 10_000})

    assert len(told) == 10
    assert len(long[0]) < 300


def test_a_class_with_rules_of_its_own_is_asked() -> None:
    """What it raises, whatever that is, is told; its type, where it has no words."""

    @attrs.frozen
    class Picky:
        value: int

        def __attrs_post_init__(self) -> None:
            if self.value == 1:
                raise ZeroDivisionError
            if self.value == 2:
                message = "two is too many"
                raise RuntimeError(message)

    async def function(picky: Any) -> None: ...

    function.__annotations__["picky"] = Picky
    made = tool(function)

    assert problems_of({"picky": {"value": 1}}, made) == ["picky: ZeroDivisionError"]
    assert problems_of({"picky": {"value": 2}}, made) == ["picky: two is too many"]


async def test_a_bad_argument_is_a_result_and_runs_nothing() -> None:
    """The model reads which; its sibling runs. Row 1 of what must never happen: nothing runs with `{}` instead."""
    ran: list[str] = []

    @tool
    async def strict(text: str) -> None:
        ran.append(text)

    batch = batch_with([(strict, {}), (strict, {"text": math.nan}), (strict, {"text": "fine"})])
    batch.calls = (*batch.calls, attrs.evolve(ToolCall("c3", "strict", {}), arguments=["text"]))
    with trio.fail_after(30):
        await batch.wait()

    assert [result.is_error for result in batch.results()] == [True, True, False, True]
    assert all("strict" in result.text for result in batch.results() if result.is_error)
    assert ran == ["fine"]


def test_a_parameter_without_a_schema_is_refused_at_once() -> None:
    """The error names the parameter, however deep in its type the reason lies."""

    async def no_hint(thing) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # what is tested
        pass

    async def foreign(thing: object) -> None: ...
    async def nested(thing: list[dict[str, bytes]]) -> None: ...
    async def keys(thing: dict[int, str]) -> None: ...
    async def many(*thing: int) -> None: ...
    async def positional(thing: int, /) -> None: ...
    async def constant(thing: Literal[b"x"]) -> None: ...
    async def unknown(thing: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # what is tested

    for function in (no_hint, foreign, nested, keys, many, positional, constant):
        with pytest.raises(ToolDefinitionError) as caught:
            tool(function)
        assert "thing" in str(caught.value)
    with pytest.raises(ToolDefinitionError, match="Nowhere"):
        tool(unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([*everything.definition.parameters["properties"], "else"]), JSON, max_size=5) | JSON
)
def test_what_is_let_through_fits(arguments: Any) -> None:
    """Whatever comes: it fits the hints, can be written as JSON, and is not changed; or it is refused, in words that can be sent."""
    before = repr(arguments)
    refused: InvalidArgumentsError | None = None
    try:
        read = everything.reader.read(arguments)
    except InvalidArgumentsError as error:
        refused = error
    if refused is not None:
        assert refused.problems
        str(refused).encode()
    else:
        json.dumps(arguments, allow_nan=False)
        assert isinstance(read["text"], str)
        assert type(read.get("count", 0)) is int
        assert type(read.get("ratio", 0.0)) is float
        assert read.get("mode", "a") in ("a", "b")
        assert isinstance(read.get("node"), Node | None)
    assert repr(arguments) == before


NODES: st.SearchStrategy[dict[str, Any]] = st.deferred(
    lambda: st.fixed_dictionaries(
        {"name": st.text(st.characters(exclude_categories=["Cs"]))},
        optional={"children": st.lists(NODES, max_size=2), "size": st.integers(0, 9)},
    )
)


@given(NODES)
def test_what_fits_is_let_through(node: dict[str, Any]) -> None:
    """Any tree of a class that contains itself comes as it was sent."""

    def told(made: Node) -> tuple[Any, ...]:
        return (made.name, made.size, [told(child) for child in made.children])

    def sent(given: dict[str, Any]) -> tuple[Any, ...]:
        return (given["name"], given.get("size", 0), [sent(child) for child in given.get("children", [])])

    assert told(everything.reader.read({"text": "", "node": node})["node"]) == sent(node)
