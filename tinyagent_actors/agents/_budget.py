"""Budget: what may be spent, as a value."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from tinyagent_actors._errors import SpecError

Unit: TypeAlias = Literal["tokens", "cost", "turns", "tool_calls", "seconds"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)

PICO: Final = 10**12
"""Parts of a USD in which costs are summed: whole numbers, so that sums add up exactly."""


def _check_count(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (type(value) is not int or value < 0):
        raise SpecError(f"budget.{field.name}", f"must be a whole number of at least 0, or None, is {value!r}")


def _check_amount(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value < math.inf):
        raise SpecError(f"budget.{field.name}", f"must be a finite number of at least 0, or None, is {value!r}")


@attrs.frozen
class Budget:
    """What a subtree, an agent or a run may spend. None is unlimited, 0 refuses.

    Raises:
        SpecError: A field is wrong; it says which.

    Example:
        >>> Budget(tokens=50_000, turns=20)
        Budget(tokens=50000, cost=None, turns=20, tool_calls=None, seconds=None)
    """

    tokens: int | None = attrs.field(default=None, validator=_check_count)
    """Of prompts and answers, cached ones included."""
    cost: float | None = attrs.field(default=None, validator=_check_amount)
    """USD. Every model that is asked must have a known price."""
    turns: int | None = attrs.field(default=None, validator=_check_count)
    """Model requests."""
    tool_calls: int | None = attrs.field(default=None, validator=_check_count)
    """Calls that run."""
    seconds: float | None = attrs.field(default=None, validator=_check_amount)
    """Time in which at least one run goes on; it stands still while a call waits for approval."""

    @property
    def pico(self) -> int | None:
        """`cost` as a whole number of parts of a USD."""
        return None if self.cost is None else round(self.cost * PICO)

    @property
    def is_unlimited(self) -> bool:
        """Whether it limits nothing."""
        return self == UNLIMITED


UNLIMITED: Final = Budget()


def to_budget(value: object) -> Budget:
    """Give the budget that stands for one, or for None.

    Raises:
        SpecError: It is neither.
    """
    if value is None:
        return UNLIMITED
    if not isinstance(value, Budget):
        raise SpecError("budget", f"must be a Budget or None, is {value!r}")
    return value
