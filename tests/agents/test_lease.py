"""Leases by themselves: whatever requests come, in whatever order they end, sums add up exactly and no limit is passed."""

from __future__ import annotations

from typing import Any

import attrs
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyagent_actors import Budget, BudgetExceededError, Spending
from tinyagent_actors.agents._account import Account
from tinyagent_actors.agents._lease import LEAST_OUTPUT, Lease, Need, enter

AMOUNT = st.integers(0, 6000)
LIMIT = st.one_of(st.none(), st.integers(0, 12_000))
BUDGETS = st.builds(
    Budget,
    tokens=LIMIT,
    cost=st.one_of(st.none(), st.integers(0, 40).map(lambda cents: cents / 1000)),
    turns=st.one_of(st.none(), st.integers(0, 6)),
    tool_calls=st.one_of(st.none(), st.integers(0, 6)),
)


@attrs.frozen
class Request:
    """One request, and what comes of it."""

    input: int
    wanted: int
    seconds: float
    end: str
    """told, untold, refused or cancelled."""
    over: int
    """Tokens by which the prompt was underestimated."""
    calls: int


REQUESTS = st.builds(
    Request,
    input=AMOUNT,
    wanted=st.integers(1, 5000),
    seconds=st.integers(0, 5),
    end=st.sampled_from(["told", "told", "untold", "refused", "cancelled"]),
    over=st.sampled_from([0, 0, 0, 700]),
    calls=st.integers(0, 3),
)
RUNS = st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 7)), BUDGETS, st.lists(REQUESTS, max_size=4))
"""The agent's place in the tree, the run that asks for it, what it may spend, and what it does."""


def silent(kind: Any, **fields: Any) -> None:
    """Tell nobody."""


@attrs.define
class World:
    """A tree of agents, ``/``, ``/0``, ``/0/1`` ..., and runs that ask one another."""

    agents: list[Lease]
    accounts: list[Account]

    @property
    def leases(self) -> list[Lease]:
        """All."""
        return [*self.agents, *(account.run for account in self.accounts)]

    def check(self) -> None:
        """See that what must hold at all times holds."""
        for lease in self.leases:
            below = [one for one in self.leases if one.parent is lease]
            total = lease.own
            for one in below:
                total += one.used
            assert lease.used == total
            used, limits = lease.used, lease.limits
            assert lease.reserved_tokens >= 0
            assert lease.under_way >= sum(one.under_way for one in below)
            if limits.tokens is not None:
                assert used.tokens - used.overdraft_tokens + lease.reserved_tokens <= limits.tokens
            if limits.pico is not None:
                assert used.pico - used.overdraft_pico + lease.reserved_pico <= limits.pico
            assert limits.turns is None or used.turns <= limits.turns
            assert limits.tool_calls is None or used.tool_calls <= limits.tool_calls


async def carry_out(
    world: World, account: Account, requests: list[Request], refused: list[BudgetExceededError]
) -> None:
    """Be a run."""
    for request in requests:
        need = Need(request.input, request.wanted, 1_000_000, 4_000_000)
        try:
            reserve = await account.reserve(need, silent)
        except BudgetExceededError as error:
            refused.append(error)
            return
        assert min(LEAST_OUTPUT, request.wanted) <= reserve.output <= request.wanted
        world.check()
        used: Spending | None = None
        try:
            with trio.CancelScope() as scope:
                if request.end == "cancelled":
                    scope.deadline = trio.current_time() + request.seconds / 2
                await trio.sleep(request.seconds)
                if request.end == "told":
                    prompt = request.input + request.over
                    used = Spending(prompt, reserve.output, pico=prompt * 1_000_000 + reserve.output * 4_000_000)
                elif request.end == "refused":
                    used = Spending()
        finally:
            account.settle(reserve, used, silent)
            world.check()
        try:
            await account.take_tool_calls(request.calls, silent)
        except BudgetExceededError as error:
            refused.append(error)
            return
        world.check()


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 4), BUDGETS), min_size=1, max_size=5), st.lists(RUNS, max_size=8))
def test_sums_add_up_and_no_limit_is_passed(tree: list[tuple[int, Budget]], runs: list[Any]) -> None:
    """G17: at every step ``used == own + the used of those below``, and no limit is passed but for the overdraft.

    At quiescence nothing is reserved; whoever was refused names a lease that is spent, and nobody waits for ever.
    """
    agents: list[Lease] = []
    for number, (above, budget) in enumerate(tree):
        agents.append(Lease(f"/{number}", budget, agents[above % number] if number else None))
    world = World(agents, [])
    refused: list[BudgetExceededError] = []

    async def main() -> None:
        with trio.fail_after(10_000):
            await all_runs()

    async def all_runs() -> None:
        async with trio.open_nursery() as nursery:
            for place, asker, budget, requests in runs:
                asking = world.accounts[asker % len(world.accounts)] if asker is not None and world.accounts else None
                account = Account.open(agents[place % len(agents)], budget, asking)
                world.accounts.append(account)
                nursery.start_soon(carry_out, world, account, requests, refused)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    world.check()
    spent = {(lease.path, lease.spent) for lease in world.leases if lease.spent is not None}
    assert all((lease.reserved_tokens, lease.reserved_pico, lease.under_way) == (0, 0, 0) for lease in world.leases)
    assert {(error.path, error.which) for error in refused} <= spent


@given(st.lists(st.builds(Spending, *[st.integers(0, 10**15)] * 12), max_size=20))
def test_the_order_of_sums_does_not_matter(spendings: list[Spending]) -> None:
    """G17: amounts are whole numbers, costs too."""
    head, back = Lease("/a"), Lease("/a")
    for spending in spendings:
        enter((head,), spending)
    for spending in reversed(spendings):
        enter((back,), spending)

    assert head.used == back.used
    assert head.used - back.used == Spending()


async def test_a_cancel_while_waiting_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Who waits for room and goes away has reserved nothing and counts no turn."""
    team = Lease("/team", Budget(tokens=1000))
    account, other = (Account.open(Lease(f"/team/{name}", parent=team)) for name in "ab")
    reserve = await other.reserve(Need(0, 900), silent)
    with trio.move_on_after(1) as scope:
        await account.reserve(Need(0, 900), silent)
    assert scope.cancelled_caught
    other.settle(reserve, Spending(output=10), silent)

    assert (team.reserved_tokens, team.under_way, team.used) == (0, 0, Spending(output=10, turns=1))


async def test_the_clock_stands_still_in_a_pause(autojump_clock: trio.testing.MockClock) -> None:
    """Seconds count while a run goes on; a pause of one of two runs is none of the lease above both."""
    team = Lease("/team", Budget(seconds=10))
    first, second = (Account.open(Lease(f"/team/{name}", parent=team), Budget(seconds=3)) for name in "ab")
    first.begin()
    second.begin()
    await trio.sleep(2)
    first.pause()
    await trio.sleep(5)
    assert (first.run.ran(trio.current_time()), team.ran(trio.current_time())) == (2, 7)
    second.pause()
    await trio.sleep(50)
    first.begin()
    with trio.move_on_after(1.5):
        await first.watch_seconds()

    assert (first.run.spent, team.spent) == ("seconds", None)
