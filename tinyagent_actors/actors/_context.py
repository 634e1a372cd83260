"""ActorContext: what an actor's function is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, overload

import attrs
from trio.lowlevel import Task, checkpoint, checkpoint_if_cancelled, current_task, enable_ki_protection

from tinyagent_actors._errors import ActorDiedError, ActorStoppedError, NotAnsweredError
from tinyagent_actors.actors._cancelled import is_cancelled
from tinyagent_actors.actors._exit import as_fact
from tinyagent_actors.actors._mailbox import FREE_IN_A_ROW, Returned
from tinyagent_actors.actors._own_context import OwnContext
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot
from tinyagent_actors.actors._types import ChildMessageT, ChildReplyT, MessageT, RefT, ReplyT

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._exit import CancelCause, Exit
    from tinyagent_actors.actors._mailbox import Mailbox
    from tinyagent_actors.actors._ref import ActorRef
    from tinyagent_actors.actors._runtime import Runtime
    from tinyagent_actors.actors._spec import ChildLike, ChildSpec, HasChildSpec


_FIRST_SWEEP: Final = 64


@attrs.define(eq=False)
class ActorContext(OwnContext[MessageT, ReplyT]):
    """One incarnation's own view of itself.

    ``ActorContext[Message, Reply]`` says what the actor may be told and what it answers, to a type checker only; the refs that
    `start_child` gives say it too.
    """

    _deferred: set[ReplySlot] | None = attrs.field(default=None, init=False, repr=False)
    _sweep_at: int = attrs.field(default=_FIRST_SWEEP, init=False, repr=False)
    """At how many deferred asks those that were answered are forgotten."""
    _was_told_to_stop: bool = attrs.field(default=False, init=False, repr=False)

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self.ref.path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.cell.address.name

    @property
    def runtime(self) -> Runtime:
        """The shared parts of its system."""
        return self.cell.runtime

    @property
    def deadline(self) -> float:
        """When the asker of the message in hand stops waiting, on Trio's clock; ``inf`` if it was told, or answered."""
        return self.in_hand.slot.deadline if isinstance(self.in_hand, Envelope) else float("inf")

    @property
    def deliveries(self) -> int:
        """Which delivery of the message in hand this is: more than 1 for one that was in hand at a crash (`redeliver`)."""
        return self.in_hand.delivery if isinstance(self.in_hand, Returned) else 1

    @property
    def stopping(self) -> CancelCause | None:
        """By whom and why it was asked to stop; None if it was not."""
        return self.cell.stopping

    async def wait_stopping(self) -> None:
        """Wait until it is asked to stop. Cancelling it leaves nothing behind."""
        await self.cell.wait_stopping()

    def started(self, value: object = None) -> None:
        """Say that this actor is ready; `start_child` returns. The first pull from `messages()` says it too."""
        self.cell.tell_started(value)

    def messages(self) -> MessageIterator[MessageT]:
        """Give the iterator over this actor's messages: control first, then work. It ends when the actor is stopped."""
        source = self.cell.address.source
        return MessageIterator(self, self.cell, self.cell.address.mailbox) if source is None else source.messages(self)

    @property
    def children(self) -> Any:
        """A `SupervisorRef` for what this actor has started below itself; None if it has started nothing."""
        children = self.cell.address.children
        return None if children is None else children.ref

    @overload
    async def start_child(self, child: ChildSpec[Any, Any, RefT] | HasChildSpec[RefT]) -> RefT: ...

    @overload
    async def start_child(
        self, child: ChildSpec[ChildMessageT, ChildReplyT]
    ) -> ActorRef[ChildMessageT, ChildReplyT]: ...

    @overload
    async def start_child(self, child: HasChildSpec[Any]) -> Any: ...

    @enable_ki_protection
    async def start_child(self, child: ChildLike) -> Any:
        """Start a child of this actor and wait until it has started; as `SupervisorRef.start_child`.

        It stands below this actor's path and is supervised one for one. When this actor ends, its children are stopped, in
        reverse order, before its end is told; `ChildSpec(keep_children=True)` keeps them through a crash. If they die too
        often, this actor fails with them.

        Cancelling it while it starts rolls the child back.

        Returns:
            Its ref; None if it had nothing to do (`Ignore`).

        Raises:
            SpecError: The spec is wrong; nothing was started.
            StartFailedError: It raised, or was stopped, before it had started.
            AlreadyStartedError: A child of that name runs.
            AlreadyPresentError: A child of that name is kept, stopped.
            SupervisorStoppingError: This actor's children are being stopped.
        """
        address = self.cell.address
        if address.children is None:
            if address.open_children is None or self.cell.exit is not None:
                raise ActorStoppedError(self.path)
            address.children = address.open_children(address)
        await address.children.wait_started()
        return await address.children.ref.start_child(child)

    def reply(self, value: ReplyT) -> None:
        """Answer the ask in hand; of a message that was told, ignored. A second reply is a dead letter."""
        if self.asked is not None:
            self.asked.reply(value)

    def defer_reply(self) -> ReplySlot:
        """Take the answer of the ask in hand upon oneself: answer it later, from any task.

        If this incarnation ends before, the asker gets `ActorDiedError`.

        Raises:
            RuntimeError: There is no ask in hand.
        """
        slot = self.take_reply()
        if slot is None:
            message = "there is no ask in hand whose reply could be deferred"
            raise RuntimeError(message)
        return slot

    @enable_ki_protection
    def take_reply(self) -> ReplySlot | None:
        """Take the answer of the message in hand upon oneself, as `defer_reply`; None if it was told."""
        slot, self.asked = self.asked, None
        if slot is None:
            return None
        if self._deferred is None:
            self._deferred = set()
        elif len(self._deferred) >= self._sweep_at:
            self._deferred = {kept for kept in self._deferred if not (kept.is_answered or kept.is_withdrawn)}
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._deferred))
        self._deferred.add(slot)
        return slot

    @enable_ki_protection
    async def next_control(self) -> Any:
        """Wait for the next control message, leaving work queued; for an actor that is busy. Cancelling it loses nothing.

        Returns:
            A `Down` or what else was posted; once, when the actor is asked to stop, the `CancelCause`.

        Raises:
            ActorStoppedError: This incarnation was given up; the control lane is another's.
        """
        mailbox = self.cell.address.mailbox
        await checkpoint_if_cancelled()
        while True:
            if self.cell.exit is not None:
                raise ActorStoppedError(self.path, self.cell.exit.reason)
            message = mailbox.take_control()
            if message is not None:
                return message
            if mailbox.stopping is not None and not self._was_told_to_stop:
                self._was_told_to_stop = True
                return mailbox.stopping
            await mailbox.wait()

    def pass_by(self) -> None:
        """Acknowledge the message in hand; an ask without an answer fails with `NotAnsweredError`."""
        slot, self.in_hand, self.asked = self.asked, None, None
        if slot is not None and not slot.is_answered:
            slot.fail(NotAnsweredError(self.path))

    def end(self, exit: Exit) -> None:  # noqa: A002  # the field term
        """Settle what this incarnation, which has ended, had in hand: open asks fail, a lost message is a dead letter."""
        if self.in_hand is None and self._deferred is None and self.own is None:
            return  # as most actors end: between two messages
        if self.cell.cancelling is None and exit.error is None:
            self.pass_by()
        open_slots = list(self._deferred or ())
        if exit.is_abnormal:
            self._lose()
        if self.asked is not None:
            open_slots.append(self.asked)
        self._deferred = self.in_hand = self.asked = None
        if self.own is not None:
            self.own.end()
        for slot in open_slots:
            if exit.is_abnormal:
                slot.fail(ActorDiedError(self.path, reason=exit.reason, cause=as_fact(exit.error)))
            else:
                slot.fail(ActorStoppedError(self.path, exit.reason))

    def _lose(self) -> None:
        """Have the message in hand delivered again, or make a dead letter of it, if it was not answered (S62).

        An ask is never delivered again: it has failed, and whoever asked knows, and may ask again.
        """
        reason = "crashed_in_hand"
        if isinstance(self.in_hand, tuple):
            mailbox = self.source or self.cell.address.mailbox
            if mailbox.give_back(self.in_hand):
                return
            message = self.in_hand[0]
            if mailbox.redeliver:
                reason = "parked"
        elif self.in_hand is not None and self.asked is not None and not self.asked.is_answered:
            message = self.in_hand.message
        else:
            return
        self.runtime.dead_letters.add(self.path, message, reason, cause=self.cell.event)


