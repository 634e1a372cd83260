"""Limits that are on by default: they end a run that goes round in circles."""

from __future__ import annotations

from typing import Any, Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import check_seconds
from tinyagent_actors.agents._transcript import arguments_as_bytes
from tinyagent_actors.messages import InvalidToolCall, ToolCall

DEFAULT_TURNS: Final = 50
WARN_AT: Final = 3
REFUSE_AT: Final = 5
SOFT_LANDING: Final = 0.8
DEPTH: Final = 5


def _check_turns(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise SpecError(field.name, f"must be a whole number of at least 1, or None for no limit, is {value!r}")


def _check_repeats(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (type(value) is not int or value < 2):  # noqa: PLR2004  # one call repeats nothing
        raise SpecError(field.name, f"must be a whole number of at least 2, or None for never, is {value!r}")


def _check_seconds(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        check_seconds(field.name, value)


def _check_share(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (isinstance(value, int | float) and 0 < value < 1):
        raise SpecError(field.name, f"must be more than 0 and less than 1, or None for never, is {value!r}")


@attrs.frozen
class Limits:
    """What a run may not exceed. Each has its own typed error."""

    turns: int | None = attrs.field(default=DEFAULT_TURNS, validator=_check_turns)
    """Model requests of one run; no further one is made (`TurnLimitError`)."""
    warn_at: int | None = attrs.field(default=WARN_AT, validator=_check_repeats)
    """The how-manieth identical call in a row carries a warning in its result."""
    refuse_at: int | None = attrs.field(default=REFUSE_AT, validator=_check_repeats)
    """The how-manieth identical call in a row does not run, and ends the run (`RepeatedCallError`)."""
    turn_seconds: float | None = attrs.field(default=None, validator=_check_seconds)
    """How long a turn may take, its tools included (`DeadlineExceededError`); pauses for approvals do not count."""
    run_seconds: float | None = attrs.field(default=None, validator=_check_seconds)
    """How long a run may take, likewise."""
    soft_landing: float | None = attrs.field(default=SOFT_LANDING, validator=_check_share)
    """The share of a run's time after which one last turn without tools begins; None: it is used to the end and cut there."""
    depth: int | None = attrs.field(default=DEPTH, validator=_check_turns)
    """How many runs may ask one another, this one included (`DepthLimitError`)."""


@attrs.define(eq=False)
class RepeatGuard:
    """Counts identical calls in a row, over the turns of one run: same tool, same arguments."""

    _last: tuple[str, bytes] | None = attrs.field(default=None, init=False)
    _count: int = attrs.field(default=0, init=False)

    def count(self, call: ToolCall | InvalidToolCall) -> int:
        """Enter a call; how many in a row it makes."""
        key = (call.name, arguments_as_bytes(call))
        self._count = self._count + 1 if key == self._last else 1
        self._last = key
        return self._count
