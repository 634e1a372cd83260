"""What is a number of seconds."""

from __future__ import annotations

import math

from tinyagent_actors._errors import SpecError


def check_seconds(field: str, value: object) -> None:
    """Refuse what is no number of seconds (``inf`` is one).

    Raises:
        SpecError: It is no number, negative, or not a number at all.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value < 0:
        raise SpecError(field, f"must be seconds (0 or more), is {value!r}")
