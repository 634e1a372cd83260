"""In a thread: what sync functions run in. The thread cannot be ended; everything else of the call can.

The design. A cancel is answered at once: the thread is abandoned, entered among the leftovers, and holds its token of the
limiter, and the locks of its call, until it has really ended. Its late value is dropped, its end is an event. It is a daemon, so
that it never keeps the process.

Calling back. `trio.from_thread.run` in such a thread must run in the call's own scope, so that a cancel of the call raises
`Cancelled` in the thread; and when the thread has been abandoned, nothing may be done for it any more: it gets `Cancelled` for each
further call. `trio.to_thread.run_sync` gives the one or the other: with ``abandon_on_cancel=True`` it answers a cancel, but then
runs what the thread calls back in a system task that no cancel reaches; without, it holds whoever waits for the thread, and `trio.run`
itself, until the thread ends. So the thread is started here, with Trio's own (`trio.lowlevel.start_thread_soon`), and is told, as
`to_thread` tells its threads, where to send its calls (`PARENT_TASK_DATA`, a private name of Trio's, used in this one place): to
this task, as long as it waits; afterwards to one that refuses them.

The races, all of them decided in the loop, where one thing happens at a time. *The thread ends as its call is cancelled*: whichever
comes first in the loop fills the slot. *A call back that is under way when the thread is abandoned*: it finds nobody waiting, and is
refused. *A cancel in the queue for a token*: no thread has begun, none is left. *The end of `trio.run`*: a call back raises
`trio.RunFinishedError` in the thread, a late end is dropped.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs
import outcome
import trio
from trio import _threads
from trio.lowlevel import Abort, TrioToken

from tinyagent_actors.tools._running_call import RunningCall

THREADS: Final = 40
"""Sync tools of one runtime that run at once, apart from Trio's own threads."""


@attrs.define(eq=False)
class ToolThreads:
    """The threads of sync tools: a limit of their own, so that they never keep Trio's from files and names."""

    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(THREADS))

    async def aclose(self) -> None:
        """Nothing to close: an abandoned thread is a daemon's."""


@attrs.frozen
class ThreadIsolation:
    """In a thread: a cancel is answered at once and abandons the thread, which nothing can end."""

    async def run(self, call: RunningCall, /) -> object:
        """Run a plain function; cancelled, leave its thread among the leftovers until it ends."""
        limiter = call.runtime.resource(ToolThreads, lambda _: ToolThreads()).limiter
        thread = _Thread(call, limiter)
        await limiter.acquire_on_behalf_of(thread)
        return await thread.run()


@attrs.define(eq=False)
class _Thread:
    """The thread of one call, as the loop sees it."""

    call: RunningCall
    limiter: trio.CapacityLimiter
    token: TrioToken = attrs.field(factory=trio.lowlevel.current_trio_token)
    host: list[trio.lowlevel.Task | None] = attrs.field(factory=list)
    """The task that does what the thread calls back for. One place, of the shape that Trio reads."""
    cancel: list[Callable[[], None] | None] = attrs.field(factory=lambda: [None])
    """What raises `Cancelled` in the thread, once it was cancelled; of the same shape."""
    context: contextvars.Context = attrs.field(factory=contextvars.copy_context)
    has_ended: bool = False
    on_late_end: Callable[[], None] | None = None

    async def run(self) -> object:
        """Start it, do what it calls back for, and give what it returned."""
        self.host.append(trio.lowlevel.current_task())
        try:
            trio.lowlevel.start_thread_soon(self.work, self.deliver, name=self.call.name)
        except BaseException:
            self.limiter.release_on_behalf_of(self)
            raise
        try:
            while True:
                message = await trio.lowlevel.wait_task_rescheduled(self.abandon)
                if isinstance(message, outcome.Outcome):
                    return message.unwrap()
                await _serve(message)
        except trio.Cancelled:
            if self.cancel[0] is not None and not self.has_ended:
                self.on_late_end = self.call.leave("threads")
            raise

    def abandon(self, raise_cancel: Callable[[], None]) -> Abort:
        """Let the waiting task go, at once; the thread may hear of it."""
        self.cancel[0] = raise_cancel
        self.host[0] = None
        return Abort.SUCCEEDED

    # In the thread.

    def work(self) -> object:
        """Run the function, after telling Trio where this thread's calls are to go."""
        place: Any = _threads.PARENT_TASK_DATA
        place.token, place.abandon_on_cancel = _Desk(self), False
        place.cancel_register, place.task_register = self.cancel, self.host
        try:
            result = self.context.run(self.call.tool.execute, self.call.arguments, self.call.ctx)
        finally:
            del place.token, place.abandon_on_cancel, place.cancel_register, place.task_register
        if inspect.iscoroutine(result):
            result.close()
            message = "a sync tool must not return a coroutine; make it an async function"
            raise TypeError(message)
        return result

    def deliver(self, result: outcome.Outcome[object]) -> None:
        """Tell the loop of the end, if there is one still."""
        with suppress(trio.RunFinishedError):
            self.token.run_sync_soon(self.ended, result)

    # In the loop.

    def ended(self, result: outcome.Outcome[object]) -> None:
        """Hand the result to who waits for it; drop it, and tell, if nobody does."""
        self.has_ended = True
        self.limiter.release_on_behalf_of(self)
        if self.host[0] is not None:
            trio.lowlevel.reschedule(self.host[0], outcome.Value(result))
        elif self.on_late_end is not None:
            self.on_late_end()

    def call_back(self, send: Callable[[], None]) -> None:
        """Have a message of the thread's sent to its host; if it is abandoned, to one that refuses it."""
        if self.host[0] is not None:
            send()
        else:
            with suppress(RuntimeError):  # the run is ending, and so is the process that the thread waits in
                trio.lowlevel.spawn_system_task(self._refuse, send, name=f"refuse a call of {self.call.name}")

    async def _refuse(self, send: Callable[[], None]) -> None:
        """Stand in for the host, once: take the message, and answer it with `Cancelled`; what it asks for is not done."""
        self.host[0] = trio.lowlevel.current_task()
        self.token.run_sync_soon(send)
        message = await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
        self.host[0] = None
        message.queue.put_nowait(outcome.capture(self._raise_cancelled))

    def _raise_cancelled(self) -> None:
        if self.cancel[0] is not None:
            self.cancel[0]()


@attrs.frozen
class _Desk:
    """What the thread takes for Trio's token: where its calls come in."""

    thread: _Thread

    def run_sync_soon(self, send: Callable[[], None]) -> None:
        """Pass a call on to the loop.

        Raises:
            trio.RunFinishedError: There is none any more.
        """
        self.thread.token.run_sync_soon(self.thread.call_back, send)


async def _serve(message: Any) -> None:
    if isinstance(message, _threads.Run):
        await message.run()
    else:
        message.run_sync()
