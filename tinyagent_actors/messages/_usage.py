"""Usage: what a model call took, in one form for every provider."""

from __future__ import annotations

import attrs


@attrs.frozen
class Cost:
    """What a call cost, in USD."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    total: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.total + other.total,
        )


@attrs.frozen
class Usage:
    """Tokens of a call."""

    input: int = 0
    """Prompt tokens that were not cached."""
    output: int = 0
    """Completion tokens, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    """How many of `output` were reasoning."""
    cost: Cost | None = None
    """None where the price is not known."""

    @property
    def total_tokens(self) -> int:
        """All of them together: input + output + cache_read + cache_write."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages. A cost that is unknown on one side makes the sum's cost unknown."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            cost=None if self.cost is None or other.cost is None else self.cost + other.cost,
        )
