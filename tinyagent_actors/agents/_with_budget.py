"""with_budget: a budget for whatever a supervisor may start, and for all below it."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import attrs

from tinyagent_actors._errors import BudgetExceededError
from tinyagent_actors.actors import (
    ActorContext,
    ActorRef,
    CancelCause,
    ChildSpec,
    HasChildSpec,
    MessageT,
    ReplyT,
    split_cancelled,
    to_child_spec,
)
from tinyagent_actors.agents._agent_spec import AgentSpec
from tinyagent_actors.agents._budget import Budget
from tinyagent_actors.agents._ledger import ledger_of

RefT = TypeVar("RefT", bound=ActorRef)


@overload
def with_budget(child: AgentSpec, budget: Budget) -> AgentSpec: ...


@overload
def with_budget(child: ChildSpec[MessageT, ReplyT, RefT], budget: Budget) -> ChildSpec[MessageT, ReplyT, RefT]: ...


def with_budget(child: ChildSpec[Any, Any, Any] | HasChildSpec[Any], budget: Budget) -> Any:
    """Give the spec of a child that has a budget for its life: a supervisor's bounds everything below it.

    When it runs out the child is cancelled, with all below it and nobody else; its exit has the error `BudgetExceededError`, so it
    is not restarted.

    Args:
        child: A supervisor, an agent, or any actor that starts agents.
        budget: What it may spend, across its restarts.

    Raises:
        SpecError: It is no child.

    Example:
        >>> from tinyagent_actors import supervisor
        >>> with_budget(supervisor("team"), Budget(tokens=100_000)).name
        'team'
    """
    if isinstance(child, AgentSpec):
        return attrs.evolve(child, budget=budget)
    spec = to_child_spec(child)
    return attrs.evolve(spec, start=_run_with_budget, args=(attrs.evolve(spec, register=None), budget), kwargs={})


async def _run_with_budget(ctx: ActorContext, spec: ChildSpec[Any, Any, Any], budget: Budget) -> None:
    """Be the actor that `spec` describes, as long as the lease of its life is not spent."""
    address = ctx.cell.address
    lease = ledger_of(ctx.runtime).open(address, budget)
    if lease.spent is not None:
        raise lease.error()

    def end(error: BudgetExceededError) -> None:
        address.owner.kill_child(address, CancelCause(address.path, str(error), "budget"))

    lease.on_spent = end
    try:
        await spec.run(ctx)
    except BaseException as raised:
        _, error = split_cancelled(raised)
        if lease.spent is None or error is not None:
            raise
        raise lease.error() from None
