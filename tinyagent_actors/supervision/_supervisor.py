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

Refused: a task per child that awaits it (a second place where the end of a child is seen, and a race between the two); `nursery.start`
(it puts the child under the caller's cancel scope while it starts); restarting inside the child's own task (a stuck
child could not be replaced).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import attrs
import trio

from tinyagent_actors._errors import (
    AlreadyPresentError,
    AlreadyStartedError,
    ChildNotFoundError,
    ChildRunningError,
    NotAnsweredError,
    RestartIntensityExceededError,
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
    Ignore,
    Mailbox,
    ReplySlot,
    as_fact,
)
from tinyagent_actors.events import SupervisorGaveUpEvent
from tinyagent_actors.supervision._child import Child, ChildTimers
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

CLEANUP_GRACE: Final = 5.0
"""Seconds that a cancelled child has to clean up before it is given up."""


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
    _window: RestartWindow = attrs.field(init=False)
    _timers: ChildTimers = attrs.field(factory=ChildTimers, init=False)
    _to_start: deque[Child] = attrs.field(factory=deque, init=False)
    """Static children that have still to start, one after the other."""
    _queued: deque[Mutation] = attrs.field(factory=deque, init=False)
    """Orders that came while it was starting."""
    _is_starting: bool = attrs.field(default=True, init=False)
    _stopping: CancelCause | None = attrs.field(default=None, init=False)
    """Set when everything is being stopped: by an order, a failed start, or because it gave up."""
    _failure: BaseException | None = attrs.field(default=None, init=False)
    """What its own end will be, if it failed."""
    _to_stop: list[Child] = attrs.field(factory=list, init=False)
    """While it stops: those that may still run, the next to be stopped last."""
    _has_abandoned: bool = attrs.field(default=False, init=False)
    """Whether a child was given up, so that the nursery cannot close."""
    _is_done: bool = attrs.field(default=False, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
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

    # The loop.

    async def run(self) -> None:
        """Start the static children, serve the lane until everything below is gone, and end as it should."""
        cell = self._context.cell
        cell.address.body = self
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for spec in self._options.children:
                    self._to_start.append(self._add(spec))
                self._go_on_starting()
                while not self._is_done:
                    await self._wait()
                    self._serve()
                if self._has_abandoned:
                    cell.tell_end(cell.exit_for(self._failure))
        finally:
            self._let_go()
        if self._failure is not None:
            raise self._failure

    def running(self) -> Iterator[Cell]:
        """Give the actors below that have not ended, those that are no supervisors themselves."""
        for child in self.children.values():
            body = child.address.body
            if isinstance(body, Supervisor) and child.cell is not None:
                yield from body.running()
            elif child.cell is not None:
                yield child.cell

    def _let_go(self) -> None:
        """Nothing below runs any more, however that came: close what is open, refuse what is queued."""
        self._is_done = True
        while (order := self._lane.take_control()) is not None:
            self._queued.extend([order] if isinstance(order, Mutation) else [])
        while self._queued:
            self._queued.popleft().slot.fail(SupervisorStoppingError(self.path))
        for child in tuple(self.children.values()):
            if not child.address.is_gone:
                self._end(child)

    async def _wait(self) -> None:
        due = self._timers.next_due()
        if due == float("inf"):
            await self._lane.wait()
        else:
            with trio.CancelScope(deadline=due):
                await self._lane.wait()

    @trio.lowlevel.enable_ki_protection
    def _serve(self) -> None:
        """Do all there is to do now: orders, timers, a stop, and mail that a supervisor has no use for."""
        while (order := self._lane.take_control()) is not None:
            self._handle(order)
        now = trio.current_time()
        while (child := self._timers.take_due(now)) is not None:
            self._on_due(child)
        while (item := self._lane.take_work()) is not None:
            message, cause = item if isinstance(item, tuple) else (item.message, item.cause)
            self._context.runtime.dead_letters.add(self.path, message, "unhandled", cause=cause)
            if not isinstance(item, tuple):
                item.slot.fail(NotAnsweredError(self.path))
        if self._lane.stopping is not None and self._stopping is None:
            self._begin_stopping(self._lane.stopping)

    def _handle(self, order: Order) -> None:
        match order:
            case Started(cell):
                self._on_started(cell)
            case Exited(cell):
                self._on_exited(cell)
            case Killed(cell):
                self._on_killed(cell)
            case EndChild(address, cause):
                self._stop_address(address, cause)
            case RollBack(address, cause):
                self._roll_back(address, cause)
            case _ if self._stopping is not None:
                order.slot.fail(SupervisorStoppingError(self.path))
            case _ if self._is_starting:
                self._queued.append(order)
            case StartChild(spec, slot):
                self._start_new(spec, slot)
            case TerminateChild(name, cause, slot):
                self._terminate(name, cause, slot)
            case RestartChild(name, slot):
                self._restart_stopped(name, slot)
            case DeleteChild(name, slot):
                self._delete(name, slot)

    # Starting.

    def _add(self, spec: ChildSpec) -> Child:
        child = Child(spec, self._new_address(spec))
        self.children[spec.name] = child
        return child

    def _new_address(self, spec: ChildSpec) -> Address:
        runtime = self._context.runtime
        path = f"{self.path.rstrip('/')}/{spec.name}"
        mailbox = Mailbox(path, runtime.dead_letters, runtime.pacer, spec.mailbox_capacity, spec.mailbox_policy)
        return Address(path, runtime.next_uid(), runtime, mailbox, self)

    def _start(self, child: Child) -> None:
        address, spec = child.address, child.spec
        address.incarnation += 1
        cell = child.cell = address.cell = Cell(address, address.incarnation)
        cell.event = self._context.cell.event if child.cause is None else child.cause
        child.state = "starting"
        address.mailbox.renew()
        context = ActorContext(child.ref, cell)
        cell.spawn(self._nursery, lambda ctx: spec.start(ctx, *spec.args, **spec.kwargs), context)
        self._timers.arm(child, trio.current_time() + spec.start_timeout)

    def _go_on_starting(self) -> None:
        if self._to_start:
            self._start(self._to_start[0])
        elif self._is_starting:
            self._is_starting = False
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
            self._start_for(self._add(spec), slot)

    def _start_for(self, child: Child, slot: ReplySlot) -> None:
        child.on_started = slot
        address = child.address
        cause = CancelCause("the caller of start_child", "it went away", "stop")
        slot.on_withdraw(lambda: self._lane.post(RollBack(address, cause)))
        self._start(child)

    def _on_started(self, cell: Cell) -> None:
        child = self._of(cell)
        if child is None or child.state != "starting":
            return
        child.state = "running"
        child.is_new = False
        self._timers.disarm(child)
        if child.on_started is not None:
            child.on_started.reply(child.ref)
            child.on_started = None
        if self._to_start and self._to_start[0] is child:
            self._to_start.popleft()
            self._go_on_starting()

    # Ending.

    def _of(self, cell: Cell) -> Child | None:
        child = self.children.get(cell.path.rpartition("/")[2])
        return child if child is not None and child.cell is cell else None

    def _on_exited(self, cell: Cell) -> None:
        child = self._of(cell)
        if child is None or cell.exit is None:
            return
        self._timers.disarm(child)
        state, child.state, child.cell = child.state, "stopped", None
        child.cause = cell.event
        self._has_abandoned = self._has_abandoned or cell.exit.abandoned
        if self._stopping is not None or state == "stopping":
            self._end(child)
        elif isinstance(cell.exit.error, Ignore):
            self._ignored(child)
        elif state == "starting" and child.is_new:
            self._start_failed(child, cell.exit)
        elif is_restarted(child.spec.restart, cell.exit, child.spec.classify(cell.exit)):
            self._restart(child, cell.exit)
        else:
            self._end(child)
        if self._stopping is not None:
            self._go_on_stopping()

    def _end(self, child: Child) -> None:
        """Let a child be gone: its mailbox closes, its spec stays unless it is temporary or was dropped."""
        child.address.retire()
        if child.is_dropped or child.spec.restart == "temporary":
            self._forget(child)
        if child.on_started is not None:
            child.on_started.fail(StartFailedError(child.address.path))
            child.on_started = None
        for slot in child.on_ended:
            slot.reply(None)
        child.on_ended.clear()
        if self._to_start and self._to_start[0] is child:
            self._to_start.popleft()
            self._go_on_starting()

    def _forget(self, child: Child) -> None:
        if self.children.get(child.spec.name) is child:
            del self.children[child.spec.name]

    def _ignored(self, child: Child) -> None:
        slot, child.on_started = child.on_started, None
        if slot is not None:
            slot.reply(None)
        self._end(child)

    def _start_failed(self, child: Child, exit: Exit) -> None:  # noqa: A002  # the field term
        error = (
            exit.error if isinstance(exit.error, StartFailedError) else StartFailedError(child.address.path, exit.error)
        )
        slot, child.on_started = child.on_started, None
        if slot is not None:
            child.is_dropped = True
            self._end(child)
            slot.fail(error)
        else:
            self._to_start.clear()
            self._failure = error
            self._begin_stopping(CancelCause(self.path, f"the child {child.spec.name!r} failed to start", "shutdown"))

    def _restart(self, child: Child, exit: Exit) -> None:  # noqa: A002  # the field term
        if self._window.allows(trio.current_time()):
            self._start(child)
        else:
            self._give_up(exit)

    def _give_up(self, exit: Exit) -> None:  # noqa: A002  # the field term
        options = self._options
        error = RestartIntensityExceededError(self.path, options.max_restarts, options.max_seconds, as_fact(exit.error))
        self._failure = error
        self._context.cell.publish(
            SupervisorGaveUpEvent,
            max_restarts=options.max_restarts,
            max_seconds=options.max_seconds,
            error=as_fact(exit.error),
        )
        self._begin_stopping(CancelCause(self.path, "the restart intensity was exceeded", "shutdown"))

    def _on_killed(self, cell: Cell) -> None:
        child = self._of(cell)
        if child is not None and cell.exit is None:
            self._timers.arm(child, trio.current_time() + CLEANUP_GRACE)

    def _on_due(self, child: Child) -> None:
        """Take the next step with a child that is slow: cancel it, or give it up."""
        cell, now = child.cell, trio.current_time()
        if cell is None or cell.exit is not None:
            return
        if cell.cancelling is not None:
            cell.leftover = self._context.runtime.leftovers.add("tasks", f"actor {cell.path}")
            cell.tell_end(Exit("killed", None, cell.cancelling, cell.has_started, abandoned=True))
            return
        if child.state == "starting":
            cause = CancelCause(self.path, f"{child.spec.start_timeout:g}", "start_timeout")
        else:
            asked = child.stop_cause or CancelCause(self.path, "stopped", "shutdown")
            cause = CancelCause(asked.by, f"{asked.why}; not ended after {child.spec.shutdown:g} s", "shutdown")
        cell.cancel(cause)
        self._timers.arm(child, now + CLEANUP_GRACE)

    # Stopping.

    def _stop(self, child: Child, cause: CancelCause) -> None:
        cell = child.cell
        if cell is None or child.state == "stopping":
            return
        child.state = "stopping"
        child.stop_cause = cause
        cell.request_stop(cause)
        if cell.cancelling is not None:
            return
        shutdown = child.spec.shutdown
        if shutdown == "kill":
            cell.cancel(CancelCause(cause.by, cause.why, "kill"))
            shutdown = CLEANUP_GRACE
        self._timers.arm(child, trio.current_time() + shutdown)

    def _stop_address(self, address: Address, cause: CancelCause) -> None:
        child = self.children.get(address.path.rpartition("/")[2])
        if child is not None and child.address is address:
            self._stop(child, cause)

    def _roll_back(self, address: Address, cause: CancelCause) -> None:
        child = self.children.get(address.path.rpartition("/")[2])
        if child is not None and child.address is address:
            child.is_dropped = True
            child.on_started = None
            self._stop(child, cause)

    def _terminate(self, name: str, cause: CancelCause, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state == "stopped":
            slot.reply(None)
        else:
            child.on_ended.append(slot)
            self._stop(child, cause)

    def _restart_stopped(self, name: str, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        elif not slot.is_withdrawn:
            child.address = self._new_address(child.spec)
            child.is_new = True
            self._start_for(child, slot)

    def _delete(self, name: str, slot: ReplySlot) -> None:
        child = self.children.get(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        else:
            self._forget(child)
            slot.reply(None)

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
            self._stop(self._to_stop[-1], self._stopping)
        else:
            self._is_done = True
