"""The mailbox: two lanes, bounded, owned by one reader.

The design. Control (a stop, a `Down`, what steers) is read before work, always, and is not bounded by the work's
capacity; work is bounded, and what happens at the bound is the policy's. A message is a queue append and, if the reader
is parked, one `reschedule`: no task switch, no lock, no memory channel inside (a channel's `send` costs a reschedule per
message, ten times what this costs). A sender that finds the box full parks with its message; when the reader takes
one out, the first parked sender's message moves in and that sender wakes. So order is kept for each sender, and no
sender that comes later overtakes one that waits.

The races. *Cancel of a parked sender*: its message is still with it, not in the queue; the abort takes both out, so a
cancelled `tell` was not sent. *Cancel of the reader between wake-up and return*: the pop is synchronous, after the
wake-up, so nothing is lost in between. *Close while senders are parked*: they wake, their messages are dead letters. *Reader and
sender in one tick*: each sees the other's finished step, because neither waits inside.

Fairness. A tell with room never switches tasks, so a loop of them would starve everybody: a `Pacer` makes a task's 64th
tell in a row a full checkpoint, and the iterator the 64th receive in a row. Between those each tell and each receive still
is a cancellation point, by a plain question (`_cancelled`) in place of the coroutine that Trio has for it.

Redelivery. A message in hand at a crash can be given back (`redeliver`). It goes to the head of the lane, over the bound if need
be: it had its room, and whoever has come in since keeps his. It is marked by its type, a pair like every told message, so that the
reader's path does not ask. What has been delivered once more than `redeliver` is a dead letter, `parked`. An ask does not come
again: it has failed, its asker knows, and may have asked somebody else.

Priorities. A lane that orders by priority (`PriorityLane`) may stand in the place of the plain one. It has the same methods, so
the default pays nothing for it, and the same bound and policies: `drop_oldest` drops what is least urgent, the oldest of that,
be it the newcomer. Senders that wait for room come in in the order they came, urgent or not: a message has a priority in
the mailbox, not before it.

Refused: a wrapper around a memory channel (cost; no second lane; no removal of a withdrawn ask), one queue with
priorities (control would be bounded with the work), an unbounded default (memory), `asyncio.Queue`-like `task_done`
(one forgotten call hangs everything).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import ActorStoppedError, MailboxFullError
from tinyagent_actors.actors._priority_lane import PriorityLane
from tinyagent_actors.actors._reply_slot import Envelope, Item

if TYPE_CHECKING:
    from tinyagent_actors.actors._dead_letters import DeadLetters
    from tinyagent_actors.actors._exit import CancelCause
    from tinyagent_actors.actors._hold import Hold

OverflowPolicy: TypeAlias = Literal["block", "reject", "drop_oldest", "drop_newest"]
FREE_IN_A_ROW: Final = 63
"""Tells, and receives, in a row that are not full checkpoints."""
DEFAULT_CAPACITY: Final = 64


@attrs.define(eq=False)
class Pacer:
    """Counts the tells made in a row from one place (an actor, or outside of actors); shared by a system's mailboxes.

    `ActorRef.tell` counts by itself as long as `place` is its own, some are `free` and it is not cancelled: that is the
    path of nearly every tell.
    """

    place: object = attrs.field(default=None, init=False, repr=False)
    """Where the latest tell came from."""
    free: int = attrs.field(default=0, init=False)
    """How many more from there, in a row, need be no full checkpoints."""

    async def pace(self, place: object) -> None:
        """Be the checkpoint of a tell from another place than the one before (not a full one), or of the 64th in a row, or a cancelled one."""
        if place is self.place:
            self.free = FREE_IN_A_ROW
            await trio.lowlevel.checkpoint()
        else:
            self.place = place
            self.free = FREE_IN_A_ROW - 1
            await trio.lowlevel.checkpoint_if_cancelled()


@attrs.frozen
class MailboxStatistics:
    """What a mailbox holds and has seen."""

    depth: int
    """Messages of the work lane that lie unread."""
    control: int
    """Messages of the control lane that lie unread."""
    peak: int
    """The most work messages that ever lay unread."""
    waiting: int
    """Senders that wait for room."""
    dropped: int
    """Messages that the policy dropped or refused."""
    capacity: int


class Returned(tuple[Any, "int | None"]):  # noqa: SLOT001  # a kind of tuple can have no slots of its own
    """A told message that was in hand at a crash and is delivered again. To a reader it is what it was."""

    delivery: int
    """Which delivery of it comes next, counted from 1."""


@attrs.define(eq=False)
class Mailbox:
    """The mailbox of one child. It outlives restarts; `close` is for when the child is finally gone."""

    path: str
    _dead_letters: DeadLetters = attrs.field(repr=False)
    pacer: Pacer = attrs.field(repr=False)
    capacity: int = DEFAULT_CAPACITY
    policy: OverflowPolicy = "block"
    redeliver: int = 0
    """How many times more a told message is delivered that was in hand at a crash."""
    work: deque[Item] | PriorityLane = attrs.field(factory=deque, init=False, repr=False)
    """The work lane; who takes out of it lets a waiting sender's message in (`admit`)."""
    control: deque[Any] = attrs.field(factory=deque, init=False, repr=False)
    """The control lane; only its reader takes out of it."""
    senders: OrderedDict[trio.lowlevel.Task, Item] = attrs.field(factory=OrderedDict, init=False, repr=False)
    """Those who wait for room. There are some only while the work lane is full."""
    reader: trio.lowlevel.Task | None = attrs.field(default=None, init=False, repr=False)
    """Who waits for a message."""
    peak: int = attrs.field(default=0, init=False, repr=False)
    """The most work that ever lay unread."""
    _dropped: int = attrs.field(default=0, init=False, repr=False)
    stopping: CancelCause | None = attrs.field(default=None, init=False, repr=False)
    """Set when the reader is to end after the message in hand; by whom and why."""
    is_closed: bool = attrs.field(default=False, init=False)
    takes_work: bool = attrs.field(default=True, init=False, repr=False)
    """Whether it is neither closed nor stopping."""
    hold: Hold | None = attrs.field(default=None, init=False, repr=False)
    """Set while its reader stands still, and those whose asks lie here with it."""

    def offer(self, item: Item) -> bool:
        """Queue a message if there is room (or the policy makes some); False if the sender has to wait.

        Raises:
            MailboxFullError: The policy is `reject`.
        """
        if not self.takes_work:
            self._bury(item, "stopped")
        elif (depth := len(self.work)) < self.capacity:
            self.work.append(item)
            if depth >= self.peak:
                self.peak = depth + 1
            if self.reader is not None:
                self.wake()
        elif self.policy == "block":
            return False
        else:
            self._overflow(item)
        return True

    def _overflow(self, item: Item) -> None:
        self._dropped += 1
        if self.policy == "drop_oldest":
            self.work.append(item)
            self._bury(self.work.popleft() if isinstance(self.work, deque) else self.work.pop_to_drop(), "dropped")
        elif self.policy == "drop_newest":
            self._bury(item, "dropped")
        else:
            raise MailboxFullError(self.path, self.capacity)

    def offer_nowait(self, item: Item) -> None:
        """Queue a message, or raise.

        Raises:
            MailboxFullError: There is no room and the policy is `block` or `reject`.
        """
        if not self.offer(item):
            raise MailboxFullError(self.path, self.capacity)

    def offer_or_drop(self, item: Item) -> bool:
        """Queue a message; False if a message was dropped for want of room, this one or, where that is the policy, another."""
        before = self._dropped
        try:
            if not self.offer(item):
                self._dropped += 1
                self._bury(item, "dropped")
        except MailboxFullError:
            self._bury(item, "dropped")
        return self._dropped == before

    async def put(self, item: Item) -> None:
        """Wait for room and queue a message. Cancelling it: not sent."""
        task = trio.lowlevel.current_task()
        self.senders[task] = item

        def take_back(_raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            del self.senders[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(take_back)
        self.pacer.place = None

    def post(self, message: object) -> None:
        """Put a message on the control lane; never waits. To a closed mailbox: nothing."""
        if not self.is_closed:
            self.control.append(message)
            self.wake()

    def unpost(self, message: object) -> None:
        """Take a control message out if it still lies unread (a `Down` after `demonitor`)."""
        for place, unread in enumerate(self.control):
            if unread is message:
                del self.control[place]
                return

    def request_stop(self, cause: CancelCause, *, is_final: bool = True) -> None:
        """Make the reader end after the message in hand. The first cause stays.

        Args:
            cause: Who, and why.
            is_final: Whether no other incarnation will read; else work is taken all the same, for the next one.
        """
        if self.stopping is None:
            self.stopping = cause
            self.takes_work = not is_final
            self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        reader, self.reader = self.reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)

    def take_control(self) -> Any:
        """Take the next control message; None if there is none."""
        return self.control.popleft() if self.control else None

    def take_work(self) -> Item | None:
        """Take the next work message and let the first waiting sender's in; None if there is none."""
        if not self.work:
            return None
        item = self.work.popleft()
        if self.senders:
            self.admit()
        return item

    def admit(self) -> None:
        """Let the message of the sender that has waited longest in."""
        if len(self.work) < self.capacity:  # else the one taken out had come back over the bound
            task, item = self.senders.popitem(last=False)
            self.work.append(item)
            trio.lowlevel.reschedule(task)

    def give_back(self, item: tuple[Any, int | None]) -> bool:
        """Queue a told message that was in hand at a crash again, before all others; it had its room, so the bound does not count.

        Returns:
            Whether it comes again: not if it was delivered as often as it may be, or the mailbox is closed.
        """
        delivery = item.delivery if isinstance(item, Returned) else 1
        if delivery > self.redeliver or self.is_closed:
            return False
        again = Returned(item)
        again.delivery = delivery + 1
        self.work.appendleft(again)
        return True

    def put_first(self, items: Collection[Item]) -> None:
        """Queue messages that were read and put aside again, in their order and before all others; over the bound, if need be.

        In a mailbox that is closed they are dead letters, and asks fail.
        """
        for item in reversed(tuple(items)):
            if self.is_closed:
                self._bury(item, "stopped")
            else:
                self.work.appendleft(item)

    async def wait(self) -> None:
        """Park the reader until something comes; not if control lies unread. Cancelling it leaves nothing behind.

        Raises:
            RuntimeError: Another task is reading.
        """
        if self.control:
            return
        if self.reader is not None:
            message = f"two tasks read the mailbox of {self.path}"
            raise RuntimeError(message)
        self.reader = trio.lowlevel.current_task()

        def unpark(_raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self.reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(unpark)

    def withdraw(self, envelope: Envelope) -> bool:
        """Take an ask out that nobody waits for; whether it still lay unread."""
        try:
            self.work.remove(envelope)
        except ValueError:
            return False
        if self.senders:
            self.admit()
        return True

    def renew(self) -> None:
        """Make ready for the next incarnation: queued work stays; control, and a stop, were meant for the one that ended.

        One that was given up and still waits here wakes, and finds that its messages have ended.
        """
        self.stopping = None
        self.control.clear()
        if self.reader is not None:
            self.wake()

    def close(self) -> None:
        """Close for good: what lies unread, and what waits to come in, are dead letters; asks fail."""
        self.is_closed = True
        self.takes_work = False
        if self.work or self.senders:
            self.bury_all()
        self.control.clear()
        if self.reader is not None:
            self.wake()

    def bury_all(self) -> None:
        """Make dead letters of what lies unread and of what waits to come in; asks fail, nobody waits on."""
        while self.work:
            self._bury(self.work.popleft(), "stopped")
        while self.senders:
            task, item = self.senders.popitem(last=False)
            self._bury(item, "stopped")
            trio.lowlevel.reschedule(task)

    def _bury(self, item: Item, reason: str) -> None:
        if isinstance(item, Returned) and reason == "stopped":
            reason = "crashed_in_hand"  # no incarnation came any more for which it was kept
        if isinstance(item, Envelope):
            if reason == "dropped":
                item.slot.fail(MailboxFullError(self.path, self.capacity))
            else:
                item.slot.fail(ActorStoppedError(self.path))
            self._dead_letters.add(self.path, item.message, reason, cause=item.cause)
        else:
            self._dead_letters.add(self.path, item[0], reason, cause=item[1])

    def statistics(self) -> MailboxStatistics:
        """Give depths, peak, waiting senders and drops."""
        return MailboxStatistics(
            len(self.work), len(self.control), self.peak, len(self.senders), self._dropped, self.capacity
        )
