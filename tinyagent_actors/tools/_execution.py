"""One call that runs: its scope, its deadline, and the one slot that its end fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import trio

from tinyagent_actors.actors import Clock, ClockAbove, ClockScope, current_clock, fatal_leaf
from tinyagent_actors.events import ToolExecutionUpdateEvent
from tinyagent_actors.messages import AgentToolResult, TextContent, ToolCall
from tinyagent_actors.tools._call_hooks import error_result, refusal
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._loop_control import ToolLoopControl
from tinyagent_actors.tools._result import error_text, to_kept_result, to_result
from tinyagent_actors.tools._running_call import RunningCall
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._spill import spill_files
from tinyagent_actors.tools._tool import Tool

if TYPE_CHECKING:
    from tinyagent_actors.tools._batch import CallBatch


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
    scope: ClockScope = attrs.field(init=False)
    began: float = attrs.field(default=0.0, init=False)
    settled: float = attrs.field(default=0.0, init=False)
    given_up: float | None = attrs.field(default=None, init=False)
    leftover: int = attrs.field(default=0, init=False)
    _partial: Callable[[], object] | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        seconds = self.tool.options.timeout
        self.scope = ClockScope(Clock("tool", seconds, path=self.batch.path, above=self.above))

    async def run(self) -> None:
        """Run to an outcome. Raises nothing: it is a detached task."""
        batch = self.batch
        current_clock.set(self.scope.clock)
        ctx = ToolContext(self.call.id, batch.path, batch.run, batch.turn, Signal(), self._progress, self._keep)
        running = RunningCall(self.tool, self.arguments, ctx, batch.runtime, lambda: batch.told_late(self))
        try:
            with self.scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                result = await self._hooked(running)
                batch.settle(self, result, "finished", is_error=result.is_error)
        except BaseException as error:  # noqa: BLE001  # the tool runner: what a tool raises is its result
            self._raised(error)
        finally:
            ctx.signal.set()
            if self.given_up is not None:
                batch.runtime.leftovers.remove(self.leftover)
                batch.told_late(self)
            elif self.scope.cancelled_caught:
                batch.settle_cancelled(self)

    async def _hooked(self, running: RunningCall) -> AgentToolResult:
        """Run the tool between the hooks of the application; see `CallHooks`."""
        hooks = self.batch.hooks
        if hooks is None:
            return await self._kept(await self.tool.isolation.run(running))
        arguments = await hooks.read(self.call, self.tool, self.arguments)
        if isinstance(arguments, ToolLoopControl):
            return refusal(arguments)
        try:
            result = await self._kept(await self.tool.isolation.run(attrs.evolve(running, arguments=arguments)))
        except Exception as error:  # the tool runner: the hook is given what becomes of it
            if self.scope.cancel_called or fatal_leaf(error) is not None:
                raise
            result = error_result(error)
        return await self._kept(await hooks.review(self.call, result))

    async def _kept(self, value: object) -> AgentToolResult:
        """Give the result for what the tool returned; for what came too late no file is made."""
        if self.given_up is not None:
            return to_result(value)
        return await to_kept_result(value, spill_files(self.batch.runtime), self.tool.name)

    def _keep(self, partial: Callable[[], object]) -> None:
        self._partial = partial

    def ended(self, text: str) -> AgentToolResult:
        """Give the result of a call that did not finish: how it ended, and what the tool kept until then."""
        if self._partial is None:
            return AgentToolResult((TextContent(text),))
        try:
            partial = to_result(self._partial())
        except Exception as error:  # noqa: BLE001  # the tool runner: a hook of the tool's
            partial = to_result(f"(it cannot be had: {error_text(error)})")
        return AgentToolResult((TextContent(f"{text}\nUntil then:\n"), *partial.content))

    def _raised(self, error: BaseException) -> None:
        fatal = fatal_leaf(error)
        if fatal is not None:
            self.batch.runtime.fail_fatally(fatal)
        if isinstance(error, trio.Cancelled) or self.scope.cancel_called:
            self.batch.settle_cancelled(self)
        else:
            self.batch.settle(self, AgentToolResult((TextContent(error_text(error)),)), "finished", is_error=True)

    def _progress(self, value: object) -> None:
        if self.given_up is None:
            self.batch.publish(ToolExecutionUpdateEvent, self.call, partial_result=to_result(value))
