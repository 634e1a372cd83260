"""What a supervisor decides: pure functions of values."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors import CancelCause, Exit, RestartIntensityExceededError, SpecError
from tinyagent_actors._errors import RestartPolicy
from tinyagent_actors.actors import RestartType
from tinyagent_actors.supervision import RestartWindow, is_restarted
from tinyagent_actors.supervision._decisions import check_intensity, is_counted

NORMAL = Exit("normal")
CRASH = Exit("error", ValueError())
KILLED = Exit("killed", cause=CancelCause("/a", "a test", "kill"))
SHUTDOWN = Exit("shutdown", cause=CancelCause("/a", "a test", "shutdown"))
STOPPED = Exit("shutdown", cause=CancelCause("/a", "a test", "stop"))
GAVE_UP = Exit("shutdown", RestartIntensityExceededError("/a", 1, 1.0))
FATAL = Exit("error", KeyboardInterrupt())
DEEP_FATAL = Exit("error", BaseExceptionGroup("two", [ValueError(), BaseExceptionGroup("one", [SystemExit(1)])]))


@pytest.mark.parametrize(
    ("policy", "started", "counts"),
    [("default", True, True), ("default", False, True), ("backoff", True, False), ("backoff", False, True)],
)
def test_what_counts_toward_the_intensity(policy: RestartPolicy, started: bool, counts: bool) -> None:  # noqa: FBT001
    """S22: each failed start, whatever it failed of; an end that asks for a back-off only then."""
    assert is_counted(Exit("error", ValueError(), started=started), policy) is counts


@pytest.mark.parametrize(
    ("exited", "restarted"),
    [
        (NORMAL, {"permanent"}),
        (SHUTDOWN, {"permanent"}),
        (CRASH, {"permanent", "transient"}),
        (KILLED, {"permanent", "transient"}),
        (GAVE_UP, {"permanent", "transient"}),
        (STOPPED, set()),
        (FATAL, set()),
        (DEEP_FATAL, set()),
    ],
)
def test_who_is_restarted(exited: Exit, restarted: set[str]) -> None:
    """S04, S05, S06, S26, S40, S49: permanent always, transient after an abnormal end, temporary never; what was meant never."""
    found = {kind for kind in get_args(RestartType) if is_restarted(kind, exited, "default")}

    assert found == restarted


def test_never_is_never() -> None:
    """An error that can never succeed is not tried again, whatever the restart type."""
    for kind, exited in itertools.product(get_args(RestartType), [NORMAL, CRASH, KILLED, GAVE_UP]):
        assert not is_restarted(kind, exited, "never")


def test_other_policies_restart_as_usual() -> None:
    """How to restart is another question than whether."""
    assert is_restarted("transient", CRASH, "backoff")
    assert is_restarted("permanent", CRASH, "compact")
    assert not is_restarted("transient", NORMAL, "backoff")


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(0, 4), st.floats(0.1, 5))
def test_the_restart_window_counts_what_lies_in_it(times: list[float], most: int, seconds: float) -> None:
    """S20: against the naive count: allowed as long as no more than `max_restarts` lie within `max_seconds`."""
    window = RestartWindow(most, seconds)
    times.sort()
    for place, now in enumerate(times):
        within = sum(now - before <= seconds for before in times[: place + 1])
        assert window.allows(now) is (within <= most)


def test_the_window_includes_its_edge() -> None:
    """S20: exactly `max_seconds` apart is still within, as in OTP."""
    window = RestartWindow(1, 5.0)

    assert [window.allows(now) for now in (0.0, 5.0)] == [True, False]
    assert [RestartWindow(1, 5.0).allows(now) for now in (0.0, 5.01)] == [True, True]


def test_no_restart_at_all() -> None:
    """S21: with 0 the first one is too many."""
    assert not RestartWindow(0, 1.0).allows(0.0)


@pytest.mark.parametrize(
    ("restarts", "seconds", "field"),
    [
        (-1, 1, "max_restarts"),
        (True, 1, "max_restarts"),
        (1.5, 1, "max_restarts"),
        (1, 0, "max_seconds"),
        (1, -1, "max_seconds"),
        (1, "x", "max_seconds"),
    ],
)
def test_an_intensity_that_is_none_is_refused(restarts: object, seconds: object, field: str) -> None:
    """S18: the field is named."""
    with pytest.raises(SpecError) as caught:
        check_intensity(restarts, seconds)

    assert caught.value.field == field
