"""ThinkingBudgets: how many tokens a model may think and answer with, by number where a level is too coarse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.providers import StreamOptions


def _check_tokens(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise SpecError(f"thinking_budgets.{field.name}", f"must be a whole number above 0, is {value!r}")


@attrs.frozen
class ThinkingBudgets:
    """Budgets in tokens; None: as the thinking level and the model have it."""

    thinking_budget: int | None = attrs.field(default=None, validator=_check_tokens)
    """For thinking, where a level is set and the model takes a budget."""
    max_tokens: int | None = attrs.field(default=None, validator=_check_tokens)
    """For the whole answer."""

    def apply_to(self, options: StreamOptions) -> StreamOptions:
        """Give options that keep to these budgets."""
        return attrs.evolve(
            options,
            thinking_budget=self.thinking_budget or options.thinking_budget,
            max_tokens=self.max_tokens or options.max_tokens,
        )


def to_thinking_budgets(value: object) -> ThinkingBudgets | None:
    """Give budgets for what may stand for them: None, themselves, or their dict shape.

    Raises:
        SpecError: It is none of these.
    """
    if value is None or isinstance(value, ThinkingBudgets):
        return value
    if not isinstance(value, Mapping) or not value.keys() <= {"thinking_budget", "max_tokens"}:
        raise SpecError("thinking_budgets", "must be ThinkingBudgets, or an object of thinking_budget and max_tokens")
    return ThinkingBudgets(value.get("thinking_budget"), value.get("max_tokens"))
