"""The supervisor: a state machine that hears of everything on one lane and never waits for a child.

The design. A supervisor is an actor whose body is the loop below. Children run in its nursery, each in a scope of its
own; their ends are values (`Exit`) that the boundary posts to the lane, with starts, orders and the ends it is told to make.
Each is taken, changes the state, and that is all: there is no `await` on a child, a timer or a mailbox anywhere but the
one place where the lane is empty. So queries are answered from state at any time, also in the middle of a restart, and
no child, however it behaves, can hold its supervisor. A caller that waits (for `start_child`, say) waits on a one-shot
slot that the machine fills when the thing has happened.

The parts, each in a file of its own, none of which waits either: `Lane` is where it hears of things, and says who serves
it; `Children` keeps what is known of each child, by name; `ChildRunner` starts, stops and cancels one child, with its one
timer (`ChildTimers`); `Agenda` does that to several, one after the other; `Administration` carries out the orders of callers;
what is decided (who restarts, is that too often) are functions of values in `_decisions`. Here they meet: what came is told to the part that it concerns, and then the agenda
takes its next step if it can. The agenda is the supervisor's mode: the start-up of the static children, nothing, the
restart of a group, the shutdown. A restart that is to come later is one more use of the child's timer; a child whose end
is to end the others begins the shutdown.

Groups. A strategy that restarts more than the child that ended puts stops and starts on the agenda (`Restarts`): the
group is stopped in reverse, one at a time, then started in order. Every member that is to come back bears `is_to_start`,
so that its end, whichever way it comes, leads to `restarting` and not to another restart: one that crashed in the same
tick, or while it was being stopped, or before its turn to be stopped, comes back with the others, once (S46, S47). An
end that a member makes by itself is judged by its own restart type before it was asked, and not after. There is one
agenda at a time. What makes a new one necessary in the middle, a start that fails (S23, S24), a member that is back and
crashes again, an earlier sibling that widens the group, counts toward the intensity and *replaces* the agenda; the new
one takes over what the old one had to stop and to start. A stop, a kill, a give-up replace it by the shutdown. What had ended
before, by order or because its work was done, is no member: a crash does not undo what was meant. (OTP starts it again.)
While the static children start, the restart of a group is postponed until they have, as in OTP, so that a start-up has an
end. Orders wait until the group is back; but not those of an actor that the group waits for, which would wait for themselves.
A bystander's mailbox goes on taking work while it is stopped: the stop is meant for its incarnation, not for the child.

Back-off. A child that waits for its restart has no cell and a timer; its state is `restarting`. Its mailbox takes work, up
to its capacity (S64). Under `one_for_one` the timer starts it; in a group the agenda holds its starts until no member's timer
runs, and is then `waiting`, not busy: orders are carried out, and whoever ends the child whose wait holds the
others lets them start. A wait is over at once where the child, or the supervisor, is stopped (S28): then there is no
timer left that could start anything late.

What ends slowly. Asked to stop, a child has its `shutdown` time; then it is cancelled and has `CLEANUP_GRACE`; then it is
given up: its exit is told as `killed` and `abandoned`, its task stands among the leftovers, and the supervisor goes on
without it. Its own nursery cannot close as long as that task runs, so a supervisor with such a child tells its own end
before it leaves the nursery.

The races. *Exit of an old incarnation after the new one started* and *a start that is told after a stop was ordered*: every
message carries its cell, and a cell that is not the child's present one is dropped. *A start that is told when its time
is over*: what has started is not cancelled for it, though the timer is served first. *Exits while stopping*: the state
`stopping` says that no restart follows (S35). *The caller of a start goes away*: its slot posts a `RollBack`, also for a
child that has ended meanwhile. *Orders while it starts* wait until the static children run; *orders while it stops* are
refused with a typed error (S38). *It is cancelled itself* (killed, or a fault of its own): its nursery ends its children,
and whatever waited for it or for them is told in `_let_go`. *It is given up itself*, because something below will not
end: whoever does that calls `abandon`, which tells the ends of all that still runs below; its own task, when it comes to
its end after all, finds that done and touches nothing of its successor's.

A child that starts children of its own (`ctx.start_child`) has a supervisor behind it, which runs in the same nursery
(`_own_children`): so the loop ends only when those have ended, too.

Refused: a task per child that awaits it (a second place where the end of a child is seen, and a race between the two); `nursery.start`
(it puts the child under the caller's cancel scope while it starts); restarting inside the child's own task (a stuck
child could not be replaced).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, get_args

import attrs
import trio

from tinyagent_actors._errors import (
    NotAnsweredError,
    RestartIntensityExceededError,
    RestartPolicy,
    StartFailedError,
    SupervisorStoppingError,
)
from tinyagent_actors.actors import ActorContext, Address, CancelCause, Cell, Exit, as_fact
from tinyagent_actors.events import SubscriberFailedEvent, SupervisorGaveUpEvent
from tinyagent_actors.supervision._administration import Administration
from tinyagent_actors.supervision._agenda import Agenda
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner
from tinyagent_actors.supervision._children import Children
from tinyagent_actors.supervision._decisions import ends_all, is_counted, is_restarted, restarts_groups
from tinyagent_actors.supervision._lane import Lane
from tinyagent_actors.supervision._options import SupervisorOptions
from tinyagent_actors.supervision._orders import (
    EndChild,
    Exited,
    Killed,
    Mutation,
    Order,
    OwnChildrenEnded,
    RollBack,
    Started,
)
from tinyagent_actors.supervision._own_children import SupervisorBehind
from tinyagent_actors.supervision._restarts import Restarts
from tinyagent_actors.supervision._template import Template

OWN_CHILDREN: Final = SupervisorOptions("one_for_one", max_restarts=3, max_seconds=5.0, children=())
"""How the children that an actor starts itself are supervised."""


@attrs.define(eq=False, repr=False)
class Supervisor:
    """The state of one incarnation of a supervisor."""

    _context: ActorContext
    _options: SupervisorOptions
    children: Children = attrs.field(init=False)
    _lane: Lane = attrs.field(init=False)
    _runner: ChildRunner = attrs.field(init=False)
    _administration: Administration = attrs.field(init=False)
    _restarts: Restarts = attrs.field(init=False)
    _agenda: Agenda = attrs.field(init=False)
    """What it is in the middle of: its start-up, then nothing or the restart of a group, at last its shutdown."""
    _queued: deque[Mutation] = attrs.field(factory=deque, init=False)
    """Orders that came while it was starting, or restarted a group."""
    _postponed: list[Callable[[], None]] = attrs.field(factory=list, init=False)
    """Restarts of groups, and an automatic shutdown, that wait for the end of the start-up."""
    template: Template | None = attrs.field(init=False)
    """What `start_another` makes children of; taken over from the incarnation before, for the numbers in their names."""
    is_starting: bool = attrs.field(default=True, init=False)
    """Whether its static children do not all run yet."""
    _stopping: CancelCause | None = attrs.field(default=None, init=False)
    """Set when everything is being stopped: by an order, a failed start, or because it gave up."""
    _failure: BaseException | None = attrs.field(default=None, init=False)
    """What its own end will be, if it failed."""
    _behind: set[SupervisorBehind] = attrs.field(factory=set, init=False)
    """The supervisors of children's own children. They run in the same nursery, so none may be left when it closes."""
    _given_up: list[Cell] = attrs.field(factory=list, init=False)
    """What would not end; the nursery cannot close while a task of theirs runs."""
    is_done: bool = attrs.field(default=False, init=False)
    """Whether nothing below runs any more, or will."""
    _has_let_go: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._runner = ChildRunner(self._context, self, self._open_children)
        self._lane = Lane(self._context.cell.address.mailbox, self._runner.timers, self)
        self.template = None if self._options.template is None else Template(self._options.template)
        self.children = Children(keeps_stopped=self._options.strategy != "dynamic")
        self._administration = Administration(
            self.path, self.children, self._runner, self._options, self._lane.post_later
        )
        self._restarts = Restarts(self.path, self._options, self.children, self._runner)
        static = [self.children.add(spec, self._runner.new_address(spec)) for spec in self._options.children]
        self._agenda = Agenda(self._runner, to_start=deque(static))

    def __repr__(self) -> str:
        state = "done" if self.is_done else "stopping" if self._stopping else "busy" if self.is_busy else "running"
        return f"<{type(self).__name__} {self.path} {self._options.strategy} {state}, {len(self.children)} children>"

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self._context.path

    # The owner's side: called by cells and refs, from any task; nothing here waits.

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

    def _open_children(self, actor: Address) -> SupervisorBehind:
        """Put a supervisor behind a child that wants children of its own."""
        behind = SupervisorBehind(actor, lambda ended: self._lane.post_later(OwnChildrenEnded(ended)))
        self._behind.add(behind)
        behind.open(self._runner.nursery, lambda ctx: Supervisor(ctx, OWN_CHILDREN).run())
        return behind

    def order(self, order: Mutation) -> None:
        """Queue an order; its slot is filled when it is carried out or refused."""
        if self.is_done:
            order.slot.fail(SupervisorStoppingError(self.path))
        else:
            self._lane.post(order)

    @property
    def is_busy(self) -> bool:
        """Whether orders have to wait: until the static children run, or until a group has been restarted."""
        return self.is_starting or self._agenda.progress == "busy"

    def path_of(self, name: str) -> str:
        """Give the path of a child of that name."""
        return self._runner.path_of(name)

    def waits_for_end_of(self, cell: Cell) -> bool:
        """Whether orders have to wait for the end of that actor, or of what it stands below: its group is being restarted."""
        if self._stopping is not None or self._agenda.progress != "busy":
            return False
        name = cell.path.removeprefix(self.path_of("")).partition("/")[0]
        child = self.children.named(name)
        return child is not None and cell.is_below(child.address.path) and self._agenda.is_to_stop(child)

    def is_of(self, cell: Cell) -> bool:
        """Whether this is the body of that incarnation."""
        return self._context.cell is cell

    # The loop.

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Start the static children, serve the lane until everything below is gone, and end as it should."""
        cell = self._context.cell
        if isinstance(cell.address.body, Supervisor):
            self.template = cell.address.body.template
        cell.address.body = self
        self._context.trap_exits = True
        try:
            async with trio.open_nursery() as nursery:
                self._runner.nursery = nursery
                self._lane.serve()
                while not self.is_done:
                    await self._lane.serve_until_due()
                    self._lane.serve()
                if any(given_up.has_task for given_up in self._given_up):
                    self._let_go()
                    cell.tell_end(attrs.evolve(cell.exit_for(self._failure), abandoned=True))
        finally:
            self._let_go()
        if self._failure is not None:
            raise self._failure

    def serve_order(self, order: Order) -> None:
        """Do what an order says, and what follows from it; then what those on the lane say."""
        control = self._lane.mailbox.control
        while True:
            hear = _HEARS.get(type(order))
            if hear is not None:  # else somebody has linked himself to it, whom only its children's ends concern
                hear(self, order)
            if self._agenda.progress != "done" or self._stopping is not None or self._queued:
                self._go_on()
            if not control:
                return
            order = control.popleft()

    def serve_all(self) -> None:
        """Do all there is to do now: a stop, timers, orders, and mail that a supervisor has no use for.

        Orders come after the timers, because a timer may post one: none may lie unread when the loop parks.
        """
        mailbox = self._lane.mailbox
        if mailbox.stopping is not None and self._stopping is None:
            self._begin_stopping(mailbox.stopping)
        now = trio.current_time()
        while (child := self._runner.timers.take_due(now)) is not None:
            self._on_due(child)
        self._go_on()
        if mailbox.control:
            self.serve_order(mailbox.control.popleft())
        while (item := mailbox.take_work()) is not None:
            message, cause = item if isinstance(item, tuple) else (item.message, item.cause)
            self._context.runtime.dead_letters.add(self.path, message, "unhandled", cause=cause)
            if not isinstance(item, tuple):
                item.slot.fail(NotAnsweredError(self.path))

    def _go_on(self) -> None:
        """Take the next step of what is done one after the other; if there is none, that is over."""
        if self._agenda.advance() == "busy":
            return
        if self._stopping is not None:
            self.is_done = not self._behind
            return
        if self.is_starting:
            self.is_starting = False
            self._context.started()
            for restart in self._postponed:
                restart()
            if self._postponed:
                self._postponed.clear()
                self._go_on()
        while self._queued and not self.is_busy:
            self._administration.carry_out(self._queued.popleft())

    def _on_mutation(self, order: Mutation) -> None:
        if self._stopping is not None:
            order.slot.fail(SupervisorStoppingError(self.path))
        elif self.is_starting or self._agenda.progress == "busy":
            self._queued.append(order)
        else:
            self._administration.carry_out(order)

    # What children do, and what is done to them.

    def _on_started(self, order: Started) -> None:
        cell = order.cell
        child = self.children.of(cell)
        if child is None or child.state != "starting":
            return
        child.state = "running"
        child.is_new = False
        if not child.is_dying:
            self._runner.timers.disarm(child)
        if child.failures:
            child.started_at = trio.current_time()
        slot = child.take_on_started()
        if slot is not None:
            slot.resolve(cell.ref)

    def _on_due(self, child: Child) -> None:
        if child.state != "restarting":
            if self._runner.is_given_up(child) and child.cell is not None:
                abandon(child.cell)
        elif not child.is_to_start:  # else the agenda starts it, now that it need wait no longer
            self._runner.start(child)

    def _on_killed(self, order: Killed) -> None:
        child = self.children.of(order.cell)
        if child is not None and order.cell.exit is None:
            self._runner.await_end(child)

    def _on_own_children_ended(self, order: OwnChildrenEnded) -> None:
        behind = order.children
        self._behind.discard(behind)
        if behind.is_held and behind.cell.has_task:
            self._given_up.append(behind.cell)

    def _on_end_child(self, order: EndChild) -> None:
        child = self.children.at(order.address)
        if child is not None:
            self._administration.end(child, order.cause)

    def _on_roll_back(self, order: RollBack) -> None:
        child = self.children.at(order.address)
        if child is not None:
            self._administration.roll_back(child, order.cause)

    def _on_exited(self, order: Exited) -> None:
        cell = order.cell
        child, exit = self.children.of(cell), cell.exit  # noqa: A001  # the field term
        if child is None or exit is None:
            return
        self._runner.timers.disarm(child)
        state, child.state, child.cell, child.address.cell = child.state, "stopped", None, None
        child.cause = cell.event
        if exit.abandoned:
            self._given_up = [*(before for before in self._given_up if before.has_task), cell]
        if state == "stopping" and child.is_to_start and not exit.is_meant and exit.fatal is None:
            child.state = "restarting"
        elif self._stopping is not None or state == "stopping":
            self.children.end(child)
        elif exit.is_ignored:
            slot = child.take_on_started()
            if slot is not None:
                slot.resolve(None)
            self.children.end(child)
        elif state == "starting" and child.is_new:
            self._start_failed(child, exit)
        elif not is_restarted(child.spec.restart, exit, policy := self._classify(child, exit)):
            self.children.end(child)
            if not exit.is_meant:
                self._shut_down_without(child)
        elif child.is_to_start:
            child.state = "restarting"  # its group is being restarted, and it ended before its turn to be stopped
        elif self.is_starting and restarts_groups(self._options.strategy):
            child.state = "restarting"
            self._postponed.append(lambda: self._restart(child, cell, policy))
        else:
            self._restart(child, cell, policy)

    def _restart(self, child: Child, cell: Cell, policy: RestartPolicy) -> None:
        if child.is_to_start or child.address.is_gone or cell.exit is None:
            return  # it comes back with another, or was ended while its restart was postponed
        if not is_counted(cell.exit, policy) or self._restarts.is_allowed():
            self._agenda = self._restarts.begin(child, cell, policy, self._agenda)
        else:
            self.children.end(child)
            self._give_up(cell.exit)

    def _classify(self, child: Child, exit: Exit) -> RestartPolicy:  # noqa: A002  # the field term
        """Ask the child's hook how to restart. One that fails is told, and changes nothing."""
        try:
            return child.spec.classify(exit)
        except Exception as error:  # noqa: BLE001  # a hook: it must not take the supervisor and all its children with it
            hook = f"classify of {child.address.path}"
            self._context.cell.publish(SubscriberFailedEvent, subscriber=hook, error=as_fact(error))
            return "default"

    def _start_failed(self, child: Child, exit: Exit) -> None:  # noqa: A002  # the field term
        error = exit.error
        if not isinstance(error, StartFailedError):
            error = StartFailedError(child.address.path, error)
            error.__cause__ = exit.error
        slot = child.take_on_started()
        if slot is not None:
            child.is_dropped = child.is_addition
            self.children.end(child)
            slot.fail(error)
        else:
            self.children.end(child)
            self._failure = error
            self._begin_stopping(CancelCause(self.path, f"the child {child.spec.name!r} failed to start", "shutdown"))

    # Its own end.

    def _give_up(self, exit: Exit) -> None:  # noqa: A002  # the field term
        most, seconds, error = self._options.max_restarts, self._options.max_seconds, as_fact(exit.error)
        self._context.cell.publish(SupervisorGaveUpEvent, max_restarts=most, max_seconds=seconds, error=error)
        self._failure = RestartIntensityExceededError(self.path, most, seconds, error)
        self._begin_stopping(CancelCause(self.path, "the restart intensity was exceeded", "shutdown"))

    def _shut_down_without(self, child: Child) -> None:
        """End, if the end of that child is to end everything; after the start-up, if that is going on."""
        are_others_left = self.children.has_significant
        is_end = ends_all(
            self._options.auto_shutdown, is_significant=child.spec.significant, are_others_left=are_others_left
        )
        if not is_end or self._stopping is not None:
            return
        if self.is_starting:
            self._postponed.append(lambda: self._shut_down_without(child))
            return
        cause = CancelCause(self.path, f"the significant child {child.spec.name!r} ended", "auto_shutdown")
        self._context.cell.request_stop(cause, is_final=False)
        self._begin_stopping(cause)

    def _begin_stopping(self, cause: CancelCause) -> None:
        self._stopping = cause
        for child in tuple(self.children):
            child.is_to_start = False
            if child.cell is None and not child.address.is_gone:
                self._runner.timers.disarm(child)
                self.children.end(child)
        is_at_once = self._options.strategy == "dynamic"
        self._agenda = Agenda(self._runner, to_stop=list(self.children), cause=cause, is_at_once=is_at_once)
        if is_at_once:
            self._lane.do_in_turns(self._agenda.ask_some)
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        while self._queued:
            self._queued.popleft().slot.fail(SupervisorStoppingError(self.path))

    def abandon(self) -> bool:
        """Give up whatever still runs below, and let go; whether there was anything."""
        living = [child.cell for child in self.children if child.cell is not None and child.cell.exit is None]
        living += [behind.cell for behind in self._behind if behind.cell.exit is None]
        for cell in living:
            abandon(cell)
        self._let_go()
        return bool(living)

    def _let_go(self) -> None:
        """Nothing below runs any more, however that came: close what is open, refuse what is queued. Once."""
        self.is_done = True
        if self._has_let_go:
            return
        self._has_let_go = True
        self.is_starting = False
        while (order := self._lane.mailbox.take_control()) is not None:
            if isinstance(order, Mutation):
                self._queued.append(order)
        self._refuse_queued()
        self.children.end_all()


_HEARS: Final[dict[type[Order], Callable[[Supervisor, Any], None]]] = {
    Started: Supervisor._on_started,  # noqa: SLF001  # a part of the class, which cannot name itself
    Exited: Supervisor._on_exited,  # noqa: SLF001
    Killed: Supervisor._on_killed,  # noqa: SLF001
    OwnChildrenEnded: Supervisor._on_own_children_ended,  # noqa: SLF001
    EndChild: Supervisor._on_end_child,  # noqa: SLF001
    RollBack: Supervisor._on_roll_back,  # noqa: SLF001
    **dict.fromkeys(get_args(Mutation), Supervisor._on_mutation),  # noqa: SLF001
}
"""What is done about what comes."""


def abandon(cell: Cell) -> None:
    """Give up an actor that was cancelled and does not end, with everything below it.

    Of a supervisor, and of an actor that waits for its own children, the leftovers name what holds it, not the actor itself.
    """
    behind = cell.address.children
    is_held = behind is not None and cell.awaits_children
    if behind is not None:
        abandon(behind.cell)
    body = cell.address.body
    if isinstance(body, Supervisor) and body.is_of(cell):
        is_held = body.abandon()
    cell.abandon(None if is_held else f"actor {cell.path}")
