"""ActorContext: what an actor's function is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import trio

from tinyagent_actors._errors import ActorDiedError, ActorStoppedError, NotAnsweredError
from tinyagent_actors.actors._exit import as_fact
from tinyagent_actors.actors._ref import ActorRef
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._exit import CancelCause, Exit
    from tinyagent_actors.actors._runtime import Runtime


@attrs.define(eq=False)
class ActorContext:
    """One incarnation's own view of itself."""

    ref: ActorRef
    """The actor itself, this incarnation."""
    cell: Cell = attrs.field(repr=False)
    _in_hand: Envelope | None = attrs.field(default=None, init=False, repr=False)
    """The ask that was pulled last, until it is answered, deferred or passed by."""
    _deferred: set[ReplySlot] | None = attrs.field(default=None, init=False, repr=False)
    _was_told_to_stop: bool = attrs.field(default=False, init=False, repr=False)
    deadline: float = attrs.field(default=float("inf"), init=False)
    """When the asker of the message in hand stops waiting, on Trio's clock."""

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self.ref.path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.ref.path.rpartition("/")[2]

    @property
    def runtime(self) -> Runtime:
        """The shared parts of its system."""
        return self.cell.runtime

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

    def messages(self) -> MessageIterator:
        """Give the iterator over this actor's messages: control first, then work. It ends when the actor is stopped."""
        return MessageIterator(self)

    def reply(self, value: object) -> None:
        """Answer the ask in hand; of a message that was told, ignored. A second reply is a dead letter."""
        if self._in_hand is not None:
            self._in_hand.slot.reply(value)

    def defer_reply(self) -> ReplySlot:
        """Take the answer of the ask in hand upon oneself: answer it later, from any task.

        If this incarnation ends before, the asker gets `ActorDiedError`.

        Raises:
            RuntimeError: There is no ask in hand.
        """
        if self._in_hand is None:
            message = "there is no ask in hand whose reply could be deferred"
            raise RuntimeError(message)
        slot, self._in_hand = self._in_hand.slot, None
        if self._deferred is None:
            self._deferred = set()
        self._deferred = {open_slot for open_slot in self._deferred if not open_slot.is_answered}
        self._deferred.add(slot)
        return slot

    def take_reply(self) -> ReplySlot | None:
        """Take the answer of the message in hand upon oneself, as `defer_reply`; None if it was told."""
        return None if self._in_hand is None else self.defer_reply()

    async def next_control(self) -> Any:
        """Wait for the next control message, leaving work queued; for an actor that is busy. Cancelling it loses nothing.

        Returns:
            A `Down` or what else was posted; once, when the actor is asked to stop, the `CancelCause`.
        """
        mailbox = self.cell.address.mailbox
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            message = mailbox.take_control()
            if message is not None:
                return message
            if mailbox.stopping is not None and not self._was_told_to_stop:
                self._was_told_to_stop = True
                return mailbox.stopping
            await mailbox.wait()

    def pass_by(self) -> None:
        """Acknowledge the message in hand; an ask without an answer fails with `NotAnsweredError`."""
        envelope, self._in_hand = self._in_hand, None
        if envelope is not None:
            self.deadline = float("inf")
            if not envelope.slot.is_answered:
                envelope.slot.fail(NotAnsweredError(self.ref.path))

    def take_in_hand(self, envelope: Envelope) -> None:
        """Hold an ask until it is answered, deferred or passed by."""
        self._in_hand = envelope
        self.deadline = envelope.slot.deadline

    def end(self, exit: Exit) -> None:  # noqa: A002  # the field term
        """Settle the asks of this incarnation, which has ended: what is open fails."""
        if not exit.is_abnormal:
            self.pass_by()
        open_slots = list(self._deferred or ())
        self._deferred = None
        if self._in_hand is not None:
            open_slots.append(self._in_hand.slot)
            self._in_hand = None
        for slot in open_slots:
            if exit.is_abnormal:
                slot.fail(ActorDiedError(self.path, reason=exit.reason, cause=as_fact(exit.error)))
            else:
                slot.fail(ActorStoppedError(self.path, exit.reason))


@attrs.define(eq=False)
class MessageIterator:
    """An actor's messages. The next pull, or the actor's return, acknowledges the message in hand."""

    _context: ActorContext

    def __aiter__(self) -> MessageIterator:
        return self

    async def __anext__(self) -> Any:
        """Wait for the next message. A cancel loses nothing: the pop comes after the wake-up, without a wait between.

        Raises:
            StopAsyncIteration: The actor was asked to stop.
            RuntimeError: Another task than the actor's own pulls.
        """
        context = self._context
        cell = context.cell
        if context._in_hand is not None:  # noqa: SLF001  # the two are one thing in two classes
            context.pass_by()
        if not cell.has_started:
            cell.tell_started()
        mailbox = cell.address.mailbox
        await mailbox.pace()
        while True:
            message = mailbox.take_control()
            if message is not None:
                return message
            if mailbox.stopping is not None:
                raise StopAsyncIteration
            item = mailbox.take_work()
            if item is None:
                if trio.lowlevel.current_task() is not cell.task:
                    message = f"only the task of {cell.path} itself may pull its messages"
                    raise RuntimeError(message)
                await mailbox.wait()
            elif isinstance(item, tuple):
                message, cause = item
                if cause is not None:
                    cell.event = cause
                return message
            else:
                context.take_in_hand(item)
                if item.cause is not None:
                    cell.event = item.cause
                return item.message
