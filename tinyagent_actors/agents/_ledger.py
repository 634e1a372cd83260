"""Ledger: the leases of the tree of actors, by path."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import trio

from tinyagent_actors._errors import ActorStoppedError, ChildNotFoundError
from tinyagent_actors.actors import Address, Runtime, current_runtime
from tinyagent_actors.agents._budget import UNLIMITED, Budget
from tinyagent_actors.agents._lease import Lease, LeaseState
from tinyagent_actors.agents._spending import NOTHING, Spending

ROOT: Final = "/"


@attrs.define(eq=False)
class Ledger:
    """One lease for each agent that there is and for each actor above one. Of those that are gone, the sums stay, one level up."""

    _runtime: Runtime
    _leases: dict[str, Lease] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._leases = {ROOT: Lease(ROOT, runtime=self._runtime)}

    async def aclose(self) -> None:
        """Nothing to close: leases are values, and have no task."""

    def open(self, address: Address, budget: Budget = UNLIMITED) -> Lease:
        """Give the lease of a child's life: that of the incarnation before, or a new one."""
        known = self._leases.get(address.path)
        if known is not None and known.uid == address.uid:
            if known.limits is UNLIMITED:
                known.limits = budget
            return known
        parent = self._above(address.path)
        lease = self._leases[address.path] = Lease(address.path, budget, parent, address.uid, self._runtime)
        address.call_when_gone(partial(self._close, lease))
        return lease

    def spending(self, path: str) -> Spending:
        """Give what was used at a path and below. Of a child that is gone it is in the sum of what stood above it."""
        lease = self._leases.get(path)
        return NOTHING if lease is None else lease.used

    def states(self, now: float) -> tuple[LeaseState, ...]:
        """Give how each lease stands, by path."""
        return tuple(self._leases[path].state(now) for path in sorted(self._leases))

    def state(self, path: str) -> LeaseState | None:
        """Give how the lease at a path stands; None if nothing there or below has used anything."""
        lease = self._leases.get(path)
        return None if lease is None else lease.state(trio.current_time())

    def _above(self, path: str) -> Lease:
        above = path.rpartition("/")[0] or ROOT
        known = self._leases.get(above)
        if known is not None:
            return known
        if self._runtime.ref_at is None:
            return self._leases[ROOT]
        try:
            return self.open(self._runtime.ref_at(above).address)
        except (ChildNotFoundError, ActorStoppedError):
            return self._above(above)

    def _close(self, lease: Lease) -> None:
        if self._leases.get(lease.path) is lease:
            del self._leases[lease.path]


def current_ledger() -> Ledger:
    """Give the ledger of the system that this task belongs to."""
    return ledger_of(current_runtime())


def ledger_of(runtime: Runtime) -> Ledger:
    """Give the ledger of a system."""
    return runtime.resource(Ledger, Ledger)
