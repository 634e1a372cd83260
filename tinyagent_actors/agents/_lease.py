"""Leases: what a subtree may still spend, kept so that nothing is spent twice and sums add up exactly.

The design. A `Budget` is a value; a lease is its account: what was used (`own`, and `below` by the leases that draw on it), what
is reserved by requests that are under way, and the limits. There are two kinds of trees of them. The tree of *actors*: one
lease for each agent, for its life across restarts, and one for each supervisor above it; the parent of `/team/writer`
is `/team`. The tree of *runs*: one lease for each run of an agent; the parent of a run is the run whose tool asked for it,
wherever in the tree of actors that agent stands. So `AgentSpec.budget` bounds an agent and all it starts, and
`ask(..., budget=)` bounds one run and all it asks others to do. A request draws on two leases, its agent's and its run's, and
through them on every lease above either. Within each tree ``lease.used == own + the used of those below`` holds at all times,
because every amount is entered on the whole chain in one step; amounts are whole numbers (costs in 10**-12 USD).

A child draws on its parent at the moment of each request, and not before: to open a lease sets nothing aside, so what a child
does not use was never taken from the others, and there is nothing to be handed back when it ends. A child's limit is a bound
of its own besides.

Reserve and settle. Before a request as much is reserved on every lease as it may take: the input by estimate, the output
as `max_tokens`. Where less is left the output is clipped to it, and sent as `max_tokens`; under `LEAST_OUTPUT` is a refusal.
After it the reserve is given back and what was really used is entered: by the usage that the provider told, else what was
reserved, marked `estimated`. What goes beyond the reserve is an `overdraft`, and shown. A request that the provider refused
before it answered anything has used nothing. A turn is used when its request is made, a tool call when it is about to run.

Running out. If a request does not fit while others of the same lease are under way, it waits for them: their reserves are
upper bounds, and what they give back may be enough. Only what does not fit when nothing is under way has run out of
budget. Then the lease is `spent`, for good, and whoever it belongs to ends: a run, an agent, a supervisor with all below it,
and nobody else. The waiting needs no bound of its own: a run waits at most once, and holds no reserve meanwhile, so nobody waits
in a circle; and whoever is under way has the deadlines of its stream.

The races. *Two requests for the last of it*: looking and entering is one step without a checkpoint. *A cancel while it waits*:
nothing was entered. *A cancel while the request is under way*: it is settled in a `finally`, by the estimate. *A lease that
ends with requests under way*: they settle later, on the same chain, which stays. *Spent by two at once*: the first says which.

Refused: setting a child's share aside when it opens (a team of idle agents would hold all of it); one number for a
whole tree of runs and actors (a run that asks a colleague would pay from two pockets of one tree, and be counted twice); floats for
costs (their sum depends on the order); ending a subtree because of what others have only reserved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from tinyagent_actors._errors import BudgetExceededError
from tinyagent_actors.actors import Runtime, WaitSet
from tinyagent_actors.agents._budget import UNLIMITED, Budget, Unit
from tinyagent_actors.agents._spending import Spending
from tinyagent_actors.agents._tally import Tally
from tinyagent_actors.events import BudgetExceededEvent

LEAST_OUTPUT: Final = 256
"""Tokens of an answer under which a request is refused, where it wants as many."""


@attrs.frozen
class LeaseState:
    """How a lease stands."""

    path: str
    budget: Budget
    used: Spending
    """By everybody who draws on it."""
    own: Spending
    """Of that, by itself."""
    reserved_tokens: int
    reserved_pico: int
    seconds: float
    """How long runs have gone on."""
    spent: Unit | None
    """What it has run out of, if it has."""


@attrs.frozen
class Need:
    """What a request may take at most."""

    input: int
    output: int
    """Tokens that are wanted of the answer."""
    input_pico: int = 0
    """What a token of the prompt costs."""
    output_pico: int = 0

    @property
    def least(self) -> int:
        """Tokens of the answer under which it is not worth asking."""
        return min(LEAST_OUTPUT, self.output)


@attrs.define(eq=False)
class Lease:
    """The account of one agent's life, one supervisor's, or one run's."""

    path: str
    limits: Budget = UNLIMITED
    parent: Lease | None = attrs.field(default=None, repr=False)
    uid: int = 0
    """Of the child whose life it is."""
    runtime: Runtime | None = attrs.field(default=None, repr=False)
    """Where it is told that it has run out; None: nowhere."""
    _own: Tally = attrs.field(factory=Tally, init=False)
    _below: Tally | None = attrs.field(default=None, init=False)
    """What was used by the leases that draw on it, if any have."""
    reserved_tokens: int = attrs.field(default=0, init=False)
    reserved_pico: int = attrs.field(default=0, init=False)
    under_way: int = attrs.field(default=0, init=False)
    """Requests that hold a reserve, its own and of those that draw on it."""
    spent: Unit | None = attrs.field(default=None, init=False)
    on_spent: Callable[[BudgetExceededError], None] | None = attrs.field(default=None, init=False, repr=False)
    """Ends whoever it belongs to. Must not raise, nor wait."""
    _running: int = attrs.field(default=0, init=False, repr=False)
    """Runs that go on, below it too."""
    _ran: float = attrs.field(default=0.0, init=False, repr=False)
    _since: float = attrs.field(default=0.0, init=False, repr=False)
    _waiting: WaitSet | None = attrs.field(default=None, init=False, repr=False)
    """Who wants a reserve to be given back, or the clock to go on."""

    @property
    def own(self) -> Spending:
        """What was used by itself."""
        return self._own.spending

    @property
    def used(self) -> Spending:
        """What was used by everybody who draws on it."""
        own = self._own.spending
        return own if self._below is None else own + self._below.spending

    def chain(self) -> Iterator[Lease]:
        """Give this lease and all that it draws on."""
        lease: Lease | None = self
        while lease is not None:
            yield lease
            lease = lease.parent

    async def wait_change(self) -> None:
        """Wait for a reserve to be given back, for the clock to go on, or for its end. Cancelling it leaves nothing behind."""
        if self._waiting is None:
            self._waiting = WaitSet()
        await self._waiting.wait()

    def _tell_change(self) -> None:
        if self._waiting is not None:
            self._waiting.wake_all()

    # What is left.

    def fit(self, need: Need) -> int | Unit:
        """Give how many tokens the answer may have, or what there is too little of."""
        limits = self.limits
        used = self.used
        if self.spent is not None:
            return self.spent
        if limits.turns is not None and used.turns >= limits.turns:
            return "turns"
        output = need.output
        if limits.tokens is not None:
            output = min(output, limits.tokens - used.tokens - self.reserved_tokens - need.input)
            if limits.tokens == 0 or output < need.least:
                return "tokens"
        if limits.pico is not None:
            left = limits.pico - used.pico - self.reserved_pico - need.input * need.input_pico
            output = min(output, left // need.output_pico if need.output_pico else output if left >= 0 else 0)
            if limits.pico == 0 or output < need.least:
                return "cost"
        return output

    def takes_tool_calls(self, count: int) -> bool:
        """Whether so many calls may run."""
        most = self.limits.tool_calls
        return self.spent is None and (most is None or self.used.tool_calls + count <= most)

    def hold(self, tokens: int, pico: int, requests: int) -> None:
        """Reserve, or give back what is negative."""
        self.reserved_tokens += tokens
        self.reserved_pico += pico
        self.under_way += requests
        if requests < 0:
            self._tell_change()

    # The clock.

    def start_clock(self, now: float) -> None:
        """Hear that a run goes on; the clock runs while at least one does."""
        if self._running == 0:
            self._since = now
        self._running += 1
        self._tell_change()

    def stop_clock(self, now: float) -> None:
        """Hear that a run does not go on any more, or waits for somebody's approval."""
        self._running -= 1
        if self._running == 0:
            self._ran += now - self._since

    def ran(self, now: float) -> float:
        """Give for how many seconds the clock has run."""
        return self._ran + (now - self._since if self._running else 0.0)

    def due(self, now: float) -> float:
        """Give when its seconds are over if the clock goes on; ``inf`` if they are not limited, or it stands still."""
        if self.limits.seconds is None:
            return math.inf
        left = self.limits.seconds - self.ran(now)
        return now + left if self._running or left <= 0 else math.inf

    # The end.

    def run_out(self, unit: Unit) -> BudgetExceededError:
        """Be spent, for good: end whoever it belongs to, once. Gives the error that says so."""
        if self.spent is None:
            self.spent = unit
            self._tell_change()
            if self.runtime is not None:
                self.runtime.bus.publish(BudgetExceededEvent, self.path, which=unit)
            if self.on_spent is not None:
                self.on_spent(self.error())
        return self.error()

    def error(self) -> BudgetExceededError:
        """Give the error of a lease that is spent."""
        assert self.spent is not None, "it is spent"
        return BudgetExceededError(self.path, self.spent)

    def state(self, now: float) -> LeaseState:
        """Give how it stands."""
        return LeaseState(
            self.path,
            self.limits,
            self.used,
            self.own,
            self.reserved_tokens,
            self.reserved_pico,
            self.ran(now),
            self.spent,
        )


def enter(heads: tuple[Lease, ...], spending: Spending) -> None:
    """Enter what was used: as `own` on the heads, as used below on all that they draw on."""
    for head in heads:
        head._own.add(spending)  # noqa: SLF001  # a part of the class: one step on several
        lease = head.parent
        while lease is not None:
            if lease._below is None:  # noqa: SLF001
                lease._below = Tally()  # noqa: SLF001
            lease._below.add(spending)  # noqa: SLF001
            lease = lease.parent
