"""A real tree beside its model: what is done to the one is done to the other, then they are compared."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, TypeAlias

import attrs
import trio

from tests._kernel import settle
from tests.supervision._model import Boss, Member, Order
from tests.supervision._model_world import INF, Leaf, Spec, Tree, World
from tinyagent_actors import (
    ActorContext,
    ActorStoppedError,
    AlreadyPresentError,
    AlreadyStartedError,
    Backoff,
    ChildNotFoundError,
    ChildRunningError,
    ChildSpec,
    StartFailedError,
    SupervisorRef,
    SupervisorStoppingError,
    System,
    supervisor,
)

Act: TypeAlias = Literal[
    "return", "crash", "kill", "stop", "fail", "start_child", "restart_child", "delete_child", "wait"
]
TICK = 1 / 1024
"""Seconds between two acts, so that nothing ever happens at one moment that is not one thing."""
_RESULTS: dict[type[Exception], str] = {
    SupervisorStoppingError: "refused",
    ActorStoppedError: "refused",
    StartFailedError: "failed",
    AlreadyPresentError: "present",
    AlreadyStartedError: "running",
    ChildRunningError: "running",
    ChildNotFoundError: "unknown",
}


@attrs.frozen
class Step:
    """One thing that is done: to which of those it can be done to, and how much of it."""

    act: Act
    target: int
    amount: int
    is_near: bool
    """Whether it is done to one of those that the step before concerned, where there are some."""


@attrs.define(eq=False)
class Control:
    """Tells one incarnation of a worker how to end."""

    command: str | None = None
    _given: trio.Event = attrs.field(factory=trio.Event)

    def give(self, command: str) -> None:
        self.command = command
        self._given.set()

    async def wait(self, ctx: ActorContext, seconds: float, *, also_stop: bool) -> str | None:
        """Wait for a command or, if that counts, for a stop; None if neither came in time."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:

                async def wait_stopping() -> None:
                    await ctx.wait_stopping()
                    nursery.cancel_scope.cancel()

                if also_stop:
                    nursery.start_soon(wait_stopping)
                await self._given.wait()
                nursery.cancel_scope.cancel()
        if self.command is not None:
            return self.command
        return "stop" if also_stop and ctx.stopping is not None else None


