"""Exceptions as facts: what an event carries, and what a record keeps of them."""

from __future__ import annotations

from typing import Final, overload

from tinyagent_actors._errors import ForeignError, TinyAgentError
from tinyagent_actors._redact import redact_text

_LONGEST: Final = 4_000
"""Characters that are kept of a foreign exception's text."""


@overload
def as_fact(error: None) -> None: ...


@overload
def as_fact(error: BaseException) -> TinyAgentError: ...


@overload
def as_fact(error: BaseException | None) -> TinyAgentError | None: ...


def as_fact(error: BaseException | None) -> TinyAgentError | None:
    """Give an error as events carry it: ours as it is, somebody else's by class and redacted text.

    The text of a group names its leaves. The exception itself is the `__cause__` of the fact.
    """
    if error is None or isinstance(error, TinyAgentError):
        return error
    fact = ForeignError(type(error).__name__, redact_text(_text_of(error))[:_LONGEST])
    fact.__cause__ = error
    return fact


def _text_of(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join([error.message, *(f"{type(leaf).__name__}: {_text_of(leaf)}" for leaf in error.exceptions)])
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  # an exception whose __str__ raises must not hide that it happened
        return f"(its text cannot be had: {type(broken).__name__})"
