"""Specs: every field is checked, by name, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests._kernel import HostileError, child, obedient
from tinyagent_actors import ChildSpec, ProviderError, SpecError, supervisor
from tinyagent_actors.actors import Exit, classify_by_error, to_child_spec, to_child_specs


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("name", lambda: child("")),
        ("name", lambda: child("a/b")),
        ("name", lambda: child("a\n")),
        ("name", lambda: child(None)),  # type: ignore[arg-type]  # the wrong type is the point
        ("start", lambda: child("a", "no function")),  # type: ignore[arg-type]  # as above
        ("restart", lambda: child("a", restart="sometimes")),
        ("shutdown", lambda: child("a", shutdown=-1)),
        ("shutdown", lambda: child("a", shutdown="soon")),
        ("shutdown", lambda: child("a", shutdown=float("nan"))),
        ("shutdown", lambda: child("a", shutdown=True)),
        ("start_timeout", lambda: child("a", start_timeout=None)),
        ("start_timeout", lambda: child("a", start_timeout=-0.1)),
        ("mailbox_capacity", lambda: child("a", mailbox_capacity=0)),
        ("mailbox_capacity", lambda: child("a", mailbox_capacity=1.5)),
        ("mailbox_policy", lambda: child("a", mailbox_policy="burn")),
        ("ref_type", lambda: child("a", ref_type=str)),
        ("strategy", lambda: supervisor("s", strategy="all_for_none")),  # type: ignore[arg-type]  # as above
        ("max_restarts", lambda: supervisor("s", max_restarts=-1)),
        ("max_restarts", lambda: supervisor("s", max_restarts=1.0)),  # type: ignore[arg-type]  # as above
        ("max_seconds", lambda: supervisor("s", max_seconds=0)),
        ("restart", lambda: supervisor("s", restart="never")),  # type: ignore[arg-type]  # as above
        ("children", lambda: supervisor("s", children=[child("a"), child("a")])),
        ("children", lambda: supervisor("s", children=["a"])),  # type: ignore[list-item]  # as above
    ],
)
def test_what_is_wrong_is_named(field: str, make: Callable[[], object]) -> None:
    """S18: the error names the field."""
    with pytest.raises(SpecError) as caught:
        make()

    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_what_is_right_is_taken() -> None:
    """S18: the edges of what is allowed."""
    spec = child("näme with space", shutdown="kill", start_timeout=0, mailbox_capacity=1)

    assert (spec.name, spec.restart, spec.mailbox_policy) == ("näme with space", "permanent", "block")
    assert child("a", shutdown=float("inf")).shutdown == float("inf")
    assert ChildSpec("a", obedient, args=[1, 2]).args == (1, 2)  # type: ignore[arg-type]  # a list is taken too


def test_what_has_a_spec_stands_for_it() -> None:
    """Wherever a spec is taken, so is what has one."""

    class Recipe:
        def to_child_spec(self) -> ChildSpec:
            return child("made")

    assert to_child_spec(Recipe()).name == "made"
    assert [spec.name for spec in to_child_specs([Recipe(), child("other")])] == ["made", "other"]


@pytest.mark.parametrize(
    ("error", "policy"),
    [
        (None, "default"),
        (ValueError(), "default"),
        (ProviderError("auth", "no"), "never"),
        (ProviderError("context_overflow", "too long"), "compact"),
        (ProviderError("overloaded", "later", retryable=True), "backoff"),
        (HostileError(), "default"),
    ],
)
def test_how_an_error_restarts_is_read_from_it(error: Any, policy: str) -> None:
    """An attribute of the error decides; somebody else's error is restarted as usual."""
    assert classify_by_error(Exit("error", error)) == policy


def test_nonsense_in_the_attribute_is_the_default() -> None:
    """An error of somebody else's may have a member of that name."""

    class OddError(Exception):
        restart_policy = 5

    assert classify_by_error(Exit("error", OddError())) == "default"
