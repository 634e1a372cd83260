"""run(): `trio.run` with the signals of a program that stops in order.

The first SIGINT or SIGTERM starts the ordered stop of every open system; the second cancels what is left of them; the
third ends the process. The handler does the third itself, so that it works also while something holds the loop.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, TypeVar, TypeVarTuple

import attrs
import trio

from tinyagent_actors.actors import CancelCause, Runtime, runtime_of_run
from tinyagent_actors.system._system import System, closed_runtimes, open_systems

ResultT = TypeVar("ResultT")
ArgsT = TypeVarTuple("ArgsT")

EXIT_LEFTOVERS: Final = 70
"""Exit code of a process that had to leave a task behind which would not end."""
_LAST: Final = 3


@attrs.define(eq=False)
class _Signals:
    """Counts the signals of one `run` and passes them to its systems."""

    systems: list[System] = attrs.field(factory=list, init=False)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)
    """Set while the main function runs."""
    count: int = attrs.field(default=0, init=False)
    first: int = attrs.field(default=0, init=False)
    is_heard: bool = attrs.field(default=False, init=False)
    """Whether a signal has reached a system, whose block raises it. Where none is open it is raised at the end."""

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Run as the signal handler: count, and have the loop do the rest; the third time, end here."""
        self.count += 1
        self.first = self.first or number
        if self.count >= _LAST:
            os._exit(128 + self.first)
        if self.token is not None:
            self.token.run_sync_soon(self.stop, number)

    def stop(self, number: int) -> None:
        """Stop every open system in order, the second time at once; where none is open, cancel the main function."""
        if self.token is None:
            return
        cause = CancelCause(signal.Signals(number).name, "the process was told to stop", "signal")
        for system in tuple(self.systems):
            self.is_heard = True
            system.request_stop(cause, fatal=self.exception())
        if not self.systems:
            self.scope.cancel(reason=cause.by)

    def exception(self) -> BaseException:
        """Give what the first signal amounts to."""
        return KeyboardInterrupt() if self.first == signal.SIGINT else SystemExit(128 + self.first)


@contextmanager
def _handlers(signals: _Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signals.handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def run(async_fn: Callable[[*ArgsT], Awaitable[ResultT]], *args: *ArgsT, **trio_options: Any) -> ResultT:
    """Run an async function under Trio, with signals that stop its systems in order.

    In another thread than the main one there are no signals, and it only names what would not end.

    Args:
        async_fn: The main function.
        *args: Its arguments.
        **trio_options: For `trio.run`: `clock`, `instruments`, `strict_exception_groups` ...

    Returns:
        What it returned.

    Raises:
        KeyboardInterrupt: SIGINT came; every system was stopped before. SIGTERM: `SystemExit(143)`.

    A task that swallows its cancellation for ever would keep `trio.run` from ending: such a task is named on standard
    error, and the process ends with code 70 after the last event was written.
    """
    signals = _Signals()

    async def main() -> ResultT:
        open_systems.set(signals.systems)
        runtimes: list[Runtime] = []
        closed_runtimes.set(runtimes)
        signals.token = trio.lowlevel.current_trio_token()
        if signals.count:
            signals.stop(signals.first)
        try:
            with signals.scope:
                return await async_fn(*args)
            raise signals.exception()
        finally:
            signals.token = None
            _leave_behind(runtimes)

    with _handlers(signals):
        try:
            result = trio.run(main, **trio_options)
        except BaseExceptionGroup as group:
            # The signal's exception may have passed through nurseries of the program's own.
            if signals.count and group.split((KeyboardInterrupt, SystemExit))[1] is None:
                raise signals.exception() from group
            raise
    if signals.count and not signals.is_heard:
        raise signals.exception()
    return result


def _leave_behind(runtimes: list[Runtime]) -> None:
    """End the process if a task is left that will never let `trio.run` end."""
    outside = runtime_of_run()
    left = [runtime.leftovers.snapshot() for runtime in (*runtimes, *([outside] if outside else []))]
    if not any(leftovers.tasks for leftovers in left):
        return
    names = ", ".join(name for leftovers in left for name in leftovers.names)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        if isinstance(sys.exc_info()[1], Exception):
            traceback.print_exc()
        sys.stderr.write(f"tinyagent: left running, would not end: {names}\n")
        sys.stderr.flush()
    os._exit(EXIT_LEFTOVERS)
