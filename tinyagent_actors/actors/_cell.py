"""Cell: one incarnation of an actor, and the boundary where its end becomes a value.

The boundary. The body runs in a cancel scope of its own; its exception is caught *outside* that scope (inside, a group of
`Cancelled` and something else would leave the scope and kill the supervisor's nursery). What is `Cancelled` passes on, if
somebody around it is cancelled; every other leaf becomes the `Exit`. `KeyboardInterrupt` and `SystemExit` besides stop the whole system in order. The
end is told exactly once, synchronously, in a `finally`, so that it is told under cancellation as well. Ctrl-C reaches the
body, but not the boundary around it: an end that was seen and not told would be waited for without end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
import trio

from tinyagent_actors._errors import RestartIntensityExceededError, StartFailedError
from tinyagent_actors.actors._cancelled import is_cancelled, split_cancelled
from tinyagent_actors.actors._exit import CancelCause, Exit, ExitReason, Ignore, as_fact
from tinyagent_actors.actors._runtime import Runtime, current_place
from tinyagent_actors.actors._wait_set import WaitSet
from tinyagent_actors.events import (
    ActorCrashedEvent,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    Event,
)

if TYPE_CHECKING:
    from tinyagent_actors.actors._address import Address, OwnChildren
    from tinyagent_actors.actors._clock import Clock
    from tinyagent_actors.actors._context import ActorContext
    from tinyagent_actors.actors._link import Links
    from tinyagent_actors.actors._monitor import Monitor
    from tinyagent_actors.actors._ref import ActorRef

_UNKNOWN: Final = CancelCause("an outer scope", "cancelled from outside", "outer")


class Tie(Protocol):
    """Something that knows incarnations by their names, or as its members, and forgets each at its end."""

    def forget(self, cell: Cell) -> None:
        """Hear that an incarnation has ended, before anybody else does. Must not raise."""


Body = Callable[["ActorContext"], Awaitable[object]]


@attrs.define(eq=False)
class Cell:
    """One incarnation: its scope, its end, and who wants to hear of it. Also the *place* its tasks find themselves at."""

    address: Address
    incarnation: int
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    event: int | None = attrs.field(default=None, init=False)
    """`seq` of the latest event about it: the cause of what it does next."""
    origin: int | None = attrs.field(default=None, init=False, repr=False)
    """`seq` of its start: the cause of what is done for a message from outside actors."""
    has_started: bool = attrs.field(default=False, init=False)
    value: Any = attrs.field(default=None, init=False, repr=False)
    """What `ctx.started` was given."""
    stopping: CancelCause | None = attrs.field(default=None, init=False)
    """Set when it was asked to stop."""
    cancelling: CancelCause | None = attrs.field(default=None, init=False)
    """Set before its scope is cancelled: who, why, through what. The first stays."""
    exit: Exit | None = attrs.field(default=None, init=False)
    leftover: int = attrs.field(default=0, init=False, repr=False)
    """Its entry among the leftovers, once it was given up; 0 for none."""
    task: trio.lowlevel.Task | None = attrs.field(default=None, init=False, repr=False)
    """Whose task may pull its messages: its own, until its end was told."""
    has_task: bool = attrs.field(default=False, init=False, repr=False)
    """Whether its task still runs, given up or not."""
    awaits_children: bool = attrs.field(default=False, init=False, repr=False)
    """Whether its body has ended, and it waits for what it has started below itself to end."""
    nursery: trio.Nursery | None = attrs.field(default=None, init=False, repr=False)
    """Where its task runs."""
    links: Links | None = attrs.field(default=None, init=False, repr=False)
    """Whom it is linked to, if it ever was."""
    _failure: StartFailedError | None = attrs.field(default=None, init=False, repr=False)
    _context: ActorContext | None = attrs.field(default=None, init=False, repr=False)
    _ties: dict[Tie, None] | None = attrs.field(default=None, init=False, repr=False)
    """Who knows it by a name or as a member, and is to forget it at its end."""
    _watched_by: dict[Monitor, None] | None = attrs.field(default=None, init=False, repr=False)
    _watches: dict[Monitor, None] | None = attrs.field(default=None, init=False, repr=False)
    _waiting: WaitSet | None = attrs.field(default=None, init=False, repr=False)
    _on_stopping: trio.Event | None = attrs.field(default=None, init=False, repr=False)

    @property
    def cell(self) -> Cell:
        """Itself: the actor at this place."""
        return self

    @property
    def runtime(self) -> Runtime:
        """The shared parts of its system."""
        return self.address.runtime

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self.address.path

    @property
    def ref(self) -> ActorRef:
        """A ref of this incarnation, which was spawned."""
        assert self._context is not None, "it was spawned"
        return self._context.ref

    @property
    def asker_clock(self) -> Clock | None:
        """The clock of whoever waits for the answer to the message in hand: who is asked in turn waits on that account."""
        in_hand = None if self._context is None else self._context.in_hand
        return None if in_hand is None or isinstance(in_hand, tuple) else in_hand.slot.clock

    def is_below(self, top: str) -> bool:
        """Whether it stands at the path `top` or below."""
        return self.path == top or self.path.startswith(top.rstrip("/") + "/")

    def publish(self, kind: type[Event], **fields: Any) -> int:
        """Publish an event about this actor; it becomes the cause of what follows."""
        fields["cause"] = self.event
        self.event = event = self.address.runtime.bus.publish_fields(kind, self.address.path, fields)
        return event

    def spawn(self, nursery: trio.Nursery, body: Body, context: ActorContext) -> None:
        """Start the task of this incarnation, in a fresh context, as the supervisor's own task."""
        self._context = context
        self.nursery = nursery
        self.has_task = True
        Context().run(partial(nursery.start_soon, self._run, body, context, name=self.address.path))

    @trio.lowlevel.enable_ki_protection
    async def _run(self, body: Body, context: ActorContext) -> None:
        current_place.set(self)
        task = self.task = trio.lowlevel.current_task()
        error: BaseException | None = None
        try:
            with self.scope:
                await _run_unprotected(body, context)
        except GeneratorExit as raised:
            error = raised
            raise
        except BaseException as raised:  # noqa: BLE001  # the boundary: every end becomes an Exit
            cancelled, error = split_cancelled(raised)
            if cancelled is not None and not is_cancelled(task):
                cancelled, error = None, raised  # one that was kept and raised again: nobody here was cancelled
            if cancelled is not None:
                self.cancelling = self.cancelling or self.address.owner.cancelling or _outer_cause(cancelled)
                raise cancelled from None
        finally:
            children = self.address.children
            if (context.own is not None or children is not None) and not isinstance(error, GeneratorExit):
                error = await self._end_what_it_started(context, children, error)
            self.has_task = False
            if trio.lowlevel.in_trio_task():  # else it is a coroutine that is thrown away, and nobody is there to hear
                if self.leftover:
                    self.runtime.leftovers.remove(self.leftover)
                ended = self.exit_for(error)
                self.tell_end(
                    attrs.evolve(ended, abandoned=True) if children is not None and children.is_held else ended
                )
            self._context = None

    async def _end_what_it_started(
        self, context: ActorContext, children: OwnChildren | None, error: BaseException | None
    ) -> BaseException | None:
        """Have its background tasks, then its own children, end before its own end is told (S66); give what its end is now.

        The waits are shielded, because they are bounded: by the children's `shutdown` times, and by the owner, who cancels this
        actor, and its children with it, when its own time is over, and gives it up at last.
        """
        background = None if context.own is None else context.own.background
        if children is not None and children.failure is None and self._keeps_children(error):
            children = None
        if background is None and children is None:
            return error
        context.end(self.exit_for(error))  # whoever asked hears now, not when all that has ended
        if background is not None:
            await background.close()
        if children is None:
            return error
        children.stop(CancelCause(self.path, "their parent has ended", "shutdown"))
        if self.cancelling is not None:
            children.cancel(self.cancelling)
        self.awaits_children = True
        with trio.CancelScope(shield=True):
            await children.wait_ended()
        if self.address.children is children:
            self.address.children = None
        return error or children.failure

    def _keeps_children(self, error: BaseException | None) -> bool:
        is_crash = error is not None and self.stopping is None and self.cancelling is None
        return self.address.keeps_children and is_crash and self.has_started

    def exit_for(self, error: BaseException | None) -> Exit:
        """Give the exit of a body that raised `error`, or returned, or was cancelled."""
        if isinstance(error, Ignore) and not self.has_started:
            return Exit("normal", error, started=False)
        if isinstance(error, RestartIntensityExceededError):
            return Exit("shutdown", error, None, self.has_started)
        if error is not None:
            cause = self.cancelling or self.stopping or self.address.owner.cancelling
            return Exit("error", error, cause, self.has_started)
        if self.cancelling is not None:
            reason: ExitReason = "shutdown" if self._ends_in_order(self.cancelling) else "killed"
            return Exit(reason, self._start_failure(), self.cancelling, self.has_started)
        if self.stopping is not None:
            return Exit("shutdown", None, self.stopping, self.has_started)
        return Exit("normal")

    def _ends_in_order(self, cancelling: CancelCause) -> bool:
        """Whether it is cancelled because it was stopped, or because one that it is linked to was."""
        if cancelling.source != "link" or self.links is None or self.links.fatal is None:
            return cancelling.source == "stop"
        return self.links.fatal.reason == "shutdown" and not self.links.fatal.is_abnormal

    def _start_failure(self) -> StartFailedError | None:
        return None if self.has_started else self._failure or StartFailedError(self.path)

    @trio.lowlevel.enable_ki_protection
    def tell_started(self, value: object = None) -> None:
        """Say that it has started; a second time, or while it is being cancelled, changes nothing."""
        if self.has_started or self.exit is not None or self.cancelling is not None:
            return
        self.has_started = True
        self.value = value
        kind = ActorStartedEvent if self.incarnation == 1 else ActorRestartedEvent
        self.origin = self.publish(kind, incarnation=self.incarnation)
        self.address.owner.child_started(self)

    @trio.lowlevel.enable_ki_protection
    def tell_end(self, exit: Exit) -> None:  # noqa: A002  # the field term
        """Tell everybody how it ended: the asker in hand, the events, the monitors, those who wait, the owner. Once."""
        if self.exit is not None:
            return
        if exit.reason == "normal" and exit.started:
            self.tell_started()
        is_abnormal = exit.is_abnormal
        if is_abnormal and self._context is not None and self._context.deliveries > 1:
            exit = attrs.evolve(exit, deliveries=self._context.deliveries)  # noqa: A001  # the field term
        self.exit = exit
        self.task = self.nursery = None
        for tie in self._ties or ():
            tie.forget(self)
        self._publish_end(exit, is_abnormal=is_abnormal)
        if self._context is not None:
            self._context.end(exit)
        if self._watches or self._watched_by:
            self._end_monitors(exit)
        if self.links is not None:
            self.links.end(self.ref, exit)
        if self._waiting is not None:
            self._waiting.wake_all()
        if exit.error is not None and exit.fatal is not None:
            self.runtime.fail_fatally(exit.fatal)
        self.address.owner.child_exited(self)

    def _end_monitors(self, exit: Exit) -> None:  # noqa: A002  # the field term
        for monitor in tuple(self._watches or ()):
            monitor.demonitor()
        for monitor in tuple(self._watched_by or ()):
            monitor.fire(exit)
        self._watches = self._watched_by = None

    def _publish_end(self, exit: Exit, *, is_abnormal: bool) -> None:  # noqa: A002  # the field term
        cause = exit.cause
        reason: str = exit.reason
        if not exit.started:
            reason = "ignored" if exit.is_ignored else "start_failed" if is_abnormal else reason
        self.publish(
            ActorCrashedEvent if is_abnormal else ActorStoppedEvent,
            incarnation=self.incarnation,
            reason=reason,
            error=as_fact(exit.error),
            by=cause and cause.by,
            why=cause and cause.why,
            source=cause and cause.source,
        )

    def request_stop(self, cause: CancelCause, *, is_final: bool = True) -> None:
        """Ask it to end after the message in hand. The first cause stays.

        Args:
            cause: Who, why, through what.
            is_final: Whether no other incarnation will come.
        """
        if self.stopping is None:
            self.stopping = cause
            self.address.mailbox.request_stop(cause, is_final=is_final)
            if self._on_stopping is not None:
                self._on_stopping.set()

    def cancel(self, cause: CancelCause, failure: StartFailedError | None = None) -> None:
        """Cancel it. The record is set first, so that the boundary can say by whom; the first cause stays.

        Args:
            cause: Who, why, through what.
            failure: What its start has failed with, if it has not started.
        """
        if self.cancelling is None and self.exit is None:
            self.cancelling = cause
            self._failure = failure
        self.scope.cancel(reason=f"{cause.source} by {cause.by}")
        if self.exit is None and self.address.children is not None:
            self.address.children.cancel(cause)
        if self._context is not None and self._context.own is not None:
            self._context.own.cancel(cause)

    def abandon(self, name: str | None) -> None:
        """Give it up: it was cancelled and does not end. Its end is told, though its task still runs.

        Args:
            name: What stands for it among the leftovers; None if what holds it stands there already.
        """
        if self.exit is not None:
            return
        if name is not None:
            self.leftover = self.runtime.leftovers.add("tasks", name)
        self.runtime.wait_graph.forget(self.path)
        cause = self.cancelling or self.address.owner.cancelling or _UNKNOWN
        self.tell_end(Exit("killed", self._start_failure(), cause, self.has_started, abandoned=True))

    async def wait_stopping(self) -> None:
        """Wait until it is asked to stop."""
        if self._on_stopping is None:
            self._on_stopping = trio.Event()
            if self.stopping is not None:
                self._on_stopping.set()
        await self._on_stopping.wait()

    async def wait_ended(self) -> Exit:
        """Wait for the end of this incarnation, its cleanup included. Cancelling it leaves nothing behind."""
        if self.exit is not None:
            await trio.lowlevel.checkpoint()
        while self.exit is None:
            if self._waiting is None:
                self._waiting = WaitSet()
            await self._waiting.wait()
        return self.exit

    def tie(self, tie: Tie) -> None:
        """Have this incarnation forgotten there at its end."""
        if self._ties is None:
            self._ties = {}
        self._ties[tie] = None

    def watches(self, monitor: Monitor) -> None:
        """Remember a monitor that this incarnation has set: it ends with it."""
        if self._watches is None:
            self._watches = {}
        self._watches[monitor] = None

    def watches_no_more(self, monitor: Monitor) -> None:
        """Forget a monitor that this incarnation had set."""
        if self._watches is not None:
            self._watches.pop(monitor, None)

    def watched_by(self, monitor: Monitor) -> None:
        """Remember a monitor that waits for the end of this incarnation."""
        if self._watched_by is None:
            self._watched_by = {}
        self._watched_by[monitor] = None

    def watched_no_more(self, monitor: Monitor) -> None:
        """Forget a monitor that waited for the end of this incarnation."""
        if self._watched_by is not None:
            self._watched_by.pop(monitor, None)


@trio.lowlevel.disable_ki_protection
async def _run_unprotected(body: Body, context: ActorContext) -> None:
    await body(context)


def cell_of_frame(frame: FrameType) -> Cell | None:
    """Give the actor whose body is run by that frame of a stack; None if it runs something else."""
    return frame.f_locals["context"].cell if frame.f_code is _run_unprotected.__code__ else None


def _outer_cause(cancelled: BaseException) -> CancelCause:
    """Give what Trio knows of a cancel that nobody of ours ordered; its own reason text may hold anything, so not that."""
    while isinstance(cancelled, BaseExceptionGroup):
        cancelled = cancelled.exceptions[0]
    source = getattr(cancelled, "source", "unknown")
    return CancelCause(_UNKNOWN.by, f"{_UNKNOWN.why} ({source})", _UNKNOWN.source)
