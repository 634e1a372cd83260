"""Replies, deliveries and faults as values."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tinyagent_actors._errors import SpecError
from tinyagent_actors.testing import CallSpec, Cut, Delivery, Reply, Reset, Stall
from tinyagent_actors.testing._script import sse


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("text", {"text": 3}),
        ("text", {"text": "\ud800"}),
        ("thinking", {"thinking": None}),
        ("tool_calls", {"tool_calls": ["f"]}),
        ("tool_calls", {"tool_calls": 3}),
        ("finish", {"finish": 3}),
        ("usage", {"usage": "all"}),
        ("done", {"done": 1}),
        ("chunk_size", {"chunk_size": 0}),
        ("chunk_size", {"chunk_size": True}),
        ("body", {"body": "text"}),
        ("chunks", {"chunks": b"text"}),
        ("chunks", {"chunks": ["text"]}),
        ("chunks", {"chunks": [b"a"], "body": b"b"}),
        ("chunks", {"chunks": [b"a"], "text": "b"}),
        ("body", {"body": b"a", "thinking": "b"}),
        ("status", {"status": 199}),
        ("status", {"status": 600}),
        ("status", {"status": "200"}),
        ("headers", {"headers": 3}),
        ("headers", {"headers": {"a b": "c"}}),
        ("headers", {"headers": {"a": "b\r\nc: d"}}),
        ("headers", {"headers": {"a": "\u00e9"}}),
        ("headers", {"headers": {"Content-Length": "3"}}),
        ("headers", {"headers": {"retry-after": "3"}}),
        ("retry_after", {"retry_after": -1}),
        ("retry_after", {"retry_after": float("nan")}),
        ("headers", {"retry_after": "a\nb"}),
        ("framing", {"framing": "none"}),
        ("encoding", {"encoding": "br"}),
        ("close", {"close": "yes"}),
        ("fault", {"fault": "cut"}),
    ],
)
def test_a_wrong_field_is_named(field: str, fields: dict[str, Any]) -> None:
    """A reply that cannot be given is refused where it is made; the error names the field."""
    with pytest.raises(SpecError) as caught:
        Reply(**fields)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("delay_head", {"delay_head": -1}),
        ("delay_body", {"delay_body": "1"}),
        ("delay_between", {"delay_between": True}),
        ("split_at", {"split_at": (0,)}),
        ("split_at", {"split_at": (3, 3)}),
        ("split_at", {"split_at": ("1",)}),
        ("split_at", {"split_at": 3}),
        ("split_every", {"split_every": 0}),
        ("split_every", {"split_every": 1, "split_at": (1,)}),
        ("coalesce", {"coalesce": None}),
    ],
)
def test_a_wrong_delivery_is_named(field: str, fields: dict[str, Any]) -> None:
    """A delivery that cannot be is refused where it is made; the error names the field."""
    with pytest.raises(SpecError) as caught:
        Delivery(**fields)

    assert caught.value.field == field


def test_a_call_takes_an_object_or_a_text() -> None:
    """Arguments are an object, or a text that is sent as it is; anything else, or what JSON cannot hold, is refused."""
    assert orjson.loads(CallSpec("f", {"a": 1}).arguments_text) == {"a": 1}
    assert CallSpec("f", '{"a":').arguments_text == '{"a":'
    for arguments in (3, {"a": object()}, "\udfff"):
        with pytest.raises(SpecError) as caught:
            CallSpec("f", arguments)  # type: ignore[arg-type]  # refused at run time
        assert caught.value.field == "arguments"


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (Cut(after_bytes=0), 0),
        (Cut(after_bytes=7), 7),
        (Cut(after_bytes=-1), 9),
        (Reset(after_chunks=0), 0),
        (Reset(after_chunks=2), 5),
        (Stall(after_chunks=-1), 5),
        (Stall(after_chunks=3), 10),
    ],
)
def test_a_fault_has_a_place(fault: Cut | Reset | Stall, place: int) -> None:
    """A fault strikes before one byte of the body; positions count bytes or chunks, from the front or the end."""
    assert not fault.before_head
    assert fault.place([2, 3, 5]) == place


@pytest.mark.parametrize(
    "fault", [Cut(after_bytes=11), Cut(after_bytes=-11), Cut(after_chunks=4), Cut(after_chunks=-4)]
)
def test_a_fault_outside_of_the_body_is_refused(fault: Cut) -> None:
    """A fault that would never strike is an error, not a test that passes by mistake."""
    with pytest.raises(SpecError, match="outside of the body"):
        fault.place([2, 3, 5])


def test_a_fault_has_one_position() -> None:
    """A fault without a position strikes before the status line; two positions are refused."""
    assert Cut().before_head
    with pytest.raises(SpecError):
        Cut(after_bytes=1, after_chunks=1)
    with pytest.raises(SpecError):
        Cut(after_bytes=1.5)  # type: ignore[arg-type]  # refused at run time


def test_an_error_has_the_shape_of_openai() -> None:
    """`Reply.error` gives an object `error` with message, type, param and code; the type goes by the status."""
    reply = Reply.error(404, "no such model", code="model_not_found")

    assert reply.status == 404
    assert orjson.loads(reply.body or b"") == {
        "error": {"message": "no such model", "type": "not_found_error", "param": None, "code": "model_not_found"}
    }


def test_events_are_framed() -> None:
    """An object becomes JSON, a text of several lines several ``data:`` lines, bytes stay; each is one chunk."""
    assert sse({"a": 1}) == b'data: {"a":1}\n\n'
    assert sse("a\nb") == b"data: a\ndata: b\n\n"
    assert Reply.events({}, "[DONE]", b": ping\n\n").chunks == (b"data: {}\n\n", b"data: [DONE]\n\n", b": ping\n\n")
