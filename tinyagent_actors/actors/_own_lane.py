"""OwnLane: what an actor sends to itself. Timers, results of its background tasks, its receive timeout, and its stash.

The design. None of this goes through the mailbox. The actor's own pull looks here, after control and before work; a timer is
due or not when the actor looks, and whoever parks for a message parks no longer than to the next due. So a timer needs
no task and no queue. It waits for no room and takes none from senders, a full mailbox does not lose it, and a periodic
message that lies unread cannot pile up, because it is no message before it is read. The lane belongs to the context of
one incarnation and ends with it: what an old one set can never fire into the next (S65). It is made when one of these things
is used first; an actor that uses none has none, and its pull asks one question.

Order. Among themselves: results of background tasks as they came, then timers as they were due. Against work: in turns, one of
these and one of work, as long as both lie there, so that neither a fast timer nor a long backlog starves the other.

The stash. What is put aside stays an item as it came, an ask with its reply slot, which its asker may leave meanwhile. Unstashed,
it lies before the queue, in the order in which it was put aside, and above the bound of the mailbox if that is full: no sender
gets in before it. At the end of the incarnation, however that comes, it goes back to the mailbox in the same way: the next
one reads it, or it is a dead letter (S62).

The races. *Set by another task of the actor while it is parked*: the reader is woken, and parks again for the right time.
*Due in the tick in which a message comes*: the wake-up takes nothing out; all is looked at again, in order.

Refused: a task per timer, or one heap and one task per system (messages that must be taken out of mailboxes again, which
have to be bounded, and one more hop between due and read); a mailbox lane for timers (as that).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import trio

from tinyagent_actors._errors import StashFullError
from tinyagent_actors.actors._reply_slot import Envelope, Item
from tinyagent_actors.actors._timer import Timers

if TYPE_CHECKING:
    from tinyagent_actors.actors._background import Background
    from tinyagent_actors.actors._exit import CancelCause
    from tinyagent_actors.actors._mailbox import Mailbox
    from tinyagent_actors.actors._own_context import OwnContext


@attrs.frozen
class ReceiveTimeout:
    """Comes out of `ctx.messages()` when nothing else has for `ctx.receive_timeout` seconds."""

    seconds: float


@attrs.define(eq=False)
class OwnLane:
    """The own lane of one incarnation."""

    _context: OwnContext = attrs.field(repr=False)
    timers: Timers = attrs.field(factory=Timers, init=False)
    results: deque[tuple[Callable[[], Any], int | None]] = attrs.field(factory=deque, init=False, repr=False)
    """What gives each result of a background task as a message, and the `seq` that led to it."""
    background: Background | None = attrs.field(default=None, init=False, repr=False)
    receive_timeout: float | None = attrs.field(default=None, init=False)
    """Seconds."""
    stash: deque[Item] = attrs.field(factory=deque, init=False, repr=False)
    _had_turn: bool = attrs.field(default=False, init=False, repr=False)
    """Whether the latest message was one of these, so that it is the turn of work."""
    _idle_due: float = attrs.field(default=math.inf, init=False, repr=False)
    """When the present pull has lasted too long without a message."""

    @property
    def _mailbox(self) -> Mailbox:
        return self._context.cell.address.mailbox

    async def receive(self) -> Any:
        """Wait for the next message of all lanes; as the plain pull of `MessageIterator`, for an actor that has this lane.

        Raises:
            StopAsyncIteration: The actor was asked to stop.
        """
        context, cell, mailbox = self._context, self._context.cell, self._mailbox
        self.begin_pull()
        while True:
            if cell.exit is not None or mailbox.stopping is not None:
                raise StopAsyncIteration
            if mailbox.control:
                return mailbox.control.popleft()
            if self.is_next(has_work=bool(mailbox.work)):
                return self.take_own()
            item = mailbox.take_work()
            if item is not None:
                if isinstance(item, tuple) or not item.slot.is_withdrawn:
                    return context.take(item)
            elif self.is_silent():
                return ReceiveTimeout(self.receive_timeout or 0.0)
            else:
                await self.wait(mailbox.wait)

    def begin_pull(self) -> None:
        """Begin to count the seconds of silence when nothing is found."""
        self._idle_due = math.inf

    def is_next(self, *, has_work: bool) -> bool:
        """Whether one of these comes next; in turns with work, if there is some."""
        self._had_turn = not (self._had_turn and has_work) and self._has_own(trio.current_time())
        return self._had_turn

    def is_silent(self) -> bool:
        """Whether nothing has come for as long as the receive timeout says; the first time in a pull, the seconds begin."""
        now = trio.current_time()
        if self.receive_timeout is None:
            self._idle_due = math.inf
        else:
            self._idle_due = min(self._idle_due, now + self.receive_timeout)
        return now >= self._idle_due

    async def wait(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Park by `wait`, and no longer than to the next of these that is due."""
        due = min(self._idle_due, self.timers.next_due())
        if due == math.inf:
            await wait()
        else:
            with trio.CancelScope(deadline=due):
                await wait()

    def _has_own(self, now: float) -> bool:
        return bool(self.results) or self.timers.next_due() <= now

    def take_own(self) -> Any:
        """Take out the one that comes next, after `is_next`."""
        cell, now = self._context.cell, trio.current_time()
        if self.results:
            make, cell.event = self.results.popleft()
            return make()
        timer = self.timers.take_due(now)
        assert timer is not None, "asked only where one is due"
        cell.event = timer.cause
        message = timer.fire(now)
        self.timers.put_back(timer)
        return message

    def wake(self) -> None:
        """Have the actor look again, if it is parked: there is something, or something to wait for."""
        self._mailbox.wake()

    def put_aside(self, item: Item) -> None:
        """Put a message into the stash.

        Raises:
            StashFullError: It holds as many as the mailbox may.
        """
        if len(self.stash) >= self._mailbox.capacity:
            kept = [item for item in self.stash if not (isinstance(item, Envelope) and item.slot.is_withdrawn)]
            if len(kept) >= self._mailbox.capacity:
                raise StashFullError(self._context.cell.path, self._mailbox.capacity)
            self.stash = deque(kept)
        self.stash.append(item)

    def put_back(self) -> None:
        """Put what was stashed before the queue, in order."""
        self._mailbox.put_first(self.stash)
        self.stash.clear()

    def cancel(self, cause: CancelCause) -> None:
        """Cancel the background tasks."""
        if self.background is not None:
            self.background.cancel(cause)

    def end(self) -> None:
        """Let go of everything; what was stashed goes back to the mailbox."""
        self.timers.clear()
        self.results.clear()
        self.put_back()
