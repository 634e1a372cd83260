"""The supervisor: a state machine that hears of everything on one lane and never waits for a child.

The design. A supervisor is an actor whose body is the loop below. Children run in its nursery, each in a scope of its
own; their ends are values (`Exit`) that the boundary posts to the lane, with starts, orders and the ends it is told to make.
The loop takes one, changes its state, and goes on: there is no `await` on a child, a timer or a mailbox anywhere but the
one place where the lane is empty. So queries are answered from state at any time, also in the middle of a restart, and
no child, however it behaves, can hold its supervisor. A caller that waits (for `start_child`, say) waits on a one-shot
slot that the machine fills when the thing has happened.

What ends slowly. Each child has one timer. Asked to stop, it has its `shutdown` time; then it is cancelled and has
`CLEANUP_GRACE`; then it is given up: its exit is told as `killed` and `abandoned`, its task stands among the leftovers, and
the supervisor goes on without it. Its own nursery then cannot close, so a supervisor with such a child tells its own
end before it leaves the nursery.

The races. *Exit of an old incarnation after the new one started* and *a start that is told after a stop was ordered*: every
message carries its cell, and a cell that is not the child's present one is dropped. *Exits while stopping*: the state
`stopping` says that no restart follows (S35). *The caller of a start goes away*: its slot posts a `RollBack`.
*Orders while it starts* wait until the static children run; *orders while it stops* are refused with a typed error (S38).
*It is cancelled itself* (killed, or a fault of its own): its nursery ends its children, and whatever waited for it or for
them is told in `_let_go`. *It is given up itself*, because something below will not end: whoever does that calls
`abandon`, which tells the ends of all that still runs below; its own task, when it comes to its end after all,
finds that done and touches nothing of its successor's.

Refused: a task per child that awaits it (a second place where the end of a child is seen, and a race between the two); `nursery.start`
(it puts the child under the caller's cancel scope while it starts); restarting inside the child's own task (a stuck
child could not be replaced).
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from tinyagent_actors._errors import (
    AlreadyPresentError,
    AlreadyStartedError,
    ChildNotFoundError,
    ChildRunningError,
    NotAnsweredError,
    RestartIntensityExceededError,
    RestartPolicy,
    StartFailedError,
    SupervisorStoppingError,
)
from tinyagent_actors.actors import (
    ActorContext,
    Address,
    CancelCause,
    Cell,
    ChildSpec,
    Exit,
    Mailbox,
    ReplySlot,
    as_fact,
)
from tinyagent_actors.events import SubscriberFailedEvent, SupervisorGaveUpEvent
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner
from tinyagent_actors.supervision._decisions import RestartWindow, Strategy, is_restarted
from tinyagent_actors.supervision._orders import (
    DeleteChild,
    EndChild,
    Exited,
    Killed,
    Mutation,
    Order,
    RestartChild,
    RollBack,
    StartChild,
    Started,
    TerminateChild,
)


@attrs.frozen
class SupervisorOptions:
    """What `supervisor()` was given, checked."""

    strategy: Strategy
    max_restarts: int
    max_seconds: float
    children: tuple[ChildSpec, ...]


@attrs.define(eq=False)
class Supervisor:
    """The state of one incarnation of a supervisor."""

    _context: ActorContext
    _options: SupervisorOptions
    children: dict[str, Child] = attrs.field(factory=dict, init=False)
    """In the order they were added."""
    _runner: ChildRunner = attrs.field(init=False)
    _window: RestartWindow = attrs.field(init=False)
    _to_start: deque[Child] = attrs.field(factory=deque, init=False)
    """Static children that have still to start, one after the other."""
    _queued: deque[Mutation] = attrs.field(factory=deque, init=False)
    """Orders that came while it was starting."""
    is_starting: bool = attrs.field(default=True, init=False)
    """Whether its static children do not all run yet."""
    _stopping: CancelCause | None = attrs.field(default=None, init=False)
    """Set when everything is being stopped: by an order, a failed start, or because it gave up."""
    _failure: BaseException | None = attrs.field(default=None, init=False)
    """What its own end will be, if it failed."""
    _to_stop: list[Child] = attrs.field(factory=list, init=False)
    """While it stops: those that may still run, the next to be stopped last."""
    _has_abandoned: bool = attrs.field(default=False, init=False)
    """Whether something below was given up, so that the nursery cannot close."""
    _is_done: bool = attrs.field(default=False, init=False)
    """Whether nothing below runs any more, or will."""
    _has_let_go: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._runner = ChildRunner(self._context, self)
        self._window = RestartWindow(self._options.max_restarts, self._options.max_seconds)

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self._context.path

    @property
    def _lane(self) -> Mailbox:
        return self._context.cell.address.mailbox

    # The owner's side: called by cells and refs, from any task; only ever posts.

    @property
    def cancelling(self) -> CancelCause | None:
        """Who cancels this supervisor with everything below it."""
        return self._context.cell.cancelling or self._context.cell.address.owner.cancelling

    def child_started(self, cell: Cell) -> None:
        """Hear that an incarnation has started."""
        self._lane.post(Started(cell))

    def child_exited(self, cell: Cell) -> None:
        """Hear that an incarnation has ended."""
        self._lane.post(Exited(cell))

    def kill_child(self, address: Address, cause: CancelCause) -> None:
        """Cancel the running incarnation now, and see to it that it ends."""
        if address.cell is not None:
            address.cell.cancel(cause)
            self._lane.post(Killed(address.cell))

    def end_child(self, address: Address, cause: CancelCause) -> None:
        """Stop the child for good."""
        self._lane.post(EndChild(address, cause))

    def order(self, order: Mutation) -> None:
        """Queue an order; its slot is filled when it is carried out or refused."""
        if self._is_done:
            order.slot.fail(SupervisorStoppingError(self.path))
        else:
            self._lane.post(order)

    def is_of(self, cell: Cell) -> bool:
        """Whether this is the body of that incarnation."""
        return self._context.cell is cell

    # The loop.

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Start the static children, serve the lane until everything below is gone, and end as it should."""
        cell = self._context.cell
        cell.address.body = self
        try:
            async with trio.open_nursery() as nursery:
                self._runner.nursery = nursery
                self._to_start.extend([self._add(spec) for spec in self._options.children])
                if self._lane.stopping is None:
                    self._go_on_starting()
                self._serve()
                while not self._is_done:
                    await self._wait()
                    self._serve()
                if self._has_abandoned:
                    self._let_go()
                    cell.tell_end(attrs.evolve(cell.exit_for(self._failure), abandoned=True))
        finally:
            self._let_go()
        if self._failure is not None:
            raise self._failure

    async def _wait(self) -> None:
        due = self._runner.timers.next_due()
        if due == float("inf"):
            await self._lane.wait()
        else:
            with trio.CancelScope(deadline=due):
                await self._lane.wait()

    def _serve(self) -> None:
        """Do all there is to do now: a stop, timers, orders, and mail that a supervisor has no use for.

        Orders come after the timers, because a timer may post one: none may lie unread when the loop parks.
        """
        if self._lane.stopping is not None and self._stopping is None:
            self._begin_stopping(self._lane.stopping)
        now = trio.current_time()
        while (child := self._runner.timers.take_due(now)) is not None:
            if self._runner.is_given_up(child):
                self._abandon(child)
        while (order := self._lane.take_control()) is not None:
            self._handle(order)
        while (item := self._lane.take_work()) is not None:
            message, cause = item if isinstance(item, tuple) else (item.message, item.cause)
            self._context.runtime.dead_letters.add(self.path, message, "unhandled", cause=cause)
            if not isinstance(item, tuple):
                item.slot.fail(NotAnsweredError(self.path))

    def _handle(self, order: Order) -> None:
        match order:
            case Started(cell):
                self._on_started(cell)
            case Exited(cell):
                self._on_exited(cell)
            case Killed(cell):
                self._on_killed(cell)
            case EndChild(address, cause):
                self._stop(self._at(address), cause)
            case RollBack(address, cause):
                self._roll_back(self._at(address), cause)
            case _ if self._stopping is not None:
                order.slot.fail(SupervisorStoppingError(self.path))
            case _ if self.is_starting:
                self._queued.append(order)
            case StartChild(spec, slot):
                self._start_new(spec, slot)
            case TerminateChild(name, cause, slot):
                self._terminate(name, cause, slot)
            case RestartChild(name, slot):
                self._restart_stopped(name, slot)
            case DeleteChild(name, slot):
                self._delete(name, slot)

    def _of(self, cell: Cell) -> Child | None:
        child = self._at(cell.address)
        return child if child is not None and child.cell is cell else None

    def _at(self, address: Address) -> Child | None:
        child = self.children.get(address.path.rpartition("/")[2])
        return child if child is not None and child.address is address else None

    # Starting.

    def _add(self, spec: ChildSpec) -> Child:
        child = self.children[spec.name] = Child(spec, self._runner.new_address(spec))
        return child

    def _go_on_starting(self) -> None:
        if self._to_start:
            self._runner.start(self._to_start[0])
        elif self.is_starting:
            self.is_starting = False
            self._context.started()
            while self._queued:
                self._handle(self._queued.popleft())

    def _start_new(self, spec: ChildSpec, slot: ReplySlot) -> None:
        known = self.children.get(spec.name)
        if known is not None:
            slot.fail(
                AlreadyPresentError(self.path, spec.name)
                if known.cell is None
                else AlreadyStartedError(self.path, spec.name, known.ref)
            )
        elif not slot.is_withdrawn:
            child = self._add(spec)
            child.is_addition = True
            self._start_for(child, slot)

    def _restart_stopped(self, name: str, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        elif not slot.is_withdrawn:
            child.address = self._runner.new_address(child.spec)
            child.is_new = True
            child.is_addition = False
            self._start_for(child, slot)

    def _start_for(self, child: Child, slot: ReplySlot) -> None:
        child.on_started = slot
        address = child.address
        cause = CancelCause("the caller of start_child", "it went away", "stop")
        self._runner.start(child)
        slot.on_withdraw(lambda: self._lane.post(RollBack(address, cause)))

    def _on_started(self, cell: Cell) -> None:
        child = self._of(cell)
        if child is None or child.state != "starting":
            return
        child.state = "running"
        child.is_new = False
        if not child.is_dying:
            self._runner.timers.disarm(child)
        slot, child.on_started = child.on_started, None
        if slot is not None:
            slot.resolve(child.ref)
        self._no_longer_first(child)

    def _no_longer_first(self, child: Child) -> None:
        """Go on with the next static child if this is the one that they wait for."""
        if self._to_start and self._to_start[0] is child:
            self._to_start.popleft()
            self._go_on_starting()

    # Ending.

    def _on_exited(self, cell: Cell) -> None:
        child, exit = self._of(cell), cell.exit  # noqa: A001  # the field term
        if child is None or exit is None:
            return
        self._runner.timers.disarm(child)
        state, child.state, child.cell, child.address.cell = child.state, "stopped", None, None
        child.cause = cell.event
        self._has_abandoned = self._has_abandoned or exit.abandoned
        if self._stopping is not None or state == "stopping":
            self._end(child)
        elif exit.is_ignored:
            slot, child.on_started = child.on_started, None
            if slot is not None:
                slot.resolve(None)
            self._end(child)
        elif state == "starting" and child.is_new:
            self._start_failed(child, exit)
        elif is_restarted(child.spec.restart, exit, self._classify(child, exit)):
            self._restart(child, exit)
        else:
            self._end(child)
        if self._stopping is not None:
            self._go_on_stopping()

    def _classify(self, child: Child, exit: Exit) -> RestartPolicy:  # noqa: A002  # the field term
        """Ask the child's hook how to restart. One that fails is told, and changes nothing."""
        try:
            return child.spec.classify(exit)
        except Exception as error:  # noqa: BLE001  # a hook: it must not take the supervisor and all its children with it
            hook = f"classify of {child.address.path}"
            self._context.cell.publish(SubscriberFailedEvent, subscriber=hook, error=as_fact(error))
            return "default"

    def _restart(self, child: Child, exit: Exit) -> None:  # noqa: A002  # the field term
        if self._window.allows(trio.current_time()):
            self._runner.start(child)
        else:
            self._end(child)
            self._give_up(exit)

    def _give_up(self, exit: Exit) -> None:  # noqa: A002  # the field term
        most, seconds, error = self._options.max_restarts, self._options.max_seconds, as_fact(exit.error)
        self._context.cell.publish(SupervisorGaveUpEvent, max_restarts=most, max_seconds=seconds, error=error)
        self._failure = RestartIntensityExceededError(self.path, most, seconds, error)
        self._begin_stopping(CancelCause(self.path, "the restart intensity was exceeded", "shutdown"))

    def _start_failed(self, child: Child, exit: Exit) -> None:  # noqa: A002  # the field term
        error = exit.error
        if not isinstance(error, StartFailedError):
            error = StartFailedError(child.address.path, error)
            error.__cause__ = exit.error
        slot, child.on_started = child.on_started, None
        if slot is not None:
            child.is_dropped = child.is_addition
            self._end(child)
            slot.fail(error)
        else:
            self._to_start.clear()
            self._end(child)
            self._failure = error
            self._begin_stopping(CancelCause(self.path, f"the child {child.spec.name!r} failed to start", "shutdown"))

    def _end(self, child: Child) -> None:
        """Let a child be gone: its mailbox closes, its spec stays unless it is temporary or was dropped."""
        child.address.retire()
        if child.is_dropped or child.spec.restart == "temporary":
            self._forget(child)
        slot, child.on_started = child.on_started, None
        if slot is not None:
            slot.fail(StartFailedError(child.address.path))
        for waiting in child.on_ended:
            waiting.resolve(None)
        child.on_ended.clear()
        self._no_longer_first(child)

    def _forget(self, child: Child) -> None:
        if self.children.get(child.spec.name) is child:
            del self.children[child.spec.name]

    def _on_killed(self, cell: Cell) -> None:
        child = self._of(cell)
        if child is not None and cell.exit is None:
            self._runner.await_end(child)

    # Stopping.

    def _stop(self, child: Child | None, cause: CancelCause) -> None:
        if child is None:
            return
        if child in self._to_start and child.cell is None:
            self._to_start.remove(child)
            self._end(child)
        else:
            self._runner.stop(child, cause)

    def _roll_back(self, child: Child | None, cause: CancelCause) -> None:
        if child is not None:
            child.is_dropped = child.is_addition
            child.on_started = None
            self._runner.stop(child, cause)

    def _terminate(self, name: str, cause: CancelCause, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state == "stopped":
            slot.resolve(None)
        else:
            child.on_ended.append(slot)
            self._runner.stop(child, cause)

    def _delete(self, name: str, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        else:
            self._forget(child)
            slot.resolve(None)

    def _begin_stopping(self, cause: CancelCause) -> None:
        self._stopping = cause
        self._to_start.clear()
        while self._queued:
            self._queued.popleft().slot.fail(SupervisorStoppingError(self.path))
        self._to_stop = list(self.children.values())
        self._go_on_stopping()

    def _go_on_stopping(self) -> None:
        """Stop the last child that runs; the one before it when that has ended (S14)."""
        assert self._stopping is not None
        while self._to_stop and self._to_stop[-1].state == "stopped":
            self._to_stop.pop()
        if self._to_stop:
            self._runner.stop(self._to_stop[-1], self._stopping)
        else:
            self._is_done = True

    # What will not end.

    def abandon(self) -> bool:
        """Give up whatever still runs below, and let go; whether there was anything."""
        living = [child for child in self.children.values() if child.cell is not None and child.cell.exit is None]
        for child in living:
            self._abandon(child)
        self._let_go()
        return bool(living)

    def _abandon(self, child: Child) -> None:
        if child.cell is not None:
            abandon(child.cell)

    def _let_go(self) -> None:
        """Nothing below runs any more, however that came: close what is open, refuse what is queued. Once."""
        self._is_done = True
        if self._has_let_go:
            return
        self._has_let_go = True
        self.is_starting = False
        self._to_start.clear()
        while (order := self._lane.take_control()) is not None:
            if isinstance(order, Mutation):
                self._queued.append(order)
        while self._queued:
            self._queued.popleft().slot.fail(SupervisorStoppingError(self.path))
        for child in tuple(self.children.values()):
            child.state, child.cell = "stopped", None
            if not child.address.is_gone:
                self._end(child)


def abandon(cell: Cell) -> None:
    """Give up an actor that was cancelled and does not end, with everything below it.

    Of a supervisor the leftovers name what holds it, not the supervisor itself.
    """
    body = cell.address.body
    is_held = isinstance(body, Supervisor) and body.is_of(cell) and body.abandon()
    cell.abandon(None if is_held else f"actor {cell.path}")
