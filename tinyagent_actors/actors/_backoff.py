"""Backoff: how long a supervisor waits before it starts a child again."""

from __future__ import annotations

import math
from typing import Any

import attrs

from tinyagent_actors._errors import SpecError


def _check_finite(_backoff: object, field: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise SpecError(f"backoff.{field.name}", f"must be a finite number of at least 0, is {value!r}")


def _check_max(backoff: Backoff, field: attrs.Attribute[Any], value: Any) -> None:
    _check_finite(backoff, field, value)
    if value < backoff.min_seconds:
        raise SpecError("backoff.max_seconds", f"must be at least min_seconds, is {value!r}")


def _check_jitter(backoff: Backoff, field: attrs.Attribute[Any], value: Any) -> None:
    _check_finite(backoff, field, value)
    if value > 1:
        raise SpecError("backoff.jitter", f"must be a fraction of at most 1, is {value!r}")


def _check_reset_after(_backoff: object, _field: object, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value >= 0):
        raise SpecError("backoff.reset_after", f"must be seconds (0 or more) or None, is {value!r}")


@attrs.frozen
class Backoff:
    """Exponential back-off between the restarts of a child: each failure in a row doubles the wait (S27).

    What fails because of others (a provider that is overloaded, say) fails again at once; waiting longer and longer
    neither uses up the restart intensity nor adds to the load. Jitter only ever adds, so that nobody comes back too
    early and not all at once.

    Raises:
        SpecError: A field is wrong; it says which.

    Example:
        >>> Backoff(min_seconds=0.5, max_seconds=60)
        Backoff(min_seconds=0.5, max_seconds=60, jitter=0.1, reset_after=None)
    """

    min_seconds: float = attrs.field(default=1.0, validator=_check_finite)
    """The wait after the first failure."""
    max_seconds: float = attrs.field(default=10.0, validator=_check_max)
    """What doubling stops at; jitter comes on top."""
    jitter: float = attrs.field(default=0.1, validator=_check_jitter)
    """The most that is added at random, as a fraction of the wait."""
    reset_after: float | None = attrs.field(default=None, validator=_check_reset_after)
    """Seconds that an incarnation has to run for its end to count as the first failure again; None: `max_seconds`."""

    @property
    def quiet_seconds(self) -> float:
        """Seconds after which what went before is forgotten."""
        return self.max_seconds if self.reset_after is None else self.reset_after
