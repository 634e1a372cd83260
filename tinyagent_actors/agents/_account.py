"""Account: the leases that one run draws on, and what it does with them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from typing import Final

import attrs
import trio

from tinyagent_actors.actors import Clock, Hold, current_clock
from tinyagent_actors.agents._budget import UNLIMITED, Budget
from tinyagent_actors.agents._lease import Lease, Need, enter
from tinyagent_actors.agents._spending import Spending
from tinyagent_actors.events import BudgetReservedEvent, BudgetSettledEvent, BudgetWaitingEvent

DEFAULT_OUTPUT: Final = 4_096
"""Tokens that are reserved for an answer where nobody says how long it may be."""

Publish = Callable[..., object]


@attrs.frozen(eq=False)
class Reserve:
    """What is held for a request."""

    input: int
    output: int
    """What goes as `max_tokens`."""
    pico: int

    @property
    def spending(self) -> Spending:
        """What counts if nobody tells what was used."""
        return Spending(self.input, self.output, pico=self.pico, estimated=1)


@attrs.define(eq=False)
class Account:
    """What one run draws on: its agent's lease, its own, and all above either."""

    agent: Lease = attrs.field(repr=False)
    run: Lease
    depth: int = 1
    """How many runs ask one another, this one included: 1 for one that nobody's run asked for."""
    _leases: tuple[Lease, ...] = attrs.field(init=False, repr=False)
    _limited: tuple[Lease, ...] = attrs.field(init=False, repr=False)
    _is_counting: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._leases = (*self.run.chain(), *self.agent.chain())
        self._limited = tuple(lease for lease in self._leases if not lease.limits.is_unlimited)

    @classmethod
    def open(cls, agent: Lease, budget: Budget = UNLIMITED, asker: Account | None = None) -> Account:
        """Open the account of a run.

        Args:
            agent: The lease of the agent.
            budget: What this run may spend.
            asker: The account of the run that asks for this one.
        """
        run = Lease(agent.path, budget, None if asker is None else asker.run, runtime=agent.runtime)
        return cls(agent, run, 1 if asker is None else asker.depth + 1)

    @property
    def is_limited(self) -> bool:
        """Whether anything bounds it."""
        return bool(self._limited)

    @property
    def needs_price(self) -> bool:
        """Whether a cost is bounded, so that the price of every model has to be known."""
        return any(lease.limits.cost is not None for lease in self._limited)

    @property
    def spent(self) -> Lease | None:
        """The lease that has run out, if one has."""
        return next((lease for lease in self._limited if lease.spent is not None), None)

    # Requests.

    async def reserve(self, need: Need, publish: Publish) -> Reserve:
        """Reserve what a request may take; waits for requests under way if it does not fit now. No checkpoint if it fits.

        Cancelling it leaves nothing behind.

        Raises:
            BudgetExceededError: It does not fit, and nothing that is under way could make room.
        """
        output = need.output
        while self._limited:
            short, output = self._look(need)
            if short is None:
                break
            await _wait(short, publish)
        reserve = Reserve(need.input, output, need.input * need.input_pico + output * need.output_pico)
        self._hold(reserve, 1)
        enter((self.run, self.agent), Spending(turns=1))
        if self._limited:
            publish(
                BudgetReservedEvent,
                tokens=reserve.input + reserve.output,
                max_tokens=reserve.output,
                cost=reserve.spending.cost,
            )
        return reserve

    def _look(self, need: Need) -> tuple[Lease | None, int]:
        """Give whom to wait for, or None and how many tokens the answer may have."""
        output = need.output
        waits_for: Lease | None = None
        for lease in self._limited:
            fitting = lease.fit(need)
            if isinstance(fitting, int):
                output = min(output, fitting)
                if fitting < need.output and lease.under_way:
                    waits_for = lease
            elif lease.under_way and lease.spent is None:
                waits_for = lease
            else:
                raise lease.run_out(fitting)
        return waits_for, output

    def settle(self, reserve: Reserve, used: Spending | None, publish: Publish) -> None:
        """Give the reserve back, and enter what was used; None: nobody told, so what was reserved counts."""
        told = reserve.spending if used is None else used
        if used is not None and self._limited:
            told += Spending(
                overdraft_tokens=max(0, used.tokens - reserve.input - reserve.output),
                overdraft_pico=max(0, used.pico - reserve.pico) if self.needs_price else 0,
            )
        enter((self.run, self.agent), told)
        self._hold(reserve, -1)
        if self._limited:
            publish(
                BudgetSettledEvent,
                tokens=told.tokens,
                cost=told.cost,
                estimated=bool(told.estimated),
                overdraft=told.overdraft_tokens,
            )

    def _hold(self, reserve: Reserve, sign: int) -> None:
        tokens, pico = sign * (reserve.input + reserve.output), sign * reserve.pico
        for lease in self._leases:
            lease.hold(tokens, pico, sign)

    async def take_tool_calls(self, count: int, publish: Publish) -> None:
        """Enter calls that are about to run: all of one message, or none. No checkpoint if they fit.

        Raises:
            BudgetExceededError: They are too many, and no request is under way below that lease.
        """
        while (
            short := next((lease for lease in self._limited if not lease.takes_tool_calls(count)), None)
        ) is not None:
            if short.spent is not None or not short.under_way:
                raise short.run_out(short.spent or "tool_calls")
            await _wait(short, publish)
        if count:
            enter((self.run, self.agent), Spending(tool_calls=count))

    # Its beginning, and time.

    def check(self) -> None:
        """Refuse to begin where a lease is spent, or has no time left.

        Raises:
            BudgetExceededError: It is, or has none.
        """
        if self.spent is not None:
            raise self.spent.error()
        now = trio.current_time()
        for lease in self._limited:
            if lease.due(now) <= now:
                raise lease.run_out("seconds")

    def begin(self) -> None:
        """Hear that the run goes on, for the first time or after a pause."""
        if not self._is_counting:
            self._is_counting = True
            now = trio.current_time()
            for lease in self._leases:
                lease.start_clock(now)

    def pause(self) -> None:
        """Hear that the run does not go on, for good or until `begin`."""
        if self._is_counting:
            self._is_counting = False
            now = trio.current_time()
            for lease in self._leases:
                lease.stop_clock(now)

    @property
    def has_seconds(self) -> bool:
        """Whether its time is bounded."""
        return any(lease.limits.seconds is not None for lease in self._limited)

    async def watch_seconds(self) -> None:
        """End whoever runs out of seconds. Comes to no end by itself; cancelling it leaves nothing behind."""
        timed = [lease for lease in self._limited if lease.limits.seconds is not None]
        while True:
            now = trio.current_time()
            for lease in timed:
                if lease.spent is None and lease.due(now) <= now:
                    lease.run_out("seconds")
            first = min(timed, key=lambda lease: lease.due(now) if lease.spent is None else math.inf)
            with trio.CancelScope(deadline=first.due(now) if first.spent is None else math.inf):
                await first.wait_change()


