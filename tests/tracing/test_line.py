"""The lines of the log: whole, without secrets, whatever the events hold."""

from __future__ import annotations

import datetime
from typing import Any

import orjson
import pytest

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.events import (
    AgentEndEvent,
    Event,
    MessageEndEvent,
    MessageStartEvent,
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    TurnEndEvent,
    unstructure,
)
from tinyagent_actors.messages import (
    AgentToolResult,
    AssistantMessage,
    TextContent,
    ToolResultMessage,
    Usage,
    UserMessage,
)
from tinyagent_actors.tracing._line import REMEMBERED_BYTES, Line, Recorder, join, render, to_json

HEADER: dict[str, Any] = {
    "seq": 7,
    "wall_time": 1.5,
    "monotonic_time": 2.5,
    "path": "/team/reader",
    "run": 1,
    "turn": 2,
}
ANSWER = AssistantMessage((TextContent("the answer"),), usage=Usage(input=3), timestamp=1)
RESULT = ToolResultMessage("c1", "look", (TextContent("seen"),), details={"lines": 3}, timestamp=1)


def rendered(event: Event, recorder: Recorder) -> Line:
    (line,), _ = render(None, "info", {**recorder.record(event), "event": event.type})
    return line


def line(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(join([rendered(event, Recorder())]))
    return told


@pytest.mark.parametrize(
    "event",
    [
        MessageStartEvent(**HEADER, message=ANSWER),
        MessageEndEvent(**HEADER, message=RESULT),
        TurnEndEvent(**HEADER, message=ANSWER, tool_results=(RESULT, RESULT)),
        AgentEndEvent(**HEADER, messages=(UserMessage((TextContent("ask"),), timestamp=1), ANSWER, RESULT)),
        AgentEndEvent(**HEADER, error=ProviderError("truncated", "broke off")),
        ToolExecutionStartEvent(**HEADER, tool_call_id="c1", tool_name="look", args={"at": ["x", None]}),
        ToolExecutionEndEvent(
            **HEADER,
            tool_call_id="c1",
            tool_name="look",
            result=AgentToolResult((TextContent("seen"),), {"lines": 3}),
            is_error=False,
            outcome="finished",
            seconds=0.5,
        ),
    ],
)
def test_a_line_is_the_shape_of_its_event(event: Event) -> None:
    """With messages laid in as with the rest: member by member what `unstructure` gives."""
    told = line(event)

    assert told.pop("event") == event.type
    assert {"type": event.type, **told} == unstructure(event)


def test_a_message_is_rendered_once_and_forgotten_in_the_end() -> None:
    """The events that hold it share its text; what is remembered has a bound."""
    recorder = Recorder()
    first = recorder.record(MessageStartEvent(**HEADER, message=RESULT))["message"]
    turn = recorder.record(TurnEndEvent(**HEADER, message=ANSWER, tool_results=(RESULT,)))
    assert turn["tool_results"].text == b"[%b]" % first.text
    assert recorder.record(MessageEndEvent(**HEADER, message=RESULT))["message"] is first

    large = UserMessage((TextContent("x" * REMEMBERED_BYTES),))
    recorder.record(MessageEndEvent(**HEADER, message=large))
    again = recorder.record(MessageEndEvent(**HEADER, message=RESULT))["message"]
    assert again is not first
    assert again == first


def test_secrets_go_from_the_lines_that_hold_them() -> None:
    """In a message, in the arguments of a call, in the details of an error; the lines beside them stay as they are."""
    secret = "sk-abcdefgh12345678"
    recorder = Recorder()
    events: list[Event] = [
        MessageEndEvent(**HEADER, message=UserMessage((TextContent(f'{{"a": "\n{secret}"}}'),))),
        ToolExecutionStartEvent(**HEADER, tool_call_id="c1", tool_name="t", args={"password": "hunter", "name": "n"}),
        AgentEndEvent(**HEADER, error=ProviderError("auth", f"bad key {secret}")),
        MessageEndEvent(**HEADER, message=RESULT),
    ]
    written = join([rendered(event, recorder) for event in events])

    assert b"abcdefgh" not in written
    assert b"hunter" not in written
    assert b'"name":"n"' in written
    assert written.splitlines(keepends=True)[-1] == join([rendered(events[-1], recorder)])


class Opaque:
    """Something JSON does not know, whose repr tells a secret."""

    def __repr__(self) -> str:
        return "sk-abcdefgh12345678"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a\ud800b", "a\ufffdb"),
        ({"\udfff": 1}, {"\ufffd": 1}),
        (2**70, str(2**70)),
        ([-(2**63), 2**64 - 1], [-(2**63), 2**64 - 1]),
        (Opaque(), "<Opaque>"),
        (datetime.date(2026, 1, 1), "<date>"),
        ({1: "x"}, {"1": "x"}),
    ],
)
def test_nothing_is_too_odd_for_a_line(value: object, told: object) -> None:
    """What JSON cannot say is told in another way, and never by a `repr`."""
    event = ToolExecutionStartEvent(**HEADER, tool_call_id="c1", tool_name="t", args={"odd": value, "beside": "x"})

    assert line(event)["args"] == {"odd": told, "beside": "x"}


def test_what_is_nested_deeper_than_json_may_be_is_cut() -> None:
    """A structure without end is no reason to lose the log."""
    value: Any = "x"
    for _ in range(300):
        value = [value]

    assert b"<too deep>" in to_json(value)
