"""Administration: the orders of callers, a clause for each."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tinyagent_actors._errors import (
    AlreadyPresentError,
    AlreadyStartedError,
    ChildNotFoundError,
    ChildRunningError,
    MaxChildrenError,
    SpecError,
)
from tinyagent_actors.actors import CancelCause, ChildSpec, ReplySlot
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_runner import ChildRunner
from tinyagent_actors.supervision._children import Children
from tinyagent_actors.supervision._options import SupervisorOptions
from tinyagent_actors.supervision._orders import (
    DeleteChild,
    Mutation,
    RestartChild,
    RollBack,
    StartChild,
    TerminateChild,
)


@attrs.define(eq=False)
class Administration:
    """Carries out what callers ask of one incarnation of a supervisor, once it may: it neither starts nor stops.

    A caller waits on the slot of his order. It is filled here where there is nothing to wait for, else when the child has
    started or ended.
    """

    path: str
    _children: Children
    _runner: ChildRunner
    _options: SupervisorOptions
    _post: Callable[[RollBack], None]
    """Puts an order on the supervisor's lane."""

    def carry_out(self, order: Mutation) -> None:
        """Do it, begin it, or refuse it."""
        if isinstance(order, StartChild):  # by far the most, so first, and without a pattern
            self._start(order.spec, order.slot)
            return
        match order:
            case TerminateChild(name, cause, slot):
                self._terminate(name, cause, slot)
            case RestartChild(name, slot):
                self._restart(name, slot)
            case DeleteChild(name, slot):
                self._delete(name, slot)

    def roll_back(self, child: Child, cause: CancelCause) -> None:
        """Undo a start: the child ends, and the spec that came with the order goes."""
        child.is_dropped = child.is_addition
        child.on_started = None
        if child.address.is_gone and child.is_dropped:
            self._children.forget(child)
        self.end(child, cause)

    def end(self, child: Child, cause: CancelCause) -> None:
        """Let a child end for good: asked to stop if it runs, at once if it waits to be started."""
        child.is_to_start = False
        if child.cell is not None:
            self._runner.stop(child, cause)
        elif not child.address.is_gone:
            self._runner.timers.disarm(child)
            self._children.end(child)

    def _start(self, spec: ChildSpec, slot: ReplySlot) -> None:
        known = self._children.named(spec.name)
        if known is not None:
            slot.fail(
                AlreadyPresentError(self.path, spec.name)
                if known.state == "stopped"
                else AlreadyStartedError(self.path, spec.name, known.ref)
            )
        elif spec.significant and self._options.auto_shutdown == "never":
            slot.fail(SpecError("significant", f"means nothing to {self.path}, whose auto_shutdown is 'never'"))
        elif self._options.max_children is not None and len(self._children) >= self._options.max_children:
            slot.fail(MaxChildrenError(self.path, self._options.max_children))
        elif not slot.is_withdrawn:
            self._start_for(self._children.add(spec, self._runner.new_address(spec), is_addition=True), slot)

    def _restart(self, name: str, slot: ReplySlot) -> None:
        child = self._children.named(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        elif not slot.is_withdrawn:
            child.address = self._runner.new_address(child.spec)
            child.is_new = True
            child.is_addition = False
            child.failures = 0
            self._children.begin(child)
            self._start_for(child, slot)

    def _start_for(self, child: Child, slot: ReplySlot) -> None:
        child.on_started = slot
        address = child.address
        self._runner.start(child)
        cause = ("the caller of start_child", "it went away", "stop")
        slot.on_withdraw(lambda: self._post(RollBack(address, CancelCause(*cause))))

    def _terminate(self, name: str, cause: CancelCause, slot: ReplySlot) -> None:
        child = self._children.named(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state == "stopped":
            slot.resolve(None)
        else:
            child.on_ended.append(slot)
            self.end(child, cause)

    def _delete(self, name: str, slot: ReplySlot) -> None:
        child = self._children.named(name)
        if child is None:
            slot.fail(ChildNotFoundError(self.path, name))
        elif child.state != "stopped":
            slot.fail(ChildRunningError(self.path, name, child.state))
        else:
            self._children.forget(child)
            slot.resolve(None)
