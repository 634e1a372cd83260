"""What the actors, tools and streams of one system share, and how each finds it.

Inside a system it is the system's; outside (an `Agent` in a script, a bare `open_stream`) there is one for each
`trio.run`, made on first use and closed at the end of that run by a system task.
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import attrs
import trio

from tinyagent_actors._errors import ActorStoppedError
from tinyagent_actors.actors._approvals import Approvals
from tinyagent_actors.actors._bus import EventBus
from tinyagent_actors.actors._dead_letters import DeadLetters
from tinyagent_actors.actors._groups import Groups
from tinyagent_actors.actors._leftovers import LeftoverRegistry
from tinyagent_actors.actors._mailbox import Pacer
from tinyagent_actors.actors._registry import Registry
from tinyagent_actors.actors._wait_graph import WaitGraph

if TYPE_CHECKING:
    from tinyagent_actors.actors._ref import ActorRef

CLOSE_GRACE: Final = 5.0
"""Seconds that the shared parts of a system get to close."""


class Resource(Protocol):
    """A shared part with a life: a pool of connections, a hub of streams."""

    async def aclose(self) -> None:
        """End it and everything it runs. Called once, shielded, with `CLOSE_GRACE` seconds."""


ResourceT = TypeVar("ResourceT", bound=Resource)


@attrs.define(eq=False)
class Runtime:
    """The shared parts of one system (or of one `trio.run`, where there is no system)."""

    name: str
    bus: EventBus = attrs.field(factory=EventBus)
    leftovers: LeftoverRegistry = attrs.field(factory=LeftoverRegistry)
    approvals: Approvals = attrs.field(default=attrs.Factory(lambda self: Approvals(self.bus), takes_self=True))
    registry: Registry = attrs.field(factory=Registry, init=False)
    groups: Groups = attrs.field(factory=Groups, init=False)
    wait_graph: WaitGraph = attrs.field(factory=WaitGraph, init=False)
    pacer: Pacer = attrs.field(factory=Pacer, init=False)
    dead_letters: DeadLetters = attrs.field(
        default=attrs.Factory(lambda self: DeadLetters(self.bus), takes_self=True), init=False
    )
    ref_at: Callable[[str], ActorRef] | None = attrs.field(default=None, init=False)
    """Finds the child at a path; given by the system, whose tree it is."""
    on_fatal: Callable[[BaseException], None] | None = attrs.field(default=None, init=False)
    """Hears of a `KeyboardInterrupt` or `SystemExit` that left an actor: the system stops in order."""
    event: int | None = attrs.field(default=None, init=False)
    """No event leads to what is done outside actors."""
    _resources: dict[type[Any], Resource] = attrs.field(factory=dict, init=False)
    _uids: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    @property
    def runtime(self) -> Runtime:
        """Itself: the body of `open_system` is at no actor."""
        return self

    def next_uid(self) -> int:
        """Give a number that no other actor of this system has."""
        return next(self._uids)

    def whereis(self, where: str) -> ActorRef:
        """Give the actor that has a name, or that stands at an absolute path (``/team/reader-1``).

        Raises:
            NotRegisteredError: Nobody has the name now.
            ChildNotFoundError: There is no such child.
            ActorStoppedError: The child at that path is stopped, and no incarnation will come by itself.
        """
        if self.ref_at is None or not where.startswith("/"):
            return self.registry.whereis(where)
        ref = self.ref_at(where)
        if ref.address.is_gone:
            raise ActorStoppedError(ref.path)
        return ref

    def fail_fatally(self, error: BaseException) -> None:
        """Have the system stopped in order because of an exception that is nobody's to handle."""
        if self.on_fatal is not None:
            self.on_fatal(error)

    def start_detached(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: str) -> None:
        """Start a task that no nursery of a caller waits for; it gets a copy of the caller's context variables.

        The function must not raise: whoever starts it keeps a record of it, forwards cancellation to a scope inside it,
        and enters it among the `leftovers` if it will not end. At the end of `trio.run` it is cancelled.
        """
        trio.lowlevel.spawn_system_task(async_fn, *args, name=name, context=contextvars.copy_context())

    def start_service(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: str) -> None:
        """Start a task of a shared part: as `start_detached`, but it belongs to nobody below, whoever happened to need it first."""
        trio.lowlevel.spawn_system_task(async_fn, *args, name=name, context=contextvars.Context())

    def resource(self, kind: type[ResourceT], make: Callable[[Runtime], ResourceT]) -> ResourceT:
        """Give the shared part of that kind, made on first use and closed with the runtime."""
        found = self._resources.get(kind)
        if found is None:
            found = self._resources[kind] = make(self)
        return cast("ResourceT", found)

    async def close_resources(self) -> None:
        """Close the shared parts, last made first, within `CLOSE_GRACE` seconds even under cancellation.

        One that fails, or takes all the time, keeps none of the others from being closed.
        """
        with trio.move_on_after(CLOSE_GRACE, shield=True):
            async with AsyncExitStack() as stack:
                for resource in self._resources.values():
                    stack.push_async_callback(resource.aclose)
                self._resources.clear()


class Place(Protocol):
    """Where a task is: an actor's, or just some system's."""

    @property
    def runtime(self) -> Runtime:
        """The shared parts there."""

    @property
    def event(self) -> int | None:
        """`seq` of the event that leads to what is done there now."""


current_place: Final[contextvars.ContextVar[Place | None]] = contextvars.ContextVar("tinyagent_actors", default=None)
"""What each task of an actor knows of where it is: the actor (or the system) whose work a task does."""

find_place: Final[Callable[[], Place | None]] = current_place.get
"""Give the place of this task. Bound once, because every message asks: a method of an imported name is bound at each call."""

_of_run: trio.lowlevel.RunVar[Runtime] = trio.lowlevel.RunVar("tinyagent_actors_runtime")


def current_runtime() -> Runtime:
    """Give the runtime of the system this task belongs to, else that of this `trio.run`."""
    place = find_place()
    if place is not None:
        return place.runtime
    try:
        return _of_run.get()
    except LookupError:
        runtime = Runtime("run")
        _of_run.set(runtime)
        trio.lowlevel.spawn_system_task(_close_at_the_end, runtime, name="tinyagent_actors: close the shared parts")
        return runtime


def runtime_of_run() -> Runtime | None:
    """Give the runtime of this `trio.run`, if something outside systems has made one."""
    try:
        return _of_run.get()
    except LookupError:
        return None


async def _close_at_the_end(runtime: Runtime) -> None:
    try:
        await trio.sleep_forever()
    finally:
        await runtime.close_resources()
        runtime.bus.close()
