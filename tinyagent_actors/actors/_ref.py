"""ActorRef: how anybody reaches an actor. A value: ``(path, uid, incarnation)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import attrs
import trio
from trio.lowlevel import checkpoint_if_cancelled, current_task, enable_ki_protection

from tinyagent_actors._errors import ActorStoppedError
from tinyagent_actors.actors._call_place import CallPlace
from tinyagent_actors.actors._cancelled import caller_deadline, is_cancelled
from tinyagent_actors.actors._clock import current_clock
from tinyagent_actors.actors._exit import CancelCause, Exit
from tinyagent_actors.actors._link import link, unlink
from tinyagent_actors.actors._mailbox import MailboxStatistics
from tinyagent_actors.actors._monitor import Monitor
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot
from tinyagent_actors.actors._runtime import find_place
from tinyagent_actors.actors._types import MessageT_contra, ReplyT_co

if TYPE_CHECKING:
    from tinyagent_actors.actors._address import Address
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._clock import Clock
    from tinyagent_actors.actors._runtime import Place, Runtime


def current_cell() -> Cell | None:
    """Give the actor whose work this task does; None outside actors."""
    return getattr(find_place(), "cell", None)


def living_cell(runtime: Runtime) -> Cell | None:
    """Give the actor whose work this task does, if it is of that system and has not ended."""
    cell = current_cell()
    return cell if cell is not None and cell.exit is None and cell.runtime is runtime else None


def _acting_cell(call: str) -> Cell:
    cell = current_cell()
    if cell is None or cell.exit is not None:
        message = f"{call} works inside an actor that lives; elsewhere, use wait_stopped()"
        raise RuntimeError(message)
    return cell


def waiting_cell(runtime: Runtime, place: Place | None) -> Cell | CallPlace | None:
    """Give what waits for the answer if the task at `place` asks: an actor, or a call of its tools that holds locks.

    None outside actors, and beside one: a background task's actor goes on reading and waits for nothing that the task asks.
    """
    if place is runtime:
        return None
    cell = living_cell(runtime)
    if cell is place:
        return cell
    return place if cell is not None and isinstance(place, CallPlace) else None


def waiting_clock(asker: Cell | CallPlace | None) -> Clock | None:
    """Give the clock that waits if this task asks: of the call, turn or run that it works for, else of who has asked its actor."""
    return current_clock.get() or (None if asker is None else asker.asker_clock)


def name_of_caller() -> str:
    """Give the path of the actor whose work this task does."""
    cell = current_cell()
    return "outside" if cell is None else cell.path


async def leave_subtree(top: Address, cause: CancelCause) -> None:
    """Cancel the actor that calls, if it is `top` or stands below it: then this does not return (S39). Else no checkpoint."""
    caller = living_cell(top.runtime)
    if caller is not None and (caller.address is top or (caller.path != top.path and caller.is_below(top.path))):
        caller.address.owner.kill_child(caller.address, cause)
        await trio.sleep_forever()


@attrs.frozen(eq=False, init=False)
class ActorRef(Generic[MessageT_contra, ReplyT_co]):
    """A reference to an actor. Supervisors make it.

    ``ActorRef[Message, Reply]`` says what may be sent and what comes back, to a type checker only; a plain `ActorRef` takes and
    gives anything.

    What is sent through a ref of any incarnation reaches the child's mailbox until the child is finally gone; `==`
    tells incarnations apart.
    """

    path: str
    uid: int
    incarnation: int
    address: Address = attrs.field(repr=False)
    """The way to it; for the runtime and for kinds of refs derived from this one."""
    _cell: Cell | None = attrs.field(repr=False)

    def __init__(self, address: Address, cell: Cell | None = None) -> None:
        self.__attrs_init__(address.path, address.uid, cell.incarnation if cell else address.incarnation, address, cell)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActorRef):
            return NotImplemented
        return self.address is other.address and self.incarnation == other.incarnation

    def __hash__(self) -> int:
        return hash((self.path, self.uid, self.incarnation))

    @property
    def living(self) -> Cell | None:
        """The incarnation that this ref names, as long as it has not ended; for the runtime."""
        return self._cell if self._cell is not None and self._cell.exit is None else None

    @enable_ki_protection
    async def tell(self, message: MessageT_contra) -> None:
        """Send a message; waits for room where the mailbox's policy is `block`.

        With room it is a cancellation point but not a schedule point, except that an actor's 64th tell in a row is both:
        the one exception to "async means checkpoint". Publishes no event. To an actor that is gone: a dead letter,
        never an exception.

        Cancelling it while it waits: not sent.

        Raises:
            MailboxFullError: The mailbox is full and its policy is `reject`.
        """
        mailbox = self.address.mailbox
        pacer = mailbox.pacer
        place = find_place()
        if place is pacer.place and pacer.free and not is_cancelled(current_task()):
            pacer.free -= 1
        else:
            await pacer.pace(place)
        item = (message, None if place is None else place.event)
        if mailbox.takes_work and mailbox.reader is None and len(mailbox.work) < mailbox.peak:
            # All that `offer` would do: as many have lain there before, and nobody is to be woken.
            mailbox.work.append(item)
        elif not mailbox.offer(item):
            await mailbox.put(item)

    @enable_ki_protection
    def tell_nowait(self, message: MessageT_contra) -> None:
        """Send a message if there is room.

        Raises:
            MailboxFullError: There is none, and the policy is `block` or `reject`.
        """
        place = find_place()
        self.address.mailbox.offer_nowait((message, None if place is None else place.event))

    @enable_ki_protection
    async def ask(self, message: MessageT_contra) -> ReplyT_co:
        """Send a message and wait for its answer. The deadline is the caller's cancel scope; it travels with the message.

        Cancelling it withdraws the ask: still queued, it is taken out unread; in hand, the handler finishes and its reply
        is a dead letter.

        Returns:
            What the actor replied.

        Raises:
            ActorStoppedError: The actor is gone, or went while the ask was queued.
            ActorDiedError: It crashed with the ask in hand.
            NotAnsweredError: It went on without a reply.
            AskCycleError: It waits, directly or not, for the actor that asks.
            MailboxFullError: The mailbox is full and its policy is not `block`.
        """
        task = current_task()
        if is_cancelled(task):
            await checkpoint_if_cancelled()
        address = self.address
        if address.is_gone:
            raise ActorStoppedError(self.path)
        runtime, mailbox = address.runtime, address.mailbox
        place = find_place()
        asker = waiting_cell(runtime, place)
        edge = 0 if asker is None else runtime.wait_graph.add(asker.path, self.path)
        slot = ReplySlot(self.path, caller_deadline(task), runtime.dead_letters, waiting_clock(asker))
        envelope = Envelope(message, None if place is None else place.event, slot)
        if mailbox.hold is not None:
            mailbox.hold.add(slot)
        try:
            if not mailbox.offer(envelope):
                await mailbox.put(envelope)
            reply: ReplyT_co = await slot.wait()
            return reply
        finally:
            if mailbox.hold is not None:
                mailbox.hold.drop(slot)
            if slot.is_withdrawn:
                mailbox.withdraw(envelope)
            if asker is not None:
                runtime.wait_graph.remove(asker.path, edge)

    @enable_ki_protection
    async def stop(self, why: str = "stop()") -> None:
        """Stop the actor for good: it ends after the message in hand, or is cancelled after its `shutdown` time.

        Returns when it and everything below it is gone. It exits `shutdown` and is not restarted; its spec is kept
        unless it is temporary. From inside the subtree that is being stopped, the caller is cancelled at once
        and this never returns (S39).

        Cancelling the wait: the stop goes on.
        """
        if not self.address.is_gone:
            caller = current_cell()
            cause = CancelCause("outside" if caller is None else caller.path, why, "stop")
            self.address.owner.end_child(self.address, cause)
            if caller is not None:
                await leave_subtree(self.address, cause)
        await self.address.wait_gone()

    @enable_ki_protection
    def kill(self, why: str = "kill()") -> None:
        """Cancel the actor now. An abnormal exit (`killed`): its restart type applies. Does not wait."""
        if self.address.cell is not None:
            self.address.owner.kill_child(self.address, CancelCause(name_of_caller(), why, "kill"))

    @enable_ki_protection
    def monitor(self) -> Monitor:
        """Have a `Down` put before this actor's work when the other ends. Of one that is gone: at once (`noproc`).

        Raises:
            RuntimeError: Called outside an actor, or by a task of one that has ended.
        """
        monitor = Monitor(self, _acting_cell("monitor()"), self._cell)
        monitor.begin()
        return monitor

    @enable_ki_protection
    def link(self) -> None:
        """Link the actor that calls to this one: the end of either is told to the other, as Erlang's links do.

        A normal end changes nothing; after `shutdown` or an abnormal one the other is cancelled too (`shutdown` or
        `killed`), unless it traps exits (`ctx.trap_exits`): then a `LinkExit` is put before its work, of a normal end as well.
        Of one that is gone: at once (`noproc`, abnormal). There is one link for each pair of incarnations.

        Raises:
            RuntimeError: Called outside an actor, or by a task of one that has ended.
        """
        link(_acting_cell("link()"), self, self._cell)

    @enable_ki_protection
    def unlink(self) -> None:
        """Undo `link()`, from either side. A `LinkExit` that lies unread is taken out; none comes afterwards.

        Raises:
            RuntimeError: Called outside an actor, or by a task of one that has ended.
        """
        unlink(_acting_cell("unlink()"), self, self._cell)

    async def wait_stopped(self) -> Exit:
        """Wait for the end of this incarnation, its cleanup included. Cancelling it leaves nothing behind.

        Returns:
            How it ended.
        """
        if self._cell is None:
            await trio.lowlevel.checkpoint()
            return Exit("noproc")
        return await self._cell.wait_ended()

    async def wait_gone(self) -> None:
        """Wait until the child is finally gone, with every incarnation. Cancelling it leaves nothing behind."""
        await self.address.wait_gone()

    def statistics(self) -> MailboxStatistics:
        """Give depths, peak, waiting senders and drops of the mailbox."""
        return self.address.mailbox.statistics()