async def _wait(short: Lease, publish: Publish) -> None:
    publish(BudgetWaitingEvent, lease=short.path, under_way=short.under_way)
    await short.wait_change()


def counting(account: Account | None, hold: Hold | None = None) -> AbstractContextManager[None]:
    """Have the block be time in which the run goes on, but for the pauses of its clock.

    Args:
        account: Whose time it is; None: nobody counts.
        hold: Who stands still with the clock.
    """
    clock = current_clock.get()
    return _NOTHING_TO_DO if account is None or clock is None else _Counting(account, clock, hold)


_NOTHING_TO_DO: Final = nullcontext()


@attrs.define(eq=False)
class _Counting(AbstractContextManager[None]):
    """The block of `counting`. A class, since every run enters one."""

    _account: Account
    _clock: Clock
    _hold: Hold | None

    def __enter__(self) -> None:
        self._clock.follow(self._move)
        self._move()

    def __exit__(self, *_: object) -> None:
        self._clock.unfollow(self._move)
        self._account.pause()
        if self._hold is not None:
            self._hold.end()

    def _move(self) -> None:
        hold = self._hold
        if self._clock.is_paused:
            self._account.pause()
            if hold is not None:
                hold.begin()
        else:
            self._account.begin()
            if hold is not None:
                hold.end()


def watched(account: Account | None) -> AbstractAsyncContextManager[None]:
    """Have whoever runs out of seconds during the block end then."""
    return _NOTHING_TO_DO if account is None or not account.has_seconds else _watching(account)


@asynccontextmanager
async def _watching(account: Account) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(account.watch_seconds)
        yield
        nursery.cancel_scope.cancel()
