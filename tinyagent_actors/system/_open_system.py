"""open_system: the life of a system, as a block."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import outcome
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import Place, Runtime, check_name, check_seconds, current_place
from tinyagent_actors.supervision import supervisor
from tinyagent_actors.system._root import Root
from tinyagent_actors.system._system import System, closed_runtimes, open_systems
from tinyagent_actors.system._watchdog import DEFAULT_SLOW_STEP, Watchdog, has_real_time
from tinyagent_actors.tracing import EventLog, open_log


def open_system(
    name: str = "system",
    *,
    shutdown: float = 10.0,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    log: str | Path | None = None,
    log_processors: Iterable[Any] = (),
    slow_step: float = DEFAULT_SLOW_STEP,
) -> AbstractAsyncContextManager[System]:
    """Open a system: a root supervisor with nothing below it yet; leaving the block stops the tree.

    The tree stops in reverse order of its start, each child in its own `shutdown` time, all of it within `shutdown`
    seconds; then what is left is cancelled, and what will not end even so is counted in `leftovers()` and in
    the last event. That happens however the block is left, also under cancellation: the wait is shielded, so an outer
    deadline may be exceeded by at most `shutdown`, then 5 s for what is cancelled to clean up, 5 s to close what is shared, and
    5 s to write the log. A Ctrl-C that comes during that time cancels what is left of the tree at once.

    If the root supervisor ends before the block does, because it gave up or somebody stopped it, the block is cancelled.

    Args:
        name: For logs and errors.
        shutdown: Seconds for the ordered stop.
        max_restarts: Of the root: how many restarts of its children are allowed ...
        max_seconds: ... within how many seconds.
        log: A file that gets every event as a JSON line, appended, to the very last.
        log_processors: Processors of structlog that each line passes before it is made.
        slow_step: Seconds that one step of a task may take; of one that takes more a `LoopBlockedEvent` tells, which names the
            actor. ``inf``: nobody looks; nor under a virtual clock.

    Returns:
        An async context manager; its value is the system.

    Raises:
        SpecError: An argument is wrong; nothing was started.
        SystemFailedError: The root supervisor gave up or was killed; the block was cancelled. It stands above what the
            block raised for its part, which is its context.
        KeyboardInterrupt: It left an actor, or `run` got SIGINT; raised after the ordered stop. `SystemExit` likewise.
    """
    check_name(name)
    check_seconds("shutdown", shutdown)
    check_seconds("slow_step", slow_step)
    if slow_step == 0:
        raise SpecError("slow_step", "must be more than 0")
    spec = supervisor("root", max_restarts=max_restarts, max_seconds=max_seconds)
    runtime = Runtime(name)
    root = Root(runtime, spec)
    return _Block(root, runtime, name, shutdown, log, tuple(log_processors), slow_step)


@attrs.define(eq=False)
class _Block(AbstractAsyncContextManager[System]):
    """A class and no generator, so that no Ctrl-C comes between the end of the block and the stop of the tree."""

    _root: Root
    _runtime: Runtime
    _name: str
    _seconds: float
    _log_path: str | Path | None
    _log_processors: tuple[Any, ...]
    _slow_step: float
    _watchdog: Watchdog | None = attrs.field(default=None, init=False)
    _system: System = attrs.field(init=False)
    _outer_place: Place | None = attrs.field(default=None, init=False)

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> System:
        log = None if self._log_path is None else self._open_log(self._log_path)
        system = self._system = System(self._name, self._runtime, self._root, log)
        open_systems.get([]).append(system)
        if self._slow_step < float("inf") and has_real_time():
            self._watchdog = Watchdog(self._runtime, self._slow_step)
            self._watchdog.start()
        trio.lowlevel.spawn_system_task(self._root.run, name=f"system {self._name}")
        self._outer_place = current_place.get()
        current_place.set(self._runtime)
        try:
            await self._root.started.wait()
        except BaseException:
            await self._close()
            raise
        system.body.__enter__()
        return system

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            is_swallowed = self._system.body.__exit__(kind, raised, traceback)
        finally:
            await self._close()
            failure = self._system.failure()
            is_interrupt = isinstance(raised, KeyboardInterrupt | SystemExit | GeneratorExit)
            if failure is not None and not is_interrupt:
                raise failure
        return is_swallowed

    def _open_log(self, path: str | Path) -> EventLog:
        log = open_log(path, self._runtime.bus, processors=self._log_processors)
        trio.lowlevel.spawn_system_task(log.follow, name=f"log of system {self._name}")
        return log

    async def _close(self) -> None:
        """Have the system shut down, and wait for it; the cancel of a caller waits too, Ctrl-C hurries."""
        closing = _Closing(self._system, self._seconds, self._watchdog)
        trio.lowlevel.spawn_system_task(
            closing.run, name=f"shutdown of system {self._name}", context=contextvars.copy_context()
        )
        with trio.CancelScope(shield=True):
            while not closing.is_over.is_set():
                try:
                    await closing.is_over.wait()
                except KeyboardInterrupt as interrupt:
                    self._system.hurry(interrupt)
        current_place.set(self._outer_place)
        if self._watchdog is not None:
            self._watchdog.stop()
        registered = open_systems.get([])
        if self._system in registered:
            registered.remove(self._system)
        if self._system.leftovers().tasks:
            closed_runtimes.get([]).append(self._runtime)
        if closing.outcome is not None:
            closing.outcome.unwrap()


@attrs.define(eq=False)
class _Closing:
    """The shutdown, in a system task; what goes wrong in it is raised where the block is left."""

    _system: System
    _seconds: float
    _watchdog: Watchdog | None
    is_over: trio.Event = attrs.field(factory=trio.Event, init=False)
    outcome: outcome.Outcome[None] | None = attrs.field(default=None, init=False)

    async def run(self) -> None:
        """Shut the system down."""
        try:
            self.outcome = await outcome.acapture(self._system.shut_down, self._seconds)
            if self._watchdog is not None:
                self._watchdog.stop()
                await self._watchdog.wait_stopped()
        finally:
            self.is_over.set()
