"""System and open_system: a tree with an owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import attrs
import trio

from tinyagent_actors._errors import ChildNotFoundError, SystemFailedError
from tinyagent_actors.actors import (
    ActorRef,
    CancelCause,
    ChildLike,
    Leftovers,
    Policy,
    Runtime,
    Subscription,
    check_name,
    check_seconds,
    current_place,
)
from tinyagent_actors.events import SystemStoppedEvent
from tinyagent_actors.supervision import CLEANUP_GRACE, ChildCount, ChildInfo, SupervisorRef, supervisor
from tinyagent_actors.system._root import Root
from tinyagent_actors.tracing import open_log

if TYPE_CHECKING:
    from tinyagent_actors.supervision._supervisor import Supervisor

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
    _body: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    _fatal: BaseException | None = attrs.field(default=None, init=False, repr=False)
    _cause: CancelCause | None = attrs.field(default=None, init=False, repr=False)
    _hurry: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    is_stopped: bool = attrs.field(default=False, init=False)

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor."""
        return self._root.ref

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
            found = ref.child(part)
            if not isinstance(found, SupervisorRef):
                raise ChildNotFoundError(found.path, name)
            ref = found
        return ref.child(name, ref_type)

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

    def leftovers(self) -> Leftovers:
        """Count and name what was told to end and still runs."""
        return self.runtime.leftovers.snapshot()

    def request_stop(self, cause: CancelCause, *, fatal: BaseException | None = None) -> None:
        """Begin the ordered stop: the body is cancelled, then the tree stops. A second call hurries it: everything is cancelled.

        Args:
            cause: Who, why, through what.
            fatal: What `open_system` raises when it is done.
        """
        self._fatal = self._fatal or fatal
        if self._cause is not None:
            self._hurry.set()
        self._cause = self._cause or cause
        self._body.cancel(reason=f"{cause.source} by {cause.by}")

    async def _run_body_guard(self) -> None:
        """Cancel the body when the root gives up."""
        await self._root.on_end.wait()
        self._body.cancel(reason="the root supervisor ended")

    async def _shut_down(self, seconds: float) -> None:
        """Stop the tree in order within `seconds`, then by cancelling it, then count what is left. Shielded."""
        with trio.CancelScope(shield=True):
            if not self._root.on_end.is_set():
                self._root.cell.request_stop(
                    self._cause or CancelCause("open_system", "the block was left", "shutdown")
                )
                await self._wait_for_root(seconds)
            if not self._root.on_end.is_set():
                cause = CancelCause("open_system", f"not stopped within {seconds:g} s", "shutdown")
                if self._hurry.is_set():
                    cause = attrs.evolve(self._cause or cause, why="told twice")
                self._root.cell.cancel(cause)
                with trio.move_on_after(CLEANUP_GRACE):
                    await self._root.on_end.wait()
                self._count_unfinished()
            await self.runtime.close_resources()
            self._publish_end()

    async def _wait_for_root(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_after, self._hurry, nursery.cancel_scope)
                await self._root.on_end.wait()
                nursery.cancel_scope.cancel()

    def _count_unfinished(self) -> None:
        body: Supervisor | None = self._root.cell.address.body
        if body is not None and not self._root.on_end.is_set():
            for cell in body.running():
                if cell.leftover == 0:
                    cell.leftover = self.runtime.leftovers.add("tasks", f"actor {cell.path}")

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

    def _failure(self) -> BaseException | None:
        if self._fatal is not None:
            return self._fatal
        ended = self._root.cell.exit
        if ended is not None and ended.error is not None:
            return SystemFailedError(self.name, ended.error)
        return None


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


@asynccontextmanager
async def open_system(
    name: str = "system",
    *,
    shutdown: float = 10.0,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    log: str | Path | None = None,
) -> AsyncIterator[System]:
    """Open a system: a root supervisor with nothing below it yet; leaving the block stops the tree.

    The tree stops in reverse order of its start, each child in its own `shutdown` time, all of it within `shutdown`
    seconds; then what is left is cancelled, and what will not end even so is counted in `leftovers()` and in
    the last event. That happens however the block is left, also under cancellation: the wait is shielded, so an outer
    deadline may be exceeded by at most `shutdown` and two times the cleanup grace (5 s each).

    Args:
        name: For logs and errors.
        shutdown: Seconds for the ordered stop.
        max_restarts: Of the root: how many restarts of its children are allowed ...
        max_seconds: ... within how many seconds.
        log: A file that gets every event as a JSON line, appended, to the very last.

    Yields:
        The system.

    Raises:
        SpecError: An argument is wrong; nothing was started.
        SystemFailedError: The root supervisor gave up; the body was cancelled.
        KeyboardInterrupt: It left an actor, or `run` got SIGINT; raised after the ordered stop. `SystemExit` likewise.
    """
    check_name(name)
    check_seconds("shutdown", shutdown)
    runtime = Runtime(name)
    root = Root(runtime, supervisor("root", max_restarts=max_restarts, max_seconds=max_seconds))
    event_log = None if log is None else open_log(log, runtime.bus)
    if event_log is not None:
        trio.lowlevel.spawn_system_task(event_log.follow, name=f"log of system {name}")
    system = System(name, runtime, root)
    runtime.on_fatal = lambda error: system.request_stop(
        CancelCause("/", f"{type(error).__name__} left an actor", "fatal"), fatal=error
    )
    registered = open_systems.get([])
    registered.append(system)
    trio.lowlevel.spawn_system_task(root.run, name=f"system {name}")
    trio.lowlevel.spawn_system_task(system._run_body_guard, name=f"guard of system {name}")  # noqa: SLF001  # its maker
    outer_place = current_place.get()
    current_place.set(runtime)
    try:
        with system._body:  # noqa: SLF001  # its maker
            await root.started.wait()
            yield system
    finally:
        current_place.set(outer_place)
        await system._shut_down(shutdown)  # noqa: SLF001  # its maker
        if event_log is not None:
            with trio.move_on_after(CLEANUP_GRACE, shield=True):
                await event_log.ended.wait()
        registered.remove(system)
        if runtime.leftovers.snapshot().tasks:
            closed_runtimes.get([]).append(runtime)
    failure = system._failure()  # noqa: SLF001  # its maker
    if failure is not None:
        raise failure
