"""Errors in events: each by its own class, there and back."""

from __future__ import annotations

import pytest

from tinyagent_actors._errors import ProviderError, RepeatedCallError, TinyAgentError, TurnLimitError
from tinyagent_actors.events import AgentEndEvent, structure_event, unstructure


class OwnError(TinyAgentError):
    """An error that an application derived from ours."""


def ended_by(error: TinyAgentError) -> AgentEndEvent:
    return AgentEndEvent(seq=1, wall_time=1.0, monotonic_time=1.0, path="/", error=error)


@pytest.mark.parametrize(
    "error", [ProviderError("truncated", "cut", status=200), TurnLimitError(50), RepeatedCallError("look", 5)]
)
def test_the_shape_of_an_event_holds_the_class_and_the_facts(error: TinyAgentError) -> None:
    """The field is declared with the base of all errors; what is told is the one that is there."""
    shape = unstructure(ended_by(error))

    assert shape["error"]["type"] == type(error).__name__
    assert structure_event(shape) == ended_by(error)


def test_an_error_that_has_no_shape_is_told_as_foreign() -> None:
    """Its class by name, and its text."""
    shape = unstructure(ended_by(OwnError("something of mine")))

    assert shape["error"] == {"type": "ForeignError", "error_type": "OwnError", "message": "something of mine"}
