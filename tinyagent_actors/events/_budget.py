"""Events of budgets: what a request holds, what it came to, and that a lease is spent."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors.events._header import Event


@attrs.frozen(kw_only=True)
class BudgetWaitingEvent(Event):
    """A model request, or tool calls, do not fit into what is left now, and wait for what other requests will give back."""

    type: ClassVar[Literal["budget_waiting"]] = "budget_waiting"

    lease: str
    """The path of the lease that is short."""
    under_way: int
    """Requests that hold a reserve of it."""


@attrs.frozen(kw_only=True)
class BudgetReservedEvent(Event):
    """A model request is about to be made, and holds as much of the budget as it may take."""

    type: ClassVar[Literal["budget_reserved"]] = "budget_reserved"

    tokens: int
    """Prompt, by estimate, and answer."""
    max_tokens: int
    """How long the answer may be: what was wanted, clipped to what is left."""
    cost: float
    """USD; 0 where no cost is bounded."""


@attrs.frozen(kw_only=True)
class BudgetSettledEvent(Event):
    """A model request is over: its reserve is given back, and what it used is entered."""

    type: ClassVar[Literal["budget_settled"]] = "budget_settled"

    tokens: int
    cost: float
    """USD, as far as it is known."""
    estimated: bool
    """Whether nobody told what was used, so that what was reserved counts."""
    overdraft: int
    """Tokens beyond what was reserved."""


@attrs.frozen(kw_only=True)
class BudgetExceededEvent(Event):
    """A lease has run out: whoever it belongs to ends, with everything below, and nobody else. Its path is that of the lease."""

    type: ClassVar[Literal["budget_exceeded"]] = "budget_exceeded"

    which: str
    """tokens, cost, turns, tool_calls or seconds."""
