"""ToolLocks: names that one call of a system holds at a time.

The design. For each name a queue, first come first served; its head holds the lock. A call takes its locks one after another in
sorted order, so that two calls never hold what the other wants. What order cannot prevent is a circle through asks: a call holds a lock
and asks an agent whose own call wants it. So who waits has an edge in the wait-for graph, and the one that would close a circle
is refused (`AskCycleError`), whether it is an ask or a lock.

Edges go to the call before in the queue, not to the holder: so they stay right as the queue moves on, and change only when one
in the middle gives up; then who is behind it waits for who was before it, for whom it waited already. The nodes are calls, not
agents: an agent waits for its calls (an edge of its own), but a call waits for none of its siblings, and one that holds a lock
and will let go of it closes no circle because a sibling waits.

Cancelling a call that waits takes it out of the queue. A call that was given up, or whose thread or process was left behind, goes on
holding: what the lock protects is in use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs
import trio

from tinyagent_actors.actors import WaitGraph


@attrs.define(eq=False)
class _Claim:
    """One call in the queue of one name."""

    node: str
    before: _Claim | None
    is_head: trio.Event = attrs.field(factory=trio.Event)
    edge: int = 0


@attrs.define(eq=False)
class ToolLocks:
    """The locks of one system."""

    _graph: WaitGraph = attrs.field(repr=False)
    _queues: dict[str, deque[_Claim]] = attrs.field(factory=dict, init=False)

    async def acquire(self, node: str, names: Iterable[str], on_join: Callable[[], None]) -> LockSet:
        """Take every lock of `names` for the call `node`, in sorted order. Cancelled or refused, it holds none.

        Args:
            node: In the wait-for graph.
            names: Of the locks.
            on_join: Called when it stands in the first queue: who comes after that is behind it.

        Raises:
            AskCycleError: Who holds one waits, directly or not, for this call.
        """
        held = LockSet(self, {})
        try:
            for name in sorted(set(names)):
                claim = self._join(node, name)
                held.claims[name] = claim
                on_join()
                await claim.is_head.wait()
        except BaseException:
            held.release()
            raise
        return held

    def _join(self, node: str, name: str) -> _Claim:
        queue = self._queues.get(name, deque())
        claim = _Claim(node, queue[-1] if queue else None)
        if claim.before is None:
            claim.is_head.set()
        else:
            claim.edge = self._graph.add(node, claim.before.node)
        self._queues[name] = queue
        queue.append(claim)
        return claim

    def leave(self, name: str, claim: _Claim) -> None:
        """Give a lock back, or the place in its queue; the next one is woken or moves up."""
        queue = self._queues[name]
        place = queue.index(claim)
        behind = queue[place + 1] if place + 1 < len(queue) else None
        del queue[place]
        if claim.edge:
            self._graph.remove(claim.node, claim.edge)
        if behind is not None:
            behind.before = claim.before
            if claim.before is None:
                self._graph.remove(behind.node, behind.edge)
                behind.edge = 0
                behind.is_head.set()
            else:
                self._graph.move(behind.node, behind.edge, claim.before.node)
        if not queue:
            del self._queues[name]

    def holders(self) -> dict[str, str]:
        """Give who holds what: the call by the name of the lock."""
        return {name: queue[0].node for name, queue in self._queues.items()}

    async def aclose(self) -> None:
        """Nothing to close."""


@attrs.frozen(eq=False)
class LockSet:
    """The locks of one call."""

    _locks: ToolLocks
    claims: dict[str, _Claim]

    def release(self) -> None:
        """Give them back, latest first. Twice changes nothing."""
        while self.claims:
            name, claim = self.claims.popitem()
            self._locks.leave(name, claim)