@attrs.define(eq=False)
class MessageIterator(Generic[MessageT]):
    """An actor's messages. The next pull, or the actor's return, acknowledges the message in hand.

    They end after the message in hand when the actor is stopped; until then control comes before work.
    """

    _context: ActorContext
    _cell: Cell
    _mailbox: Mailbox
    _free: int = attrs.field(default=0, init=False, repr=False)
    """How many more receives in a row need be no full checkpoints."""

    def __aiter__(self) -> MessageIterator[MessageT]:
        return self

    @enable_ki_protection
    async def __anext__(self) -> MessageT:
        """Wait for the next message. A cancel loses nothing: the pop comes after the wake-up, without a wait between.

        Raises:
            StopAsyncIteration: The actor was asked to stop.
            RuntimeError: Another task than the actor's own pulls.
        """
        context, cell, mailbox = self._context, self._cell, self._mailbox
        task = current_task()
        if self._free and task is cell.task and not is_cancelled(task):
            self._free -= 1
        else:
            await self._begin_row(task)
        if context.asked is not None:
            context.pass_by()
        context.in_hand = None
        message: MessageT
        while True:
            if context.own is not None:
                message = await context.own.receive()
                return message
            if cell.exit is not None:
                raise StopAsyncIteration  # it was given up; the mailbox is another incarnation's
            if mailbox.stopping is not None:
                raise StopAsyncIteration
            if mailbox.control:
                message = mailbox.control.popleft()
                return message
            if not mailbox.work:
                await mailbox.wait()
                self._free = FREE_IN_A_ROW
                continue
            item = mailbox.work.popleft()
            if mailbox.senders:
                mailbox.admit()
            if isinstance(item, tuple):  # a tell: the path of nearly every message, so without a call
                context.in_hand = item
                message, cause = item
                cell.event = cell.origin if cause is None else cause
                return message
            if not item.slot.is_withdrawn:
                message = context.take_in_hand(item)
                return message

    async def _begin_row(self, task: Task) -> None:
        """Be a full checkpoint, after what the first pull means; only for the actor's own task."""
        cell = self._cell
        if cell.exit is None:
            if task is not cell.task:
                message = f"only the task of {cell.path} itself may pull its messages"
                raise RuntimeError(message)
            self._context.pass_by()
            cell.tell_started()
            self._free = FREE_IN_A_ROW
            mailbox = self._mailbox
            if not (mailbox.work or mailbox.control or mailbox.stopping or is_cancelled(task)):
                return  # the wait for the first message will be the checkpoint
        await checkpoint()
