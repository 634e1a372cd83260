"""Tally: a sum that grows, of what was used.

Each request is entered on every lease it draws on. A `Spending` is a value; to make a new one for each of those entries was a
fiftieth of all that an agent's run costs.
"""

from __future__ import annotations

import operator
from typing import Final

import attrs

from tinyagent_actors.agents._spending import Spending

_read: Final = operator.attrgetter(*(field.name for field in attrs.fields(Spending)))


@attrs.define(eq=False)
class Tally:
    """What was used so far, field by field as in `Spending`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    pico: int = 0
    turns: int = 0
    tool_calls: int = 0
    estimated: int = 0
    unpriced: int = 0
    overdraft_tokens: int = 0
    overdraft_pico: int = 0

    def add(self, spending: Spending) -> None:
        """Enter what was used."""
        self.input += spending.input
        self.output += spending.output
        self.cache_read += spending.cache_read
        self.cache_write += spending.cache_write
        self.reasoning += spending.reasoning
        self.pico += spending.pico
        self.turns += spending.turns
        self.tool_calls += spending.tool_calls
        self.estimated += spending.estimated
        self.unpriced += spending.unpriced
        self.overdraft_tokens += spending.overdraft_tokens
        self.overdraft_pico += spending.overdraft_pico

    @property
    def spending(self) -> Spending:
        """How it stands now."""
        return Spending(*_read(self))
