"""pool(): a supervisor of many alike, which take what is sent to it from one queue, each when it is free."""

from __future__ import annotations

from typing import Any, cast

import attrs

from tinyagent_actors._errors import ActorStoppedError, NoMembersError, SpecError
from tinyagent_actors.actors import (
    ActorContext,
    ChildLike,
    ChildSpec,
    MailboxStatistics,
    RestartType,
    Shutdown,
    WorkQueue,
    to_child_spec,
)
from tinyagent_actors.supervision._options import SupervisorOptions
from tinyagent_actors.supervision._ref import SupervisorRef
from tinyagent_actors.supervision._spec import supervisor
from tinyagent_actors.supervision._supervisor import Supervisor


@attrs.define(eq=False, repr=False)
class Pool(Supervisor):
    """The state of one incarnation of a pool: a supervisor, and the queue of its children."""

    queue: WorkQueue = attrs.field(kw_only=True)


class PoolRef(SupervisorRef):
    """A reference to a pool. What is told or asked through it goes to whichever worker is free first.

    It is a supervisor's ref as well: `which_children`, `terminate_child` and the like are about the workers.
    """

    __slots__ = ()

    def _queue(self) -> WorkQueue:
        body = self.address.body
        if self.address.is_gone:
            raise ActorStoppedError(self.path)
        if not isinstance(body, Pool):
            raise NoMembersError(self.path)  # it has not begun
        return body.queue

    async def tell(self, message: object) -> None:
        """Queue a message for whichever worker is free first; waits for room where the policy is `block`.

        To a pool that is gone: a dead letter, as with any actor. Cancelling it while it waits: not sent.

        Raises:
            NoMembersError: The pool lives, but every worker is gone for good.
            MailboxFullError: The queue is full and its policy is `reject`.
        """
        if self.address.is_gone:
            await super().tell(message)
        else:
            await self._queue().tell(message)

    def tell_nowait(self, message: object) -> None:
        """Queue a message if there is room. To a pool that is gone: a dead letter.

        Raises:
            NoMembersError: The pool lives, but every worker is gone for good.
            MailboxFullError: There is no room, and the policy is `block` or `reject`.
        """
        if self.address.is_gone:
            super().tell_nowait(message)
        else:
            self._queue().tell_nowait(message)

    async def ask(self, message: object) -> Any:
        """Queue a message and wait for the answer of whichever worker takes it. Cancelling it withdraws the ask.

        Raises:
            NoMembersError: The pool lives, but every worker is gone for good.
            ActorStoppedError: The pool is gone.
            ActorDiedError: The worker crashed with the ask in hand.
            NotAnsweredError: The worker went on without a reply.
            AskCycleError: Every worker waits, directly or not, for the actor that asks.
            MailboxFullError: The queue is full and its policy is not `block`.
        """
        return await self._queue().ask(message)

    def statistics(self) -> MailboxStatistics:
        """Give depths, peak, waiting senders and drops of the queue.

        Raises:
            ActorStoppedError: The pool is gone.
        """
        return self._queue().statistics()


def pool(
    name: str,
    worker: ChildLike,
    *,
    size: int,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    restart: RestartType = "permanent",
    shutdown: Shutdown = float("inf"),
) -> ChildSpec[object, object, PoolRef]:
    """Give the spec of a pool of `size` workers that pull from one bounded queue.

    A worker is an ordinary actor: what comes out of its `ctx.messages()` is the next message of the queue, and it gets no
    second one before it has asked for it. The mailbox settings of its spec (capacity, policy, priority, `redeliver`) are
    those of the queue. A worker that crashes is started again; what it had in hand goes back to the queue, first in line, as often
    as `redeliver` says. What lies in the queue outlives the workers, not the pool.

    Args:
        name: The pool's name; its workers are ``name/worker-1`` and so on.
        worker: The spec of each worker.
        size: How many there are.
        max_restarts: How many restarts of workers are allowed ...
        max_seconds: ... within how many seconds (a sliding window).
        restart: How the pool itself is restarted.
        shutdown: Seconds it gets to stop its workers.

    Raises:
        SpecError: Something is wrong; the field is named, nothing is started.

    Example:
        >>> async def read(ctx):
        ...     async for path in ctx.messages():
        ...         ctx.reply(len(path))
        >>> pool("readers", ChildSpec("reader", read, redeliver=1), size=4).name
        'readers'
    """
    spec = to_child_spec(worker)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise SpecError("size", f"must be a whole number of at least 1, is {size!r}")
    if spec.register is not None:
        raise SpecError("register", "of many workers only one could have the name")
    workers = [attrs.evolve(spec, name=f"{spec.name}-{number}") for number in range(1, size + 1)]
    supervising = supervisor(
        name, children=workers, max_restarts=max_restarts, max_seconds=max_seconds, restart=restart, shutdown=shutdown
    )
    pooled = attrs.evolve(supervising, start=run_pool, args=(spec, *supervising.args), ref_type=PoolRef)
    return cast("ChildSpec[object, object, PoolRef]", pooled)


async def run_pool(ctx: ActorContext, worker: ChildSpec, options: SupervisorOptions) -> None:
    """Be a pool: the body of the actor that `pool` describes."""
    runtime = ctx.runtime
    queue = WorkQueue(ctx.path, runtime.dead_letters, runtime.pacer, runtime=runtime)
    worker.furnish(queue, runtime)
    workers = tuple(attrs.evolve(spec, start=queue.pulling(spec.run), args=(), kwargs={}) for spec in options.children)
    try:
        await Pool(ctx, attrs.evolve(options, children=workers), queue=queue).run()
    finally:
        queue.close()
