"""WorkQueue: a mailbox that several workers read, each when it has nothing else to do.

The design. A pool of workers has one mailbox. A worker that pulls and finds nothing parks, on its own mailbox, and stands among
the idle; what comes wakes the one that has been idle longest, and that one takes it out. So no worker has a second message
while it is busy with the first, none waits behind a slow one, and there is nothing to balance. The bound, the policies, the
priorities and `redeliver` are those of any mailbox: a full queue makes its senders wait. A worker's own mailbox goes on working:
control comes first, then its timers and what else it sends to itself (in turns with work), then what was told to this very worker,
then the queue. What a worker has stashed stays that worker's, whichever incarnation.

The races. *Woken and not taking*: between the wake-up and the pop a worker may find control, a stop, or that somebody who has just
finished was quicker. Nothing was given to it, so nothing is lost; but the queue must not sleep either: whoever goes away
from the queue with something else wakes the next (`wake_next`). *It crashes with a message in hand*: `give_back` puts that first in the queue again, if the spec says so,
and wakes another. *The last worker is gone for good*: nobody will come, so what lies unread is dead letters, asks fail, and later
ones are refused, each with `NoMembersError`, until there is a worker again; one that is only being started again is not gone.

Circles. An ask to the queue waits for the pool, not for a worker: it closes a circle only if every worker waits for the asker. That
is looked at when it is asked; when a worker takes it, from when on it waits for that one (who does not take it if that would
close a circle, which a task in its background may cause); and when a worker has gone for good, for all that lie unread.

Refused: a dispatcher that sends to workers (a second queue in each, and a guess who will be free first), a lock around the
queue (one thread), giving the message with the wake-up (a worker that is cancelled in between would have to give it back).
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
from trio.lowlevel import checkpoint_if_cancelled, current_task, enable_ki_protection

from tinyagent_actors._errors import AskCycleError, NoMembersError
from tinyagent_actors.actors._cancelled import caller_deadline, is_cancelled
from tinyagent_actors.actors._context import ActorContext, MessageIterator
from tinyagent_actors.actors._mailbox import FREE_IN_A_ROW, Mailbox
from tinyagent_actors.actors._own_lane import ReceiveTimeout
from tinyagent_actors.actors._ref import waiting_cell, waiting_clock
from tinyagent_actors.actors._reply_slot import Envelope, Item, ReplySlot
from tinyagent_actors.actors._runtime import Runtime, find_place

if TYPE_CHECKING:
    from tinyagent_actors.actors._address import Address
    from tinyagent_actors.actors._cell import Cell


@attrs.define(eq=False)
class PooledAsk(Envelope):
    """An ask of nobody in particular."""

    asker: str | None
    """The path of the actor that waits; None outside actors."""
    edge: int
    """Its edge in the wait-for graph."""


@attrs.define(eq=False)
class WorkQueue(Mailbox):
    """The mailbox of a pool. Its workers are actors whose functions were wrapped by `pulling`."""

    runtime: Runtime = attrs.field(kw_only=True, repr=False)
    _workers: dict[Address, None] = attrs.field(factory=dict, init=False, repr=False)
    """Those that pull, or will again when they have been restarted."""
    _idle: OrderedDict[Cell, None] = attrs.field(factory=OrderedDict, init=False, repr=False)
    """Who waits for a message, the one that waits longest first."""
    _members: Callable[[], list[str]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._members = lambda: [worker.path for worker in self._workers]
        self.runtime.wait_graph.open_pool(self.path, self._members)

    # The senders' side.

    @enable_ki_protection
    async def tell(self, message: object) -> None:
        """Queue a message for whichever worker is free first; waits for room where the policy is `block`.

        A cancellation point, and a schedule point as `ActorRef.tell` is. Cancelling it while it waits: not sent.

        Raises:
            NoMembersError: There is no worker (any more).
            MailboxFullError: The queue is full and its policy is `reject`.
        """
        place = find_place()
        if place is self.pacer.place and self.pacer.free and not is_cancelled(current_task()):
            self.pacer.free -= 1
        else:
            await self.pacer.pace(place)
        item = (message, None if place is None else place.event)
        self._need_workers()
        if not self.offer(item):
            await self.put(item)

    def tell_nowait(self, message: object) -> None:
        """Queue a message if there is room.

        Raises:
            NoMembersError: There is no worker (any more).
            MailboxFullError: There is no room, and the policy is `block` or `reject`.
        """
        place = find_place()
        self._need_workers()
        self.offer_nowait((message, None if place is None else place.event))

    @enable_ki_protection
    async def ask(self, message: object) -> Any:
        """Queue a message and wait for the answer of whichever worker takes it. Cancelling it withdraws the ask, as `ActorRef.ask`.

        Raises:
            NoMembersError: There is no worker (any more).
            ActorDiedError: The worker crashed with the ask in hand.
            NotAnsweredError: The worker went on without a reply.
            AskCycleError: Every worker waits, directly or not, for the actor that asks.
            MailboxFullError: The queue is full and its policy is not `block`.
        """
        task = current_task()
        if is_cancelled(task):
            await checkpoint_if_cancelled()
        self._need_workers()
        runtime, place = self.runtime, find_place()
        asker = waiting_cell(runtime, place)
        edge = 0 if asker is None else runtime.wait_graph.add(asker.path, self.path)
        slot = ReplySlot(self.path, caller_deadline(task), runtime.dead_letters, waiting_clock(asker))
        cause = None if place is None else place.event
        envelope = PooledAsk(message, cause, slot, None if asker is None else asker.path, edge)
        try:
            if not self.offer(envelope):
                await self.put(envelope)
            return await slot.wait()
        finally:
            if slot.is_withdrawn:
                self.withdraw(envelope)
            if asker is not None:
                runtime.wait_graph.remove(asker.path, edge)

    def _need_workers(self) -> None:
        if not self._workers:
            raise NoMembersError(self.path)

    def offer(self, item: Item) -> bool:
        """As of any mailbox; and wake a worker."""
        is_in = super().offer(item)
        self.wake_next()
        return is_in

    def admit(self) -> None:
        """As of any mailbox; and wake a worker: some are idle over a full queue if they may not take what lies in it."""
        super().admit()
        self.wake_next()

    def give_back(self, item: tuple[Any, int | None]) -> bool:
        """As of any mailbox; and wake a worker."""
        comes_again = super().give_back(item)
        self.wake_next()
        return comes_again

    def _bury(self, item: Item, reason: str) -> None:
        if isinstance(item, Envelope) and reason == "stopped":
            item.slot.fail(NoMembersError(self.path))
        super()._bury(item, reason)

    # The workers' side.

    def pulling(
        self, begin: Callable[[ActorContext[Any, Any]], Awaitable[object]]
    ) -> Callable[[ActorContext[Any, Any]], Awaitable[object]]:
        """Give the function of an actor whose `ctx.messages()` pulls from this queue, besides its own mailbox.

        Args:
            begin: What gives the actor's body.
        """

        def start(ctx: ActorContext[Any, Any]) -> Awaitable[object]:
            self._workers[ctx.cell.address] = None
            ctx.cell.address.source = self
            ctx.cell.tie(self)
            return begin(ctx)

        return start

    def messages(self, context: ActorContext) -> MessageIterator:
        """Give the iterator of a worker."""
        return _Pull(context, context.cell, context.cell.address.mailbox, queue=self)

    def take(self, cell: Cell) -> Item | None:
        """Take out the next message that this worker may have; None if there is none."""
        passed: list[Item] = []
        found: Item | None = None
        while self.work and found is None:
            item = self.work.popleft()
            if self._may_take(cell, item):
                found = item
            else:
                passed.append(item)
        for item in reversed(passed):
            self.work.appendleft(item)
        if isinstance(found, PooledAsk) and found.asker is not None:
            self.runtime.wait_graph.move(found.asker, found.edge, cell.path)
        if found is not None and self.senders:
            self.admit()
        return found

    def _may_take(self, cell: Cell, item: Item) -> bool:
        if not isinstance(item, PooledAsk) or item.asker is None or item.slot.is_withdrawn:
            return True
        return self.runtime.wait_graph.cycle(item.asker, cell.path) is None

    def wake_next(self) -> None:
        """Wake the worker that has been idle longest of those that may take something; look again when an edge has gone if none may."""
        if not self.work or not self._idle:
            return
        for cell in self._idle:
            if any(self._may_take(cell, item) for item in self.work):
                del self._idle[cell]
                cell.address.mailbox.wake()
                return
        self.runtime.wait_graph.hold(self.wake_next)

    async def be_idle(self, cell: Cell) -> None:
        """Wait as a worker until there may be something to do. Cancelling it loses nothing."""
        self._idle[cell] = None
        try:
            await cell.address.mailbox.wait()
        finally:
            self._idle.pop(cell, None)

    def forget(self, cell: Cell) -> None:
        """Hear that an incarnation of a worker has ended."""
        self._idle.pop(cell, None)

    def lose(self, worker: Address) -> None:
        """Hear that a worker is gone for good."""
        self._workers.pop(worker, None)
        if not self._workers:
            self.bury_all()
            return
        for item in tuple(self.work):
            if isinstance(item, PooledAsk) and item.asker is not None:
                cycle = self.runtime.wait_graph.cycle(item.asker, self.path)
                if cycle is not None:
                    item.slot.fail(AskCycleError(cycle))
                    self.withdraw(item)

    def close(self) -> None:
        """Close for good, as the pool has ended."""
        super().close()
        self.runtime.wait_graph.close_pool(self.path, self._members)


@attrs.define(eq=False)
class _Pull(MessageIterator):
    """A worker's messages: those of its own mailbox, and when there are none, the queue's."""

    _queue: WorkQueue = attrs.field(kw_only=True)

    @enable_ki_protection
    async def __anext__(self) -> Any:
        """Wait for the next message, as of any actor; a cancel loses nothing."""
        context, cell, mailbox, queue = self._context, self._cell, self._mailbox, self._queue
        task = current_task()
        if self._free and task is cell.task and not is_cancelled(task):
            self._free -= 1
        else:
            await self._begin_row(task)
        context.pass_by()
        context.source = None
        if context.own is not None:
            context.own.begin_pull()
        while True:
            if cell.exit is not None or mailbox.stopping is not None:
                queue.wake_next()
                raise StopAsyncIteration
            if mailbox.control:
                queue.wake_next()
                return mailbox.control.popleft()
            own = context.own
            if own is not None and own.is_next(has_work=bool(mailbox.work or queue.work)):
                queue.wake_next()
                return own.take_own()
            item = self._take()
            if item is not None:
                if isinstance(item, tuple) or not item.slot.is_withdrawn:
                    return context.take(item)
            elif await self._is_silent():
                return ReceiveTimeout(context.receive_timeout or 0.0)

    def _take(self) -> Item | None:
        """Take out the next message of work: the worker's own, else one of the queue; None if there is none."""
        context, queue = self._context, self._queue
        context.source = None
        item = self._mailbox.take_work()
        if item is not None:
            queue.wake_next()
            return item
        item = queue.take(self._cell)
        if item is not None:
            context.source = queue
        return item

    async def _is_silent(self) -> bool:
        """Be idle until there may be something; or say that there was nothing for as long as the receive timeout says."""
        own, queue = self._context.own, self._queue
        if own is None:
            await queue.be_idle(self._cell)
        elif own.is_silent():
            return True
        else:
            await own.wait(functools.partial(queue.be_idle, self._cell))
        self._free = FREE_IN_A_ROW
        return False
