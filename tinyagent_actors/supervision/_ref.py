"""SupervisorRef: a ref with a supervisor behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_origin, overload

import trio

from tinyagent_actors._errors import ActorStoppedError, AskCycleError, ChildNotFoundError, SpecError
from tinyagent_actors.actors import (
    ActorRef,
    CancelCause,
    ChildLike,
    ChildSpec,
    HasChildSpec,
    MessageT,
    ReplySlot,
    ReplyT,
    caller_deadline,
    is_cancelled,
    leave_subtree,
    living_cell,
    name_of_caller,
    to_child_spec,
)
from tinyagent_actors.supervision._child import ChildCount, ChildInfo
from tinyagent_actors.supervision._orders import DeleteChild, Mutation, RestartChild, StartChild, TerminateChild

if TYPE_CHECKING:
    from tinyagent_actors.supervision._supervisor import Supervisor

RefT = TypeVar("RefT", bound=ActorRef)


class SupervisorRef(ActorRef):
    """A reference to a supervisor. Its queries answer from state, at any time; its mutations are queued."""

    __slots__ = ()

    def _supervisor(self) -> Supervisor:
        found: Supervisor | None = self.address.body
        if found is None or self.address.is_gone:
            raise ActorStoppedError(self.path)
        return found

    @overload
    def child(self, name: str) -> Any: ...

    @overload
    def child(self, name: str, ref_type: type[RefT]) -> RefT: ...

    def child(self, name: str, ref_type: type[ActorRef] = ActorRef) -> Any:
        """Give a ref of the present incarnation of the child `name`; with `ref_type`, typed and checked.

        Raises:
            ChildNotFoundError: There is no such child.
            TypeError: It is not of that type.
            ActorStoppedError: The supervisor is gone.
        """
        child = self._supervisor().children.named(name)
        if child is None:
            raise ChildNotFoundError(self.path, name)
        ref = child.ref
        kind = get_origin(ref_type) or ref_type
        if not isinstance(ref, kind):
            message = f"{ref.path} is reached by a {type(ref).__name__}, not by a {kind.__name__}"
            raise TypeError(message)
        return ref

    def which_children(self) -> tuple[ChildInfo, ...]:
        """List the children in the order they were added, also those that are stopped."""
        return tuple(
            ChildInfo(
                child.spec.name,
                None if child.cell is None else child.ref,
                child.state,
                child.spec.restart,
                issubclass(child.spec.ref_type, SupervisorRef),
            )
            for child in self._supervisor().children
        )

    def count_children(self) -> ChildCount:
        """Count specs, those that run, and how many of the specs are supervisors and workers."""
        children = self._supervisor().children
        supervisors = sum(issubclass(child.spec.ref_type, SupervisorRef) for child in children)
        active = sum(child.cell is not None for child in children)
        return ChildCount(len(children), active, supervisors, len(children) - supervisors)

    @overload
    async def start_child(self, child: ChildSpec[Any, Any, RefT] | HasChildSpec[RefT]) -> RefT: ...

    @overload
    async def start_child(self, child: ChildSpec[MessageT, ReplyT]) -> ActorRef[MessageT, ReplyT]: ...

    @overload
    async def start_child(self, child: HasChildSpec[Any]) -> Any: ...

    async def start_child(self, child: ChildLike) -> Any:
        """Start a new child and wait until it has started (a supervisor: with all its children).

        Cancelling it while it starts rolls the child back.

        Returns:
            Its ref, of the type that its spec tells; None if it had nothing to do (`Ignore`).

        Raises:
            SpecError: The spec is wrong; nothing was started.
            StartFailedError: It raised, or was stopped, before it had started; `cause` says what.
            StartTimeoutError: It had not started after its `start_timeout`.
            AlreadyStartedError: A child of that name runs.
            AlreadyPresentError: A child of that name is kept, stopped.
            MaxChildrenError: The supervisor has as many children as it may.
            AskCycleError: The caller is a child of this supervisor that is itself still starting, or stands below one; or
                the supervisor restarts a group, and waits for the caller to end.
            SupervisorStoppingError: The supervisor is stopping.
            ActorStoppedError: It is gone.
        """
        spec = to_child_spec(child)
        task = trio.lowlevel.current_task()
        if is_cancelled(task):
            await trio.lowlevel.checkpoint_if_cancelled()
        address = self.address
        slot = ReplySlot(address.path, caller_deadline(task), address.runtime.dead_letters)
        return await self._order(StartChild(spec, slot))

    async def start_another(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Start a child made of the supervisor's `template` and wait until it has started; as `start_child`.

        Args:
            *args: What its function gets after the template's own `args`.
            name: Its name; None: that of the template with a number that was never used before, such as ``worker-7``.
            **kwargs: What its function gets besides the template's own `kwargs`.

        Returns:
            Its ref; None if it had nothing to do (`Ignore`).

        Raises:
            SpecError: The supervisor has no template; nothing was started.
            MaxChildrenError: The supervisor has as many children as it may.
        """
        supervisor = self._supervisor()
        if supervisor.template is None:
            raise SpecError("template", f"{self.path} has none")
        return await self.start_child(supervisor.template.another(args, kwargs, name, supervisor.children))

    @trio.lowlevel.enable_ki_protection
    async def terminate_child(self, child: str | ActorRef, why: str = "terminate_child()") -> None:
        """Stop a child and wait until it is gone. Its spec is kept unless it is temporary; a second call changes nothing (S12).

        From inside the subtree that is being stopped, the caller is cancelled at once and this never returns, as with
        `ref.stop()` (S39).

        Cancelling the wait: the stop goes on.

        Raises:
            AskCycleError: The caller stands below this supervisor, which is starting, or restarts a group, and waits for it.
            ChildNotFoundError: There is no such child; a ref of somebody else's is none.
            SupervisorStoppingError: The supervisor is stopping.
            ActorStoppedError: It is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        cause = CancelCause(name_of_caller(), why, "stop")
        name = self._name_of(child)
        order = TerminateChild(name, cause, self._slot())
        self._post(order)
        known = self._supervisor().children.named(name)
        if known is not None:
            await leave_subtree(known.address, cause)
        await order.slot.wait()

    async def restart_child(self, name: str) -> Any:
        """Start a stopped child again, as a new one, and wait until it has started; as `start_child`.

        Raises:
            ChildNotFoundError: There is no such child.
            ChildRunningError: It runs.
            StartFailedError: It failed to start; its spec is kept.
            AskCycleError: The caller stands below this supervisor, which is starting, or restarts a group, and waits for it.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._order(RestartChild(name, self._slot()))

    async def delete_child(self, name: str) -> None:
        """Drop the spec of a stopped child.

        Raises:
            ChildNotFoundError: There is no such child.
            ChildRunningError: It runs.
            AskCycleError: The caller stands below this supervisor, which is starting, or restarts a group, and waits for it.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._order(DeleteChild(name, self._slot()))

    def _refuse_circle(self, order: Mutation) -> None:
        """Refuse an order that has to wait for its own caller: to have started, or to have ended."""
        caller = living_cell(self.address.runtime)
        if caller is None:
            return
        supervisor = self._supervisor()
        if caller.has_started:
            is_own_end = isinstance(order, TerminateChild) and caller.is_below(supervisor.path_of(order.name))
            is_circle = not is_own_end and supervisor.waits_for_end_of(caller)
        else:
            is_own_start = isinstance(order, StartChild) and caller.address.owner is supervisor
            is_circle = is_own_start or (supervisor.is_busy and caller.is_below(self.path))
        if is_circle:
            raise AskCycleError((caller.path, self.path, caller.path))

    def _name_of(self, child: str | ActorRef) -> str:
        if isinstance(child, str):
            return child
        name = child.address.name
        known = self._supervisor().children.named(name)
        if known is None or known.address is not child.address:
            raise ChildNotFoundError(self.path, name)
        return name

    def _slot(self) -> ReplySlot:
        return ReplySlot(self.path, caller_deadline(trio.lowlevel.current_task()), self.address.runtime.dead_letters)

    def _post(self, order: Mutation) -> None:
        self._refuse_circle(order)
        self._supervisor().order(order)

    @trio.lowlevel.enable_ki_protection
    async def _order(self, order: Mutation) -> Any:
        self._post(order)
        return await order.slot.wait()
