"""OwnContext: what an actor sends to itself, or puts aside for itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from trio import current_time
from trio.lowlevel import enable_ki_protection

from tinyagent_actors.actors._background import Background, PipedFailure, PipedValue, ResultT
from tinyagent_actors.actors._known_context import KnownContext
from tinyagent_actors.actors._link import links_of
from tinyagent_actors.actors._mailbox import Mailbox
from tinyagent_actors.actors._own_lane import OwnLane
from tinyagent_actors.actors._reply_slot import Envelope, Item, ReplySlot
from tinyagent_actors.actors._runtime import find_place
from tinyagent_actors.actors._seconds import check_seconds
from tinyagent_actors.actors._timer import Timer
from tinyagent_actors.actors._types import MessageT, ReplyT


@attrs.define(eq=False)
class OwnContext(KnownContext[MessageT, ReplyT]):
    """The part of an actor's context that deals with timers, silence, background tasks and the stash. All end with its incarnation."""

    in_hand: Item | None = attrs.field(default=None, init=False, repr=False)
    """The message that was pulled last as it came, until the next pull."""
    asked: ReplySlot | None = attrs.field(default=None, init=False, repr=False)
    """Where the answer to it goes, if it was asked and not deferred."""
    source: Mailbox | None = attrs.field(default=None, init=False, repr=False)
    """Where the message in hand came from, if not from the actor's own mailbox."""
    own: OwnLane | None = attrs.field(default=None, init=False, repr=False)
    """What the actor sends to itself, once it does."""

    @property
    def trap_exits(self) -> bool:
        """Whether the end of a linked actor comes as a `LinkExit`, before work, and does not end this one. Set it: ``ctx.trap_exits = True``."""
        return self.cell.links is not None and self.cell.links.traps_exits

    @trap_exits.setter
    def trap_exits(self, value: bool) -> None:
        links_of(self.cell).traps_exits = value

    @property
    def receive_timeout(self) -> float | None:
        """After how many seconds without a message a `ReceiveTimeout` comes out of `messages()`; None (the default): never.

        The seconds count from the pull that finds nothing, as Erlang's ``after``; after a `ReceiveTimeout` they count anew.
        """
        return None if self.own is None else self.own.receive_timeout

    @receive_timeout.setter
    def receive_timeout(self, value: float | None) -> None:
        if value is not None:
            check_seconds("receive_timeout", value)
        lane = self._own_lane()
        lane.receive_timeout = value
        lane.wake()

    @enable_ki_protection
    def send_after(self, seconds: float, message: object) -> Timer:
        """Send oneself a message in `seconds`. Works from any task of the actor; does not wait.

        The message comes out of `messages()` at the first pull at which it is due, after control, and in turns with
        work. It never lies in the mailbox: no bound of the mailbox holds it back or drops it. Ends with the
        incarnation: what one has set never comes to the next (S65). A crash with it in hand makes no dead letter.

        Args:
            seconds: From now, on Trio's clock.
            message: Comes as it is.

        Raises:
            SpecError: `seconds` is no number of seconds.
            RuntimeError: This incarnation has ended.
        """
        return self._set_timer(seconds, message, repeats=False)

    @enable_ki_protection
    def send_every(self, seconds: float, message: object) -> Timer:
        """Send oneself a message again and again, each `seconds`, first in `seconds`; as `send_after`.

        The times are fixed: a late pull does not move those that follow. A message that is due while the one before it
        is still unread is left out (`Timer.missed` counts them): there is never more than one.

        Raises:
            SpecError: `seconds` is no number of seconds, or 0, or ``inf``.
            RuntimeError: This incarnation has ended.
        """
        return self._set_timer(seconds, message, repeats=True)

    def _set_timer(self, seconds: float, message: object, *, repeats: bool) -> Timer:
        lane = self._own_lane()
        timer = lane.timers.add(current_time(), seconds, message, self._event_here(), repeats=repeats)
        lane.wake()
        return timer

    def _event_here(self) -> int | None:
        place = find_place()
        return self.cell.event if place is None else place.event

    @enable_ki_protection
    def pipe_to_self(
        self,
        async_fn: Callable[..., Awaitable[ResultT]],
        *args: object,
        on_done: Callable[[PipedValue[ResultT] | PipedFailure], Any] | None = None,
    ) -> None:
        """Run a function beside the handling of messages; its result comes out of `messages()`. Does not wait.

        The result is a `PipedValue`, or a `PipedFailure` if the function raised, which touches nobody else. It
        comes as a timer's message does: after control, in turns with work, and never through the mailbox. The task ends with
        this incarnation, which waits until it is gone; then no result comes. How many there are at once is the actor's own affair. What it asks makes the actor wait
        for nobody: no circle closes through it.

        Args:
            async_fn: What to run, in the actor's context.
            args: Its arguments.
            on_done: Called in the actor's own task with the result, when it is read: what it gives is the message in the
                result's place.

        Raises:
            RuntimeError: This incarnation has ended, or is ending.
        """
        lane = self._own_lane()
        if lane.background is None:
            lane.background = Background(self.cell, lane)
        lane.background.start(async_fn, args, on_done)

    @enable_ki_protection
    def stash(self) -> None:
        """Put the message in hand aside, an ask with its reply slot, until `unstash_all()`.

        At the end of this incarnation, however it comes, what is stashed goes back to the mailbox, in order, before the queue.

        Raises:
            RuntimeError: There is no message in hand, it is none that came through the mailbox as work (but control, or this
                actor's own), or it was answered or deferred.
            StashFullError: As many as the mailbox may hold are stashed.
        """
        lane, item = self._own_lane(), self.in_hand
        if item is None or (not isinstance(item, tuple) and (self.asked is None or self.asked.is_answered)):
            message = "there is no message of work in hand, unanswered, that could be stashed"
            raise RuntimeError(message)
        lane.put_aside(item)
        self.in_hand = self.asked = None

    @enable_ki_protection
    def unstash_all(self) -> None:
        """Put what was stashed before the queue, in the order in which it was stashed; it is read next."""
        if self.own is not None and self.cell.exit is None:
            self.own.put_back()

    def _own_lane(self) -> OwnLane:
        """Give the own lane; made now, if there is none yet.

        Raises:
            RuntimeError: This incarnation has ended.
        """
        if self.cell.exit is not None:
            message = f"this incarnation of {self.cell.path} has ended"
            raise RuntimeError(message)
        if self.own is None:
            self.own = OwnLane(self)
        return self.own

    def take(self, item: Item) -> Any:
        """Hold a message of work from now on; give what was said."""
        if not isinstance(item, tuple):
            return self.take_in_hand(item)
        self.in_hand = item
        message, cause = item
        self.cell.event = self.cell.origin if cause is None else cause
        return message

    def take_in_hand(self, envelope: Envelope) -> Any:
        """Hold an ask from now on; give what was asked."""
        self.in_hand = envelope
        self.asked = envelope.slot
        self.cell.event = self.cell.origin if envelope.cause is None else envelope.cause
        return envelope.message
