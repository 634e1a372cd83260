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
    """Tokens of a call. `total_tokens` is always input + output + cache_read + cache_write."""

    input: int = 0
    """Prompt tokens that were not cached."""
    output: int = 0
    """Completion tokens, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    """How many of `output` were reasoning."""
    total_tokens: int = attrs.field(
        default=attrs.Factory(lambda self: self.input + self.output + self.cache_read + self.cache_write, True)  # noqa: FBT003
    )
    cost: Cost | None = None
    """None where the price is not known."""

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages. A cost that is unknown on one side makes the sum's cost unknown."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            cost=self.cost + other.cost if self.cost and other.cost else None,
        )
