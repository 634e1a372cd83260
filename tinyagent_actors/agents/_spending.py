"""Spending: what was used, as a sum of whole numbers."""

from __future__ import annotations

import attrs

from tinyagent_actors.agents._budget import PICO
from tinyagent_actors.messages import Usage


@attrs.frozen
class Spending:
    """What was used by one agent, one run, or a whole subtree. Sums of it add up exactly.

    Example:
        >>> (Spending(input=10, turns=1) + Spending(output=5, turns=1)).tokens
        15
    """

    input: int = 0
    """Prompt tokens that were not cached."""
    output: int = 0
    """Completion tokens, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    """How many of `output` were reasoning."""
    pico: int = 0
    """Cost, in parts of 10**12 of a USD."""
    turns: int = 0
    """Model requests."""
    tool_calls: int = 0
    estimated: int = 0
    """Of how many requests the usage was not told, so that the estimate counts."""
    unpriced: int = 0
    """Of how many requests the price is not known: they cost more than nothing, and count as nothing in `cost`."""
    overdraft_tokens: int = 0
    """What requests took beyond what was reserved for them."""
    overdraft_pico: int = 0

    @property
    def tokens(self) -> int:
        """All tokens together, cached ones included."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def cost(self) -> float:
        """USD."""
        return self.pico / PICO

    def __add__(self, other: Spending) -> Spending:
        if self is NOTHING:
            return other
        return Spending(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            self.pico + other.pico,
            self.turns + other.turns,
            self.tool_calls + other.tool_calls,
            self.estimated + other.estimated,
            self.unpriced + other.unpriced,
            self.overdraft_tokens + other.overdraft_tokens,
            self.overdraft_pico + other.overdraft_pico,
        )

    def __sub__(self, other: Spending) -> Spending:
        return self + Spending(*(-value for value in attrs.astuple(other)))


NOTHING = Spending()


def spending_of(usage: Usage) -> Spending:
    """Give what one request took, by its usage."""
    cost = usage.cost
    return Spending(
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.reasoning,
        0 if cost is None else round(cost.total * PICO),
        unpriced=int(cost is None),
    )
