"""The tool runner: the calls of one message, side by side, with exactly one result each.

The design. Every call becomes an `Execution` with one slot for its outcome, filled once: by the tool, by a deadline, by a
cancel, or because it was given up. What can never run (an unknown tool, a call that was cut, arguments that do not
fit) has its result before anything starts. The rest run each in a task that no nursery of the run waits for, in a
cancel scope of its own, in the way of its tool (`Isolation`). The run waits for the slots, not for the tasks; that is what keeps a
tool that will not end from holding anybody.

Cancelling. The run's cancel does not reach the tasks by itself, so `wait` forwards it: on `Cancelled` it cancels every
scope and waits, shielded, for the tools' time to clean up (`CleanupWindow`), each at most its `cleanup_grace`. When that is over
the window is closed, which cancels once more what still awaits something; what has not ended a few steps of the loop later is
`abandoned`: it stands among the leftovers, and when it ends after all that is an event, never a result. The same happens to one
tool whose deadline has passed, while its siblings go on.

Deadlines. Each call has a clock with the tool's own timeout, below those of its turn and run and the deadline of whoever waits for
the batch; the result, and the event, name the one that was nearest. They move with every pause, so who waits for the next of them
is woken.

Siblings. A tool that fails does so for itself. Where it is to `fail_fast`, it cancels the others, which end as they would by the run's
cancel, with a result that says whose failure it was.

The races. *A deadline in the tick of the success*: the body's return fills the slot before anybody looks at the scope, so
there is one outcome. A tool that heard of its cancel before it returned has not succeeded, whatever it returned. *A cancel before
the start*: the tool's task begins two steps after this one's and finds its scope cancelled, so nothing of the tool runs, and the
result says so. *A late result*: the slot is full, so it is dropped and told. *A scope or nursery that a tool opens and leaves open*: Trio
raises as the tool's task ends; that task has a nursery of its own, which takes it.

Refused: one nursery for all calls (its first failure cancels the siblings), tasks under the run's own nursery (one that
swallows its cancel holds the run for ever), and a cancel that only sets a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import trio

from tinyagent_actors._errors import InvalidArgumentsError, TinyAgentError
from tinyagent_actors.actors import ClockAbove, OuterDeadline, Runtime, deadline_reader
from tinyagent_actors.events import (
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
)
from tinyagent_actors.messages import (
    AgentToolResult,
    InvalidToolCall,
    Outcome,
    TextContent,
    ToolCall,
    ToolResultMessage,
)
from tinyagent_actors.tools._call_hooks import CallHooks
from tinyagent_actors.tools._execution import Execution
from tinyagent_actors.tools._tool import Tool

_QUOTED: Final = 2048
_LAST_STEPS: Final = 20
"""Steps of the loop, not seconds, that a tool gets to unwind after its time for cleanup is over."""


@attrs.define(eq=False)
class CallBatch:
    """The calls of one message. `wait` for them, then take `results()`; also after a cancel there is one for each."""

    calls: tuple[ToolCall | InvalidToolCall, ...]
    tools: Mapping[str, Tool] = attrs.field(repr=False)
    runtime: Runtime = attrs.field(kw_only=True, repr=False)
    path: str = attrs.field(kw_only=True)
    """The agent's."""
    run: int = attrs.field(kw_only=True)
    turn: int = attrs.field(kw_only=True)
    cause: int | None = attrs.field(default=None, kw_only=True)
    hooks: CallHooks | None = attrs.field(default=None, kw_only=True, repr=False)
    """What the application has to say around each tool that runs."""
    above: tuple[ClockAbove, ...] = attrs.field(default=(), kw_only=True, repr=False)
    """What stands above the clocks of the calls: the turn's, and so on."""
    why: Callable[[], str] = attrs.field(default=lambda: "the run was cancelled", kw_only=True, repr=False)
    """Says why the calls are cancelled, for those that read their results; asked when they are."""
    _results: dict[int, ToolResultMessage] = attrs.field(factory=dict, init=False, repr=False)
    """By place in `calls`."""
    _open: set[Execution] = attrs.field(factory=set, init=False, repr=False)
    _settled: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)
    """Where `wait` waits for the last slot to be filled: one wake-up, however many calls there are."""
    _fails_fast: str | None = attrs.field(default=None, init=False, repr=False)
    """Why every call is to be cancelled before it begins."""
    _fatal: BaseException | None = attrs.field(default=None, init=False, repr=False)
    terminate: bool = attrs.field(default=False, init=False)
    """Whether a tool wants the run to end."""

    async def wait(self) -> None:
        """Run the calls, and wait until each has its result.

        Cancelling it cancels the tools and waits for their cleanup, each at most its `cleanup_grace`, before it passes on; what
        has not ended then is given up.

        Raises:
            KeyboardInterrupt: A tool raised it, and there is no system to stop. `SystemExit` likewise.
        """
        self._start()
        try:
            await self._until_settled()
        except trio.Cancelled:
            self._cancel_open(self.why())
            await self._until_settled(shield=True)
            raise
        if self._fatal is not None and self.runtime.on_fatal is None:
            raise self._fatal

    def results(self) -> tuple[ToolResultMessage, ...]:
        """Give one result for each call, in the order of the calls; one that never began was cancelled."""
        for place, call in enumerate(self.calls):
            if place not in self._results:
                self._results[place] = _message(
                    call, AgentToolResult((TextContent("cancelled: the tool did not run"),)), is_error=True
                )
        return tuple(self._results[place] for place in range(len(self.calls)))

    async def _until_settled(self, *, shield: bool = False) -> None:
        while self._open:
            with trio.CancelScope(deadline=min(execution.due for execution in self._open), shield=shield):
                await self._settled.park()
            await self._give_up_due()

    async def _give_up_due(self) -> None:
        now = trio.current_time()
        due = [execution for execution in self._open if now >= execution.due]
        if not due:
            return
        for execution in due:
            execution.window.close()
        for _ in range(_LAST_STEPS):  # what awaited something in its cleanup is cancelled now, and may say how it ended
            await trio.lowlevel.cancel_shielded_checkpoint()
        for execution in due:
            if execution in self._open:
                execution.give_up()

    def _cancel_open(self, why: str) -> None:
        for execution in self._open:
            execution.cancel(why)
        self._wake()

    def _start(self) -> None:
        above = (*self.above, OuterDeadline("caller", deadline_reader(trio.lowlevel.current_task())))
        before: Execution | None = None
        for place, call in enumerate(self.calls):
            execution = self._prepare(place, call, above)
            if execution is None:
                continue
            if execution.tool.options.locks:
                execution.before, before = before, execution
            execution.began = trio.current_time()
            execution.scope.clock.follow(self._wake)
            self._open.add(execution)
            self.publish(ToolExecutionStartEvent, call, args=execution.call.arguments)
            self.runtime.start_detached(execution.run, name=f"tool {call.name} of {self.path}")
        if self._fails_fast is not None:
            self._cancel_open(self._fails_fast)

    def _prepare(self, place: int, call: ToolCall | InvalidToolCall, above: tuple[ClockAbove, ...]) -> Execution | None:
        """Give the execution of a call, or its error result at once."""
        if isinstance(call, InvalidToolCall):
            problem = f"the call did not run: {call.reason}. Its arguments as they came: {call.raw[:_QUOTED]}"
        elif call.name not in self.tools:
            problem = f"there is no tool {call.name!r}; there are: {', '.join(self.tools) or 'none'}"
        else:
            tool = self.tools[call.name]
            try:
                return Execution(call, tool, tool.reader.read(call.arguments), self, place, above)
            except InvalidArgumentsError as error:
                problem = str(error)
        self._refuse(place, call, AgentToolResult((TextContent(problem),)))
        return None

    def _refuse(self, place: int, call: ToolCall | InvalidToolCall, result: AgentToolResult) -> None:
        args = call.arguments if isinstance(call, ToolCall) else {}
        self.publish(ToolExecutionStartEvent, call, args=args)
        self._results[place] = _message(call, result, is_error=True)
        self.publish(ToolExecutionEndEvent, call, result=result, is_error=True, outcome="finished")
        tool = self.tools.get(call.name)
        if tool is not None and tool.options.fail_fast:
            self._fails_fast = f"a call of {call.name} failed"

    def settle(
        self,
        execution: Execution,
        result: AgentToolResult,
        outcome: Outcome,
        *,
        is_error: bool,
        error: TinyAgentError | None = None,
    ) -> None:
        """Fill the slot of a call. Once: what comes later is dropped."""
        if execution not in self._open:
            return
        self._open.remove(execution)
        execution.scope.clock.unfollow(self._wake)
        over = execution.scope.ended_by if outcome in ("timed_out", "abandoned") else None
        execution.settled = trio.current_time()
        self._results[execution.place] = _message(execution.call, result, is_error=is_error)
        self.terminate = self.terminate or result.terminate
        self.publish(
            ToolExecutionEndEvent,
            execution.call,
            result=result,
            is_error=is_error,
            outcome=outcome,
            seconds=execution.settled - execution.began,
            deadline=over and over.name,
            error=error,
        )
        if is_error and outcome != "cancelled" and execution.tool.options.fail_fast:
            self._cancel_open(f"a call of {execution.call.name} failed")
        if not self._open:
            self._wake()

    def _wake(self) -> None:
        self._settled.unpark_all()

    def fail_fatally(self, error: BaseException) -> None:
        """Have the program end because of a `KeyboardInterrupt` or `SystemExit` in a tool: that is nobody's result."""
        self._fatal = error
        self._cancel_open("the program was told to end")
        self.runtime.fail_fatally(error)

    def publish(self, kind: Any, call: ToolCall | InvalidToolCall, **fields: Any) -> None:
        """Publish an event about a call."""
        self.runtime.bus.publish(
            kind,
            self.path,
            run=self.run,
            turn=self.turn,
            cause=self.cause,
            tool_call_id=call.id,
            tool_name=call.name,
            **fields,
        )


def _message(call: ToolCall | InvalidToolCall, result: AgentToolResult, *, is_error: bool) -> ToolResultMessage:
    return ToolResultMessage(call.id, call.name, result.content, result.details, is_error)
