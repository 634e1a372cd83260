"""SupervisorRef: a ref with a supervisor behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

import trio

from tinyagent_actors._errors import ActorStoppedError, AskCycleError, ChildNotFoundError
from tinyagent_actors.actors import (
    ActorRef,
    CancelCause,
    Cell,
    ChildLike,
    ReplySlot,
    current_cell,
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
        child = self._supervisor().children.get(name)
        if child is None:
            raise ChildNotFoundError(self.path, name)
        ref = child.ref
        if not isinstance(ref, ref_type):
            message = f"{ref.path} is reached by a {type(ref).__name__}, not by a {ref_type.__name__}"
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
            for child in self._supervisor().children.values()
        )

    def count_children(self) -> ChildCount:
        """Count specs, those that run, and how many of the specs are supervisors and workers."""
        children = self._supervisor().children.values()
        supervisors = sum(issubclass(child.spec.ref_type, SupervisorRef) for child in children)
        active = sum(child.cell is not None for child in children)
        return ChildCount(len(children), active, supervisors, len(children) - supervisors)

    async def start_child(self, child: ChildLike) -> Any:
        """Start a new child and wait until it has started (a supervisor: with all its children).

        Cancelling it while it starts rolls the child back.

        Returns:
            Its ref; None if it had nothing to do (`Ignore`).

        Raises:
            SpecError: The spec is wrong; nothing was started.
            StartFailedError: It raised, or was stopped, before it had started; `cause` says what.
            StartTimeoutError: It had not started after its `start_timeout`.
            AlreadyStartedError: A child of that name runs.
            AlreadyPresentError: A child of that name is kept, stopped.
            AskCycleError: The caller is a child of this supervisor that is itself still starting, or stands below one.
            SupervisorStoppingError: The supervisor is stopping.
            ActorStoppedError: It is gone.
        """
        spec = to_child_spec(child)
        await trio.lowlevel.checkpoint_if_cancelled()
        caller = current_cell()
        if caller is not None and not caller.has_started and self._waits_for(caller):
            raise AskCycleError((caller.path, self.path, caller.path))
        return await self._order(StartChild(spec, self._slot()))

    async def terminate_child(self, child: str | ActorRef, why: str = "terminate_child()") -> None:
        """Stop a child and wait until it is gone. Its spec is kept unless it is temporary; a second call changes nothing (S12).

        Cancelling the wait: the stop goes on.

        Raises:
            ChildNotFoundError: There is no such child; a ref of somebody else's is none.
            SupervisorStoppingError: The supervisor is stopping.
            ActorStoppedError: It is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        caller = current_cell()
        cause = CancelCause("outside" if caller is None else caller.path, why, "stop")
        await self._order(TerminateChild(self._name_of(child), cause, self._slot()))

    async def restart_child(self, name: str) -> Any:
        """Start a stopped child again, as a new one, and wait until it has started; as `start_child`.

        Raises:
            ChildNotFoundError: There is no such child.
            ChildRunningError: It runs.
            StartFailedError: It failed to start; its spec is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._order(RestartChild(name, self._slot()))

    async def delete_child(self, name: str) -> None:
        """Drop the spec of a stopped child.

        Raises:
            ChildNotFoundError: There is no such child.
            ChildRunningError: It runs.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._order(DeleteChild(name, self._slot()))

    def _waits_for(self, caller: Cell) -> bool:
        """Whether this supervisor cannot carry out an order of a starting actor before that has started."""
        supervisor = self._supervisor()
        is_below = caller.path.startswith(f"{self.path.rstrip('/')}/")
        return caller.address.owner is supervisor or (supervisor.is_starting and is_below)

    def _name_of(self, child: str | ActorRef) -> str:
        if isinstance(child, str):
            return child
        name = child.path.rpartition("/")[2]
        known = self._supervisor().children.get(name)
        if known is None or known.address is not child.address:
            raise ChildNotFoundError(self.path, name)
        return name

    def _slot(self) -> ReplySlot:
        return ReplySlot(self.path, trio.current_effective_deadline(), self.address.runtime.dead_letters)

    async def _order(self, order: Mutation) -> Any:
        self._supervisor().order(order)
        return await order.slot.wait()
