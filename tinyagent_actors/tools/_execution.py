"""One call that runs: its scope, its attempts, its locks, and the one slot that its end fills."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from tinyagent_actors._errors import ToolTimeoutError
from tinyagent_actors.actors import (
    CallPlace,
    Cell,
    Clock,
    ClockAbove,
    ClockScope,
    Place,
    as_fact,
    current_clock,
    current_place,
    fatal_leaf,
    split_cancelled,
)
from tinyagent_actors.events import ToolExecutionUpdateEvent, ToolLateCompletionEvent, ToolRetryEvent
from tinyagent_actors.messages import AgentToolResult, Content, Outcome, TextContent, ToolCall
from tinyagent_actors.tools._approval import wait_for_approval
from tinyagent_actors.tools._call_hooks import error_result, refusal
from tinyagent_actors.tools._cleanup_window import CleanupWindow
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._locks import LockSet, ToolLocks
from tinyagent_actors.tools._loop_control import ToolLoopControl
from tinyagent_actors.tools._progress import Progress
from tinyagent_actors.tools._result import error_text, to_kept_result, to_result
from tinyagent_actors.tools._running_call import RunningCall
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._spill import spill_files
from tinyagent_actors.tools._tool import Tool

if TYPE_CHECKING:
    from tinyagent_actors.tools._batch import CallBatch

_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 5.0
"""Seconds between attempts: the first, doubled each time, up to the longest."""


@attrs.define(eq=False)
class Execution:
    """One call of a batch."""

    call: ToolCall
    tool: Tool
    arguments: Mapping[str, Any]
    batch: CallBatch
    place: int
    """In the message."""
    above: tuple[ClockAbove, ...] = attrs.field(repr=False)
    """Above its clock: turn, run, and so on."""
    caller: Place | None = attrs.field(factory=current_place.get, init=False, repr=False)
    """The place of the run: at its agent."""
    scope: ClockScope = attrs.field(init=False)
    cancelled_why: str = attrs.field(default="the program ends", init=False)
    """Why it was cancelled, if it was."""
    began: float = attrs.field(default=0.0, init=False)
    settled: float = attrs.field(default=0.0, init=False)
    window: CleanupWindow = attrs.field(init=False, repr=False)
    progress: Progress = attrs.field(init=False, repr=False)
    before: Execution | None = attrs.field(default=None, init=False, repr=False)
    """The call that stands before it in the message, of those with locks: whoever wants the same has them in that order ..."""
    has_queued: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    """... and waits for this, which is set at once where something else has to be waited for first."""
    _cancelled_at: float = attrs.field(default=math.inf, init=False)
    _leftover: int | None = attrs.field(default=None, init=False)
    """What it is entered as among the leftovers, if it was given up."""
    _partial: Callable[[], object] | None = attrs.field(default=None, init=False, repr=False)
    """Gives what the tool has done so far, if it has said how."""
    _error: Exception | None = attrs.field(default=None, init=False, repr=False)
    """What the tool raised, where a hook has made another result of it."""
    _running: RunningCall = attrs.field(init=False, repr=False)
    _locks: LockSet | None = attrs.field(default=None, init=False, repr=False)
    _agent_edge: tuple[str, int] | None = attrs.field(default=None, init=False, repr=False)
    """By which its agent waits for it, while it has a node of its own in the wait-for graph."""

    def __attrs_post_init__(self) -> None:
        batch, seconds = self.batch, self.tool.options.timeout
        self.scope = ClockScope(Clock("tool", seconds, path=batch.path, above=self.above))
        self.window = CleanupWindow(self.scope)
        publish = partial(batch.publish, ToolExecutionUpdateEvent, self.call)
        self.progress = Progress(publish, batch.runtime, batch.path)
        report, keep = self.progress.report, self._keep
        signal = Signal(lambda: self.scope.cancel_called)
        ctx = ToolContext(self.call.id, batch.path, batch.run, batch.turn, signal, report, keep)
        self._running = RunningCall(
            self.tool, self.arguments, ctx, batch.runtime, self.progress.tell, self._ended_after_all
        )

    def cancel(self, why: str) -> None:
        """Cancel it, unless it ends already. The first reason stays."""
        if not self.scope.cancel_called:
            self.cancelled_why = why
            self._cancelled_at = trio.current_time()
            self.scope.cancel(reason=why)
            self._running.ctx.signal.set()

    @property
    def due(self) -> float:
        """When it is given up, on Trio's clock."""
        scope = self.scope  # that was cancelled before its deadline: then there is no need to read that
        ended = self._cancelled_at if scope.was_cancelled else min(scope.clock.deadline, self._cancelled_at)
        return ended + self.tool.options.cleanup_grace

    async def run(self) -> None:
        """Run to an outcome. Raises nothing: it is a detached task.

        The tool has a task of its own below this one: what it opens and leaves open there (a nursery in an exit stack, say) makes
        Trio raise as that task ends, into this nursery and nowhere else.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, name=self._running.name)
        except* Exception as group:  # noqa: BLE001  # the tool runner: its call is settled by now
            self._settle(_text(error_text(group)), "finished", is_error=True, error=group)
        finally:
            del self._running  # it holds this in turn, and a circle is left to the garbage collector

    async def _run(self) -> None:
        current_clock.set(self.scope.clock)
        try:
            with self.scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                self._returned(await self.window.run(self._hooked()))
        except BaseException as error:  # noqa: BLE001  # the tool runner: what a tool raises is its result
            self._raised(error)
        finally:
            self.has_queued.set()
            self._running.ctx.signal.set()
            if self.scope.cancelled_caught:
                self._ended_by_cancel()
            if self._leftover is not None:
                self.batch.runtime.leftovers.remove(self._leftover)
            if not self._running.is_left:
                self._release(is_late=self._leftover is not None)

    async def _hooked(self) -> AgentToolResult:
        """Run the tool between the hooks of the application; see `CallHooks`."""
        hooks = self.batch.hooks
        if hooks is None:
            return await self._attempts()
        self.has_queued.set()
        arguments = await hooks.read(self.call, self.tool, self.arguments)
        if isinstance(arguments, ToolLoopControl):
            return refusal(arguments)
        self._running.arguments = arguments
        try:
            result = await self._attempts()
        except Exception as error:  # the tool runner: the hook is given what becomes of it
            if self.scope.cancel_called or fatal_leaf(error) is not None:
                raise
            self._error = error
            result = error_result(error)
        return await self._kept(await hooks.review(self.call, result))

    async def _kept(self, value: object) -> AgentToolResult:
        """Give the result for what the tool returned; for what came too late no file is made."""
        if self._leftover is not None:
            return to_result(value)
        return await to_kept_result(value, spill_files(self.batch.runtime), self.tool.name)

    async def _attempts(self) -> AgentToolResult:
        if self.tool.options.approval is not None:
            self.has_queued.set()
        denied = await wait_for_approval(self, self._running.arguments)
        if denied is not None:
            return denied
        await self._take_locks()  # only now: a parked call holds nothing
        options = self.tool.options
        attempt = 1
        while True:
            try:
                return await self._kept(await self.tool.isolation.run(self._running))
            except Exception as error:
                if attempt > options.retries or self.scope.cancel_called:
                    raise
                delay = min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY)
                failed = as_fact(error)
                self.batch.publish(ToolRetryEvent, self.call, attempt=attempt, delay=delay, error=failed)
            attempt += 1
            await trio.sleep(delay)

    async def _take_locks(self) -> None:
        wanted = self.tool.options.locks
        names = tuple(wanted(self._running.arguments)) if callable(wanted) else wanted
        if not names:
            self.has_queued.set()
            return
        runtime = self.batch.runtime
        node = f"{self.batch.path}#{self.call.id}.{id(self):x}"
        if isinstance(self.caller, Cell):
            self._agent_edge = (self.caller.path, runtime.wait_graph.add(self.caller.path, node))
            current_place.set(CallPlace(self.caller, node))
        locks = runtime.resource(ToolLocks, lambda made_for: ToolLocks(made_for.wait_graph))
        if self.before is not None:
            await self.before.has_queued.wait()
        self._locks = await locks.acquire(node, names, self.has_queued.set)

    def _returned(self, result: AgentToolResult) -> None:
        if self.window.was_told:
            self._ended_by_cancel(content=result.content)
        else:
            self._settle(result, "finished", is_error=result.is_error, error=self._error)

    def _raised(self, error: BaseException) -> None:
        fatal = fatal_leaf(error)
        cancelled, rest = split_cancelled(error)
        if fatal is not None:
            self.batch.fail_fatally(fatal)
            self._settle(_text("cancelled: the program was told to end"), "cancelled", is_error=True)
        elif cancelled is not None or self.scope.cancel_called:
            self._ended_by_cancel(error=rest)
        else:
            self._settle(_text(error_text(error)), "finished", is_error=True, error=error)

    def _ended_by_cancel(self, *, content: tuple[Content, ...] = (), error: BaseException | None = None) -> None:
        """Fill the slot of a call that its deadline or a cancel ended, with what it gave or raised in its cleanup."""
        over = self.scope.ended_by
        timeout = self._timeout(over)
        if over is not None:
            outcome: Outcome = "timed_out"
            whose = "" if over.path in (None, self.batch.path) else f" of {over.path}"
            text = f"timed out: ended by the {over.name} deadline{whose} after {over.at - self.began:.3g} s"
        else:
            outcome = "cancelled"
            text = f"cancelled: {self.cancelled_why}"
        if error is not None:
            text += f"; as it ended, it raised {error_text(error)}"
        elif self._running.is_left:
            text += "; what it runs could not be ended, and may still take effect"
        self._settle(self._unfinished(text, content), outcome, is_error=True, error=error or timeout)

    def give_up(self) -> None:
        """Enter it among the leftovers, and fill its slot without it."""
        self._leftover = self.batch.runtime.leftovers.add("tasks", self._running.name)
        text = f"abandoned: the tool was told to end and still ran {self.tool.options.cleanup_grace:g} s later"
        self._settle(self._unfinished(text), "abandoned", is_error=True, error=self._timeout(self.scope.ended_by))

    def _timeout(self, over: ClockAbove | None) -> ToolTimeoutError | None:
        """Give the error that says which deadline has ended it; None if none did."""
        return None if over is None else ToolTimeoutError(self.tool.name, over.name, over.at - self.began)

    def _keep(self, partial: Callable[[], object]) -> None:
        self._partial = partial

    def _unfinished(self, text: str, content: tuple[Content, ...] = ()) -> AgentToolResult:
        """Give the result of a call that did not finish: how it ended, and what it gave as it ended, or kept until then."""
        if not content and self._partial is not None:
            try:
                content = to_result(self._partial()).content
            except Exception as error:  # noqa: BLE001  # the tool runner: a hook of the tool's
                content = (TextContent(f"(it cannot be had: {error_text(error)})"),)
        if not content:
            return _text(text)
        return AgentToolResult((TextContent(f"{text}\nUntil then:\n"), *content))

    def _settle(
        self, result: AgentToolResult, outcome: Outcome, *, is_error: bool, error: BaseException | None = None
    ) -> None:
        self.progress.close()
        if self._agent_edge is not None:
            self.batch.runtime.wait_graph.remove(*self._agent_edge)
            self._agent_edge = None
        fact = None if error is None else as_fact(error)
        self.batch.settle(self, result, outcome, is_error=is_error, error=fact)

    def _ended_after_all(self) -> None:
        """Hear that what was left behind has ended."""
        self._release(is_late=True)

    def _release(self, *, is_late: bool) -> None:
        if self._locks is not None:
            self._locks.release()
        if is_late:
            seconds = trio.current_time() - self.settled
            self.batch.publish(ToolLateCompletionEvent, self.call, seconds=seconds, updates=self.progress.late)


def place_of_frame(frame: FrameType) -> Place | None:
    """Give the place of the call whose tool is run by that frame of a stack; None if it runs something else."""
    if frame.f_code is not Execution._run.__code__:  # noqa: SLF001  # it is ours
        return None
    execution: Execution = frame.f_locals["self"]
    return execution.caller


def _text(text: str) -> AgentToolResult:
    return AgentToolResult((TextContent(text),))