@attrs.define(eq=False)
class Rig:
    """Both of them, and what is compared."""

    system: System
    nursery: trio.Nursery
    world: World = attrs.field(factory=World, init=False)
    root: Boss = attrs.field(init=False)
    trace: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    failures: Counter[str] = attrs.field(factory=Counter, init=False)
    controls: dict[str, Control] = attrs.field(factory=dict, init=False)
    orders: list[tuple[Order, Order]] = attrs.field(factory=list, init=False)
    """The real ones, and the model's."""
    near: Boss | None = attrs.field(default=None, init=False)
    """The supervisor that the step before concerned."""
    log: list[str] = attrs.field(factory=list, init=False)
    """What was done so far."""

    def __attrs_post_init__(self) -> None:
        self.root = Boss(self.world, Tree("root", "permanent", "one_for_one", max_restarts=10**9), None)
        self.root.go_on()

    # The real tree.

    def to_child_spec(self, spec: Spec) -> ChildSpec:
        if isinstance(spec, Leaf):
            return ChildSpec(spec.name, self._work, args=(spec,), restart=spec.restart, shutdown=spec.shutdown)
        return supervisor(
            spec.name,
            strategy=spec.strategy,
            children=[self.to_child_spec(child) for child in spec.children],
            max_restarts=spec.max_restarts,
            max_seconds=spec.max_seconds,
            backoff=None if spec.backoff is None else Backoff(*spec.backoff, jitter=0),
            restart=spec.restart,
        )

    async def _work(self, ctx: ActorContext, leaf: Leaf) -> None:
        control = self.controls[ctx.path] = Control()
        if self.failures[ctx.path] > 0:
            self.failures[ctx.path] -= 1
            raise LookupError(ctx.path)
        command = None
        if leaf.start_seconds:
            command = await control.wait(ctx, leaf.start_seconds, also_stop=True)
        if command is not None or ctx.stopping is not None:
            return _obey(command or "stop")
        ctx.started()
        self.trace.append(("+", ctx.path))
        try:
            command = await control.wait(ctx, INF, also_stop=True)
            if command == "stop" and leaf.stop_seconds:
                command = await control.wait(ctx, leaf.stop_seconds, also_stop=False)
            return _obey(command or "stop")
        finally:
            self.trace.append(("-", ctx.path))

    async def _order(self, team: SupervisorRef, order: Order) -> None:
        try:
            if order.what == "start_child":
                assert order.spec is not None
                await team.start_child(self.to_child_spec(order.spec))
                order.result = "started"
            elif order.what == "restart_child":
                await team.restart_child(order.name)
                order.result = "started"
            else:
                await team.delete_child(order.name)
                order.result = "done"
        except tuple(_RESULTS) as error:
            order.result = next(word for kind, word in _RESULTS.items() if isinstance(error, kind))

    # What is done to both.

    def members(self) -> list[Member]:
        """Give all members of all supervisors that live."""
        return [member for boss in self.bosses() for member in boss.members.values()]

    def bosses(self) -> list[Boss]:
        """Give all supervisors that live, from the top."""
        found = [self.root]
        for boss in found:
            found += [member.body for member in boss.members.values() if member.body is not None and member.is_alive]
        return found

    def ref(self, path: str) -> Any:
        return self.system.root if path == "/" else self.system.child(path)

    def give_order(self, boss: Boss, order: Order) -> None:
        """Order something of a supervisor."""
        real = attrs.evolve(order)
        self.log.append(f"{self.world.now:.3f} {order.what} {order.name} of {boss.path}: {order.spec}")
        self.nursery.start_soon(self._order, self.ref(boss.path), real)
        boss.order(order)
        self.orders.append((real, order))

    def do(self, step: Step, spec: Spec) -> bool:
        """Do a step to both; False if there is nothing to which it could be done."""
        if step.act in ("start_child", "restart_child", "delete_child"):
            return self._do_order(step, spec)
        workers = [member for member in self.members() if isinstance(member.spec, Leaf)]
        if step.act in ("return", "crash", "fail"):
            choice = [member for member in workers if member.state not in {"stopped", "restarting"}]
        else:
            choice = [member for member in self.members() if member.state != "stopped"]
        if step.act == "return":  # it is a start, too: where that ends a start-up, two supervisors would go on at once
            choice = [member for member in choice if member.state != "starting" or member.boss.mode != "starting"]
        if not choice:
            return False
        if step.is_near:
            choice = [member for member in choice if member.boss is self.near] or choice
        member = choice[step.target % len(choice)]
        self.log.append(f"{self.world.now:.3f} {step.act} {member.path}, which was {member.state}")
        self.near = member.body if step.act == "stop" and member.body is not None else member.boss
        if step.act == "kill":
            self.ref(member.path).kill()
            member.kill()
        elif step.act == "stop":
            self.nursery.start_soon(self.ref(member.path).stop)
            member.boss.stop_member(member)
        else:
            if step.act == "fail":
                self.failures[member.path] = self.world.failures[member.path] = 1 + step.amount % 3
            self.controls[member.path].give("return" if step.act == "return" else "crash")
            member.finish("normal" if step.act == "return" else "error")
        return True

    def _do_order(self, step: Step, spec: Spec) -> bool:
        if step.act == "start_child":
            bosses = self.bosses()[1:]
            if not bosses:
                return False
            boss = self.near if step.is_near and self.near in bosses else bosses[step.target % len(bosses)]
            names = list(boss.members)
            name = names[step.amount % len(names)] if names and step.amount % 4 == 0 else spec.name
            self.give_order(boss, Order("start_child", name, attrs.evolve(spec, name=name)))
            return True
        stopped = [member for member in self.members() if member.state in ("stopped", "restarting")]
        if not stopped:
            return False
        member = stopped[step.target % len(stopped)]
        self.give_order(member.boss, Order(step.act, member.spec.name))  # type: ignore[arg-type]  # one of the two
        return True

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for both."""
        await settle()
        self.world.pass_time(seconds)
        await trio.sleep(seconds)
        await settle()

    # What is compared.

    def compare(self) -> None:
        """See that both are alike.

        Raises:
            AssertionError: They are not; it says where.
        """
        self._see("states", self.shown(self.system.root), shown(self.root))
        ties = {"started", "failed"}
        orders = [pair for pair in self.orders if not (pair[1].is_tie and {each.result for each in pair} <= ties)]
        self._see("orders", [real.result for real, _ in orders], [order.result for _, order in orders])
        self._see("starts and ends", *(sorted(self.settled(trace)) for trace in (self.trace, self.world.trace)))
        for boss in self.bosses():
            if boss.spec.strategy != "dynamic":
                real, rules = (self.projected(trace, boss.path) for trace in (self.trace, self.world.trace))
                self._see(f"order below {boss.path}", real, rules)
        self.orders = [pair for pair in self.orders if pair[1].result is None]
        self.trace.clear()
        self.world.trace.clear()
        self.world.killed.clear()
        self.world.restless.clear()
        for path, member in tuple(self.world.loose.items()):
            if member.state != "starting":
                del self.world.loose[path]

    def settled(self, trace: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Leave out what happened below supervisors that went on while the one above did, too: either may have been first."""
        restless = self.world.restless
        return [(sign, worker) for sign, worker in trace if not any(is_below(worker, other) for other in restless)]

    def projected(self, trace: list[tuple[str, str]], path: str) -> list[tuple[str, str]]:
        """Give in which order the children of a supervisor started and ended, as their workers tell it.

        The ends of those that were killed with their supervisor have no order, nor have the starts of those that were
        started by order.
        """
        loose = {other for other in self.world.loose if is_below(other, path)}
        steps: list[tuple[str, str]] = []
        for sign, worker in self.settled(trace):
            apart = self.world.killed if sign == "-" else loose
            if is_below(worker, path) and not any(worker == other or is_below(worker, other) for other in apart):
                step = (sign, worker.removeprefix(path.rstrip("/") + "/").partition("/")[0])
                if steps[-1:] != [step]:
                    steps.append(step)
        return steps

    def _see(self, what: str, real: object, rules: object) -> None:
        if real != rules:
            done = "\n  ".join(self.log)
            raise AssertionError(f"{what} differ\nreal : {real}\nrules: {rules}\nafter\n  {done}")

    def shown(self, team: SupervisorRef) -> dict[str, Any]:
        """Give the states of a real subtree."""
        return {
            info.name: (info.state, self.shown(team.child(info.name)))
            if info.is_supervisor and info.ref is not None
            else info.state
            for info in team.which_children()
        }


def shown(boss: Boss) -> dict[str, Any]:
    """Give the states of a subtree of the model."""
    return {
        name: (member.state, shown(member.body)) if member.body is not None and member.is_alive else member.state
        for name, member in boss.members.items()
    }


def is_below(path: str, top: str) -> bool:
    """Whether it stands below, and is not the same."""
    return path.startswith(top.rstrip("/") + "/") and path != top


def _obey(command: str) -> None:
    if command == "crash":
        raise ValueError(command)
