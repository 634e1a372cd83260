"""The rules of supervision, written down a second time: a plain simulation with which real trees are compared.

It was written from OTP's documentation (`supervisor`: strategies, restart types, restart intensity, shutdown) and from the
decisions of this project where that leaves a choice or differs:

- what was stopped by order, or has ended for good, is not brought back by the restart of its group;
- a child that ends while its group is being restarted, or fails to start then, does so within that restart: the former
  counts no second time, the latter counts and plans the restart anew;
- while a supervisor starts, the restart of a group waits until it has;
- with a back-off a group is stopped at once, and started again after the wait;
- orders wait while a supervisor starts or restarts a group, and are refused while it stops.

There are no tasks here, no mailboxes, no scopes: a supervisor (`Boss`) has members with a state each, and does the next
thing that is to be done whenever something has happened. What would take time is an entry in one heap.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import attrs

from tests.supervision._model_world import Kind, Leaf, Spec, Tree, World


@attrs.define(eq=False)
class Member:
    """A child of a supervisor, through all its incarnations."""

    spec: Spec
    boss: Boss
    state: Literal["stopped", "starting", "running", "stopping", "restarting"] = "stopped"
    wanted: bool = False
    """Whether it is to be started when its turn comes: in the start-up, or in the restart of its group."""
    doomed: bool = False
    """Whether it has to end before its group starts again."""
    waits: bool = False
    """Whether its back-off is not over."""
    is_new: bool = True
    """Whether it has never started."""
    ordered_by: Order | None = None
    is_addition: bool = False
    """Whether it is there because of an order whose start may still fail."""
    failed: int = 0
    """How often in a row."""
    started_at: float | None = None
    epoch: int = 0
    """Counts what it began; a timer of something before is void."""
    body: Boss | None = None
    begun_at: float = -1.0
    """When it was last begun."""
    is_there: bool = False
    """Whether it has not ended; its supervisor hears of an end, as of a start, a moment later."""
    has_started: bool = False

    @property
    def path(self) -> str:
        return f"{self.boss.path.rstrip('/')}/{self.spec.name}"

    @property
    def is_alive(self) -> bool:
        return self.state in ("starting", "running", "stopping")

    @property
    def is_coming_back(self) -> bool:
        """Whether it is about to be started again, or is starting again."""
        return self.wanted or self.state == "restarting" or (self.state == "starting" and not self.is_new)

    def start(self) -> None:
        self.state, self.wanted, self.doomed, self.waits = "starting", False, False, False
        self.is_there, self.has_started = True, False
        self.epoch += 1
        world = self.boss.world
        self.begun_at = world.now
        if isinstance(self.spec, Tree):
            self.body = Boss(world, self.spec, self)
            world.later(self, 0, self.body.go_on)
        elif world.failures[self.path] > 0:
            world.failures[self.path] -= 1
            world.later(self, 0, lambda: self.finish("error"))
        else:
            world.later(self, self.spec.start_seconds, self.tell_start)

    def tell_start(self) -> None:
        """It has started: its supervisor will hear of it."""
        self.has_started = True
        self.epoch += 1
        if isinstance(self.spec, Leaf):
            self.boss.world.trace.append(("+", self.path))
        self.boss.world.soon(lambda: self.boss.hear_start(self))

    def ask_to_stop(self) -> None:
        """Ask it once; a worker that is starting ends at once, one that runs takes its time, or the time it has."""
        if not self.is_alive or self.state == "stopping":
            return
        self.state = "stopping"
        if self.body is not None:
            self.body.stop()
        elif self.is_there:
            assert isinstance(self.spec, Leaf)
            self.epoch += 1
            if self.spec.shutdown == "kill":
                self.end("killed")
            elif self.spec.stop_seconds == 0 or not self.has_started:
                self.end("shutdown")
            else:
                self.boss.world.later(self, self.spec.stop_seconds, lambda: self.end("shutdown"))
                self.boss.world.later(self, self.spec.shutdown, lambda: self.end("killed"))

    def finish(self, kind: Kind) -> None:
        """A worker ends by itself: it raises, or returns, which counts as a start, too."""
        self.boss.note(self, kind)
        if kind == "normal" and not self.has_started:
            self.boss.world.soon(lambda: self.boss.hear_start(self))
        self.end(kind)

    def kill(self) -> None:
        """End it now, with everything below it."""
        self.boss.note(self, "killed")
        if self.body is not None:
            self.body.vanish()
        self.end("killed")

    def end(self, kind: Kind) -> None:
        """It has ended: its supervisor will hear of it."""
        if not self.is_there:
            return
        self.is_there, self.body = False, None
        self.epoch += 1
        if isinstance(self.spec, Leaf) and self.has_started:
            self.boss.world.trace.append(("-", self.path))
        self.boss.world.soon(lambda: self.boss.hear_end(self, kind))

    def answer(self, result: str) -> None:
        order, self.ordered_by = self.ordered_by, None
        if order is not None:
            order.result = result


@attrs.define(eq=False)
class Order:
    """What somebody asked of a supervisor, and what came of it."""

    what: Literal["start_child", "restart_child", "delete_child"]
    name: str
    spec: Spec | None = None
    result: str | None = None
    is_tie: bool = False
    """Whether its supervisor began to stop in the moment in which the child was begun: then either may have been first."""


@attrs.define(eq=False)
class Boss:
    """One incarnation of a supervisor."""

    world: World
    spec: Tree
    member: Member | None
    """What it is to its own supervisor; the root is nothing to anybody."""
    members: dict[str, Member] = attrs.field(factory=dict, init=False)
    mode: Literal["starting", "up", "stopping"] = attrs.field(default="starting", init=False)
    up_at: float | None = attrs.field(default=None, init=False)
    """When all its static members had started."""
    ends_as: Kind = attrs.field(default="shutdown", init=False)
    restarts: deque[float] = attrs.field(factory=deque, init=False)
    begun: Member | None = attrs.field(default=None, init=False)
    """What it started last of what is started one after the other."""
    queue: deque[Order] = attrs.field(factory=deque, init=False)
    postponed: list[Member] = attrs.field(factory=list, init=False)
    """Whose groups are to be restarted when the start-up is over."""
    is_gone: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        for spec in self.spec.children:
            self.members[spec.name] = Member(spec, self, wanted=True)

    @property
    def path(self) -> str:
        return "/" if self.member is None else self.member.path

    # What is done one after the other.

    def what_next(self) -> Literal["busy", "waiting", "done"]:
        """Take the next step, if there is one that need not wait."""
        in_order = list(self.members.values())
        doomed = [member for member in in_order if member.doomed and member.is_alive]
        if doomed:
            doomed[-1].ask_to_stop()
            return "busy"
        if self.begun is not None and self.begun.state in ("starting", "stopping"):
            return "busy"
        wanted = [member for member in in_order if member.wanted]
        if any(member.waits for member in wanted):
            return "waiting"
        if wanted:
            self.begun = wanted[0]
            self.begun.start()
            return "busy"
        return "done"

    def go_on(self) -> None:
        """Do what is to be done now."""
        if self.is_gone:
            return
        if self.mode == "stopping":
            self.go_on_stopping()
            return
        progress = self.what_next()
        if progress == "busy" or (progress == "waiting" and self.mode == "starting") or self.is_gone:
            return
        if self.mode == "starting":
            self.mode = "up"
            self.up_at = self.world.now
            if self.member is not None:
                self.member.tell_start()
            postponed, self.postponed = self.postponed, []
            for member in postponed:
                if member.state == "restarting" and not member.wanted:
                    self.count_restart(member)
            if postponed:
                self.go_on()
                return
        if progress == "done":
            self.begun = None
        while self.queue:
            self.carry_out(self.queue.popleft())

    def go_on_stopping(self) -> None:
        alive = [member for member in self.members.values() if member.is_alive]
        if not alive:
            self.is_gone = True
            if self.member is not None:
                self.member.end(self.ends_as)
        elif self.spec.strategy == "dynamic":
            for member in alive:
                member.ask_to_stop()
        else:
            alive[-1].ask_to_stop()

    @property
    def is_busy(self) -> bool:
        """Whether orders have to wait."""
        if self.mode == "starting" or any(member.doomed and member.is_alive for member in self.members.values()):
            return True
        if self.begun is not None and self.begun.state in ("starting", "stopping"):
            return True
        return any(member.wanted for member in self.members.values()) and not self.waits

    @property
    def waits(self) -> bool:
        return any(member.wanted and member.waits for member in self.members.values())

    def stop(self) -> None:
        """Stop all members; for the first reason there is."""
        if self.mode == "stopping":
            return
        self.mode = "stopping"
        for member in tuple(self.members.values()):
            if member.ordered_by is not None and member.begun_at == self.world.now:
                member.ordered_by.is_tie = True
                self.world.restless.add(self.path)
            member.wanted = member.doomed = False
            if not member.is_alive:
                self.let_go(member)
        while self.queue:
            self.queue.popleft().result = "refused"
        self.go_on()

    def vanish(self) -> None:
        """Be killed: everything below ends at once."""
        self.is_gone = True
        self.world.killed.add(self.path)
        while self.queue:
            self.queue.popleft().result = "refused"
        for member in self.members.values():
            if member.body is not None:
                member.body.vanish()
            elif member.is_there and member.has_started:
                self.world.trace.append(("-", member.path))
            member.is_there, member.body, member.state = False, None, "stopped"
            member.epoch += 1
            member.answer("failed")

    # Ends.

    def hear_start(self, member: Member) -> None:
        """A member has started."""
        if member.state == "starting" and not self.is_gone:
            member.state, member.is_new = "running", False
            if member.failed:
                member.started_at = self.world.now
            member.answer("started")
            self.go_on()

    def hear_end(self, member: Member, kind: Kind) -> None:
        """Judge the end of a member."""
        if self.is_gone:
            return
        if kind == "gave_up":
            self.note(member, "error")
        prior, member.state = member.state, "stopped"
        restart = member.spec.restart
        is_abnormal = kind in ("error", "killed", "gave_up")
        if prior == "stopping" and member.wanted:
            member.state = "restarting"
        elif self.mode == "stopping" or prior == "stopping":
            self.let_go(member)
        elif prior == "starting" and member.is_new and is_abnormal:
            self.start_has_failed(member)
        elif restart == "temporary" or (restart == "transient" and not is_abnormal):
            self.let_go(member)
        elif member.wanted:
            member.state = "restarting"
        elif self.mode == "starting" and self.spec.strategy in ("one_for_all", "rest_for_one"):
            member.state = "restarting"
            self.postponed.append(member)
        else:
            self.count_restart(member)
        self.go_on()

    def count_restart(self, member: Member) -> None:
        """Start a member again, unless that is once too often."""
        if self.up_at == self.world.now:
            self.world.restless.add(self.path)
        if self.is_too_often():
            self.let_go(member)
            self.ends_as = "gave_up"
            self.stop()
        else:
            self.restart(member)

    def start_has_failed(self, member: Member) -> None:
        if member.ordered_by is not None:
            member.answer("failed")
            self.let_go(member, is_dropped=member.is_addition)
        else:
            self.let_go(member)
            self.ends_as = "error"
            self.stop()

    def is_too_often(self) -> bool:
        self.restarts.append(self.world.now)
        while self.world.now - self.restarts[0] > self.spec.max_seconds:
            self.restarts.popleft()
        return len(self.restarts) > self.spec.max_restarts

    def restart(self, failed: Member) -> None:
        """Start a member again, and with it whom the strategy says, now or after its back-off."""
        failed.state = "restarting"
        if self.spec.backoff is not None:
            self.back_off(failed, *self.spec.backoff)
        if self.spec.strategy in ("one_for_one", "dynamic"):
            if not failed.waits:
                failed.start()
            return
        failed.wanted = True
        in_order = list(self.members.values())
        group = in_order if self.spec.strategy == "one_for_all" else in_order[in_order.index(failed) :]
        for member in group:
            is_there = member.wanted or member.state in ("starting", "running", "restarting")
            member.wanted = is_there and member.spec.restart != "temporary"
            member.doomed = member.is_alive

    def back_off(self, failed: Member, first: float, longest: float) -> None:
        if failed.started_at is not None and self.world.now - failed.started_at >= longest:
            failed.failed = 0
        seconds = min(first * 2**failed.failed, longest)
        failed.failed, failed.started_at, failed.waits = failed.failed + 1, None, True

        def is_over() -> None:
            failed.waits = False
            if failed.wanted:
                self.go_on()
            else:
                failed.start()

        self.world.later(failed, seconds, is_over)

    def let_go(self, member: Member, *, is_dropped: bool = False) -> None:
        """A member is not coming back; its spec stays, unless it was only good for this once."""
        member.state, member.wanted, member.doomed, member.waits = "stopped", False, False, False
        member.epoch += 1
        member.answer("failed")
        if is_dropped or member.spec.restart == "temporary" or self.spec.strategy == "dynamic":
            self.members.pop(member.spec.name, None)

    def note(self, member: Member, kind: str) -> None:
        """Count an end of which this supervisor has not heard yet, by what it is at."""
        others = [other for other in self.members.values() if other is not member]
        if self.mode == "stopping":
            phase = "supervisor stopping"
        elif self.mode == "starting":
            phase = "starting"
        elif member.doomed or any(other.is_coming_back for other in others):
            phase = "restart under way"
        else:
            phase = "starting" if member.state == "starting" else "running"
        self.world.cells[self.spec.strategy, member.spec.restart, kind, phase] += 1

    # Orders.

    def order(self, order: Order) -> None:
        """Carry it out, queue it, or refuse it."""
        if self.mode == "stopping" or self.is_gone:
            order.result = "refused"
        elif self.is_busy:
            self.queue.append(order)
        else:
            self.carry_out(order)

    def carry_out(self, order: Order) -> None:
        member = self.members.get(order.name)
        if order.what == "start_child":
            if member is not None:
                order.result = "present" if member.state == "stopped" else "running"
                return
            assert order.spec is not None
            member = self.members[order.name] = Member(order.spec, self, is_addition=True)
        elif member is None:
            order.result = "unknown"
            return
        elif member.state != "stopped":
            order.result = "running"
            return
        elif order.what == "delete_child":
            del self.members[order.name]
            order.result = "done"
            return
        else:
            member.is_new, member.is_addition, member.failed = True, False, 0
        member.ordered_by = order
        self.world.loose[member.path] = member
        member.start()

    def stop_member(self, member: Member) -> None:
        """Stop a member for good, whatever it is at."""
        member.wanted = False
        if member.is_alive:
            self.note(member, "stopped")
            member.ask_to_stop()
        elif member.state == "restarting" or member.is_new:
            self.let_go(member)
        self.go_on()
