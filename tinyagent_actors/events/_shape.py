"""Where data does not have its shape: one typed error with the path of the member, out of what cattrs reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors._redact import redact_text


def wrong_type(wanted: str, value: object) -> ValueShapeError:
    """Give the error of a value that is of another type than `wanted`; its place is added by what holds it."""
    found = "null" if value is None else type(value).__name__
    return ValueShapeError("", f"must be of type {wanted}, is {found}")


def as_object(value: object) -> Mapping[str, Any]:
    """Give a value that is an object.

    Raises:
        ValueShapeError: It is none.
    """
    if isinstance(value, Mapping):
        return value
    raise wrong_type("object", value)


def shape_error(error: Exception) -> ValueShapeError:
    """Give the first problem of a failed structuring, with its full path, such as ``messages[2].content[0].text``."""
    path = ""
    while isinstance(error, BaseValidationError):
        error = error.exceptions[0]
        path += _place_of(error)
    name, problem = _problem_of(error)
    return ValueShapeError((path + name).removeprefix(".") or "value", problem)


def _place_of(error: Exception) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def _problem_of(error: Exception) -> tuple[str, str]:
    """Give the rest of the path, and what is wrong there."""
    if isinstance(error, ValueShapeError):
        is_relative = error.field.startswith((".", "[")) or not error.field
        return (error.field if is_relative else f".{error.field}"), error.problem
    if isinstance(error, ForbiddenExtraKeysError):
        return f".{min(error.extra_fields, key=str)}", "no such member"
    if isinstance(error, KeyError):
        return "", "is missing"
    return "", redact_text(f"{type(error).__name__}: {error}")
