"""System: a tree with an owner."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar, overload

import attrs
import trio

from tinyagent_actors._errors import ChildNotFoundError, SystemFailedError
from tinyagent_actors.actors import (
    ActorRef,
    ApprovalRequest,
    CancelCause,
    ChildLike,
    ChildSpec,
    HasChildSpec,
    Leftovers,
    MessageT,
    Policy,
    Publication,
    ReplyT,
    Runtime,
    Subscription,
    Via,
    as_fact,
    name_of_caller,
)
from tinyagent_actors.agents import LeaseState, Spending, ledger_of
from tinyagent_actors.events import SystemStoppedEvent
from tinyagent_actors.supervision import CLEANUP_GRACE, ChildCount, ChildInfo, SupervisorRef
from tinyagent_actors.system._root import Root
from tinyagent_actors.tracing import EventLog

RefT = TypeVar("RefT", bound=ActorRef)

open_systems: Final[trio.lowlevel.RunVar[list[System]]] = trio.lowlevel.RunVar("tinyagent_actors_systems")
"""The systems that signals stop; set by `run`."""
closed_runtimes: Final[trio.lowlevel.RunVar[list[Runtime]]] = trio.lowlevel.RunVar("tinyagent_actors_closed")
"""What `run` looks through for tasks left behind; set by `run`."""


@attrs.define(eq=False)
class System:
    """A supervised tree and what its members share. Made by `open_system`."""

    name: str
    runtime: Runtime = attrs.field(repr=False)
    _root: Root = attrs.field(repr=False)
    _log: EventLog | None = attrs.field(default=None, repr=False)
    body: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    """Around the block of `open_system`."""
    _fatal: BaseException | None = attrs.field(default=None, init=False, repr=False)
    _cause: CancelCause | None = attrs.field(default=None, init=False, repr=False)
    _patience: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    """Around the wait for the ordered stop; cancelled by whoever is in a hurry."""
    is_stopped: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.runtime.on_fatal = self._stop_fatally
        self.runtime.ref_at = self.child
        self._root.on_end = lambda: self.body.cancel(reason="the root supervisor ended")

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor."""
        return self._root.ref

    @overload
    async def start_child(self, child: ChildSpec[Any, Any, RefT] | HasChildSpec[RefT]) -> RefT: ...

    @overload
    async def start_child(self, child: ChildSpec[MessageT, ReplyT]) -> ActorRef[MessageT, ReplyT]: ...

    @overload
    async def start_child(self, child: HasChildSpec[Any]) -> Any: ...

    async def start_child(self, child: ChildLike) -> Any:
        """Start a child of the root and wait until it has started; as `SupervisorRef.start_child`."""
        return await self.root.start_child(child)

    async def terminate_child(self, child: str | ActorRef, why: str = "terminate_child()") -> None:
        """Stop a child of the root and wait until it is gone; as `SupervisorRef.terminate_child`."""
        await self.root.terminate_child(child, why)

    async def restart_child(self, name: str) -> Any:
        """Start a stopped child of the root again; as `SupervisorRef.restart_child`."""
        return await self.root.restart_child(name)

    async def delete_child(self, name: str) -> None:
        """Drop the spec of a stopped child of the root; as `SupervisorRef.delete_child`."""
        await self.root.delete_child(name)

    def which_children(self) -> tuple[ChildInfo, ...]:
        """List the children of the root."""
        return self.root.which_children()

    def count_children(self) -> ChildCount:
        """Count the children of the root."""
        return self.root.count_children()

    @overload
    def child(self, path: str) -> Any: ...

    @overload
    def child(self, path: str, ref_type: type[RefT]) -> RefT: ...

    def child(self, path: str, ref_type: type[ActorRef] = ActorRef) -> Any:
        """Give a ref of the actor at `path` (``team/counter``, relative to the root; a leading ``/`` is allowed).

        Raises:
            ChildNotFoundError: There is none.
            TypeError: It is not reached by a `ref_type`.
        """
        supervisors = path.strip("/").split("/")
        name = supervisors.pop()
        ref = self.root
        for part in supervisors:
            found: ActorRef = ref.child(part)
            own = found.address.children
            if isinstance(found, SupervisorRef):
                ref = found
            elif own is not None:
                ref = own.ref
            else:
                raise ChildNotFoundError(found.path, name)
        return ref.child(name, ref_type)

    def register(self, name: str, ref: ActorRef) -> None:
        """Give a name to an actor, until the incarnation that `ref` names ends.

        Raises:
            SpecError: It is no name.
            AlreadyRegisteredError: Somebody has it.
            ActorStoppedError: That incarnation has ended.
        """
        self.runtime.registry.register(name, ref)

    def unregister(self, name: str) -> bool:
        """Free a name; whether anybody had it."""
        return self.runtime.registry.unregister(name)

    def whereis(self, where: str) -> ActorRef:
        """Give the actor that has a name, or that stands at an absolute path (``/team/reader-1``).

        Raises:
            NotRegisteredError: Nobody has the name now; whoever had it may be starting again.
            ChildNotFoundError: There is no such child.
            ActorStoppedError: The child at that path is stopped for good.
        """
        return self.runtime.whereis(where)

    async def wait_registered(self, name: str) -> ActorRef:
        """Wait until somebody has the name, and give him. Cancelling it leaves nothing behind."""
        return await self.runtime.registry.wait(name)

    def via(self, where: str) -> Via:
        """Give a way to whoever has a name, or stands at an absolute path, at the moment of each message."""
        return Via(where, self.runtime)

    def join(self, group: str, ref: ActorRef) -> None:
        """Make an actor a member of a group, until the incarnation that `ref` names ends.

        Raises:
            SpecError: That is no name of a group.
            ActorStoppedError: That incarnation has ended.
        """
        self.runtime.groups.join(group, ref)

    def leave(self, group: str, ref: ActorRef) -> bool:
        """Make an actor a member of a group no more; whether it was one."""
        return self.runtime.groups.leave(group, ref)

    def members(self, group: str) -> tuple[ActorRef, ...]:
        """Give the members of a group, or of all that match a pattern (``news/**``), in the order they joined."""
        return self.runtime.groups.members(group)

    def publish(self, group: str, message: object) -> Publication:
        """Send a message to every member of a group, or of all groups that match a pattern (``news/**``); never waits.

        A member whose mailbox is full loses it, which is counted and told by a dead letter.

        Raises:
            SpecError: The pattern is none.
        """
        return self.runtime.groups.publish(group, message)

    def subscribe(
        self, pattern: str = "**", *, policy: Policy | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Open a subscription to the events about paths that match `pattern`.

        Args:
            pattern: Relative to the root: ``team/**`` is the subtree of ``/team`` with itself.
            policy: `block()` (the default) or `conflate(n)`.

        Returns:
            An async context manager; its value is an async iterator of events and gaps.
        """
        return self.runtime.bus.subscribe(pattern, policy=policy)

    def leases(self) -> tuple[LeaseState, ...]:
        """Give what has been used, and may be, by the whole (``/``), by each agent and by each actor above one, in order of paths."""
        return ledger_of(self.runtime).states(trio.current_time())

    def spending(self, path: str = "/") -> Spending:
        """Give what was used at a path and below, agents that are gone included.

        Args:
            path: Of an actor that there is, relative to the root; of one that is gone, what it used is in the sum of what stood
                above it.
        """
        return ledger_of(self.runtime).spending("/" + path.strip("/"))

    def approvals(self) -> tuple[ApprovalRequest, ...]:
        """Give the calls that wait to be approved, at whatever depth of the tree; in the order in which they came."""
        return self.runtime.approvals.requests()

    def approve(self, request: str | ApprovalRequest) -> None:
        """Let a call run that waits to be approved. Does not wait.

        Args:
            request: It, or its id; with it itself, all of its hash is compared, with an id the beginning.

        Raises:
            ApprovalNotFoundError: There is no such request.
            ApprovalAnsweredError: It is settled already: answered, timed out, or its call was cancelled.
            ApprovalMismatchError: It is one for another tool, other arguments, or another agent.
        """
        self.runtime.approvals.approve(request, name_of_caller())

    def deny(self, request: str | ApprovalRequest, reason: str = "") -> None:
        """Have a call not run that waits to be approved; the model reads the reason. Does not wait; raises what `approve` raises."""
        self.runtime.approvals.deny(request, reason, name_of_caller())

    def leftovers(self) -> Leftovers:
        """Count and name what was told to end and still runs."""
        return self.runtime.leftovers.snapshot()

    def request_stop(self, cause: CancelCause, *, fatal: BaseException | None = None) -> None:
        """Begin the ordered stop: the body is cancelled, then the tree stops. A second call hurries it: everything is cancelled.

        Args:
            cause: Who, why, through what.
            fatal: What `open_system` raises when it is done.
        """
        if self._cause is not None:
            self.hurry(fatal)
        self._begin_stop(cause, fatal)

    def hurry(self, fatal: BaseException | None = None) -> None:
        """Wait for no ordered stop any more: cancel what is left."""
        self._fatal = self._fatal or fatal
        self._patience.cancel(reason="told twice")

    def _stop_fatally(self, error: BaseException) -> None:
        self._begin_stop(CancelCause("/", f"{type(error).__name__} left an actor", "fatal"), error)

    def _begin_stop(self, cause: CancelCause, fatal: BaseException | None) -> None:
        self._fatal = self._fatal or fatal
        self._cause = self._cause or cause
        self.body.cancel(reason=f"{cause.source} by {cause.by}")

    async def shut_down(self, seconds: float) -> None:
        """Stop the tree in order within `seconds`, then by cancelling it, then count what is left.

        Run by a system task, so that neither a cancel nor Ctrl-C cuts it short.
        """
        root = self._root
        root.cell.request_stop(self._cause or CancelCause("open_system", "the block was left", "shutdown"))
        self._patience.deadline = trio.current_time() + seconds
        with self._patience:
            await root.wait_closed()
        if not root.ended.is_set():
            root.cell.cancel(CancelCause("open_system", self._why_cancelled(seconds), "shutdown"))
            with trio.move_on_after(CLEANUP_GRACE):
                await root.wait_closed()
        root.abandon()
        try:
            await self.runtime.close_resources()
        finally:
            self._publish_end()
            if self._log is not None:
                with trio.move_on_after(CLEANUP_GRACE):
                    await self._log.ended.wait()

    def _why_cancelled(self, seconds: float) -> str:
        if trio.current_time() < self._patience.deadline:
            return f"told twice, by {self._cause.by}" if self._cause else "told to hurry"
        return f"not stopped within {seconds:g} s"

    def _publish_end(self) -> None:
        self.runtime.dead_letters.flush()
        left = self.leftovers()
        self.is_stopped = True
        self.runtime.bus.publish(
            SystemStoppedEvent,
            "/",
            cause=self._root.cell.event,
            tasks=left.tasks,
            threads=left.threads,
            streams=left.streams,
            processes=left.processes,
            names=left.names,
        )
        self.runtime.bus.close()

    def failure(self) -> BaseException | None:
        """Give what `open_system` raises now that all is over: what was fatal, or that the root failed."""
        if self._fatal is not None:
            return self._fatal
        ended = self._root.cell.exit
        if ended is None or not ended.is_abnormal:
            return None
        was_hurried = ended.error is None and ended.cause is not None and ended.cause.source == "shutdown"
        return None if was_hurried else SystemFailedError(self.name, as_fact(ended.error))
