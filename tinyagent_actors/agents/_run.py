"""One run of an agent: from a prompt to the model's last word, tools and all.

`Run.loop` is the whole of it, one plain async function over explicit state::

    prompt -> stream -> tool calls in parallel -> results in call order -> next turn

Steering is taken at request boundaries, follow-ups when the agent would stop. What must hold of the transcript holds
after every line, so that a cancel may come anywhere: a message is appended together with the results of its calls, a
partial answer is kept and marked `aborted`, every call has exactly one result. Publishing never waits, so the last events are
told under cancellation too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from tinyagent_actors._errors import BudgetExceededError, RepeatedCallError, TinyAgentError, TurnLimitError
from tinyagent_actors.actors import CancelCause, ClockAbove, Hold, Runtime, as_fact
from tinyagent_actors.agents._account import Account, counting
from tinyagent_actors.agents._compaction import Compaction
from tinyagent_actors.agents._hooks import Hooks
from tinyagent_actors.agents._limits import Limits, RepeatGuard
from tinyagent_actors.agents._message_queue import MessageQueue
from tinyagent_actors.agents._model_call import ModelCall
from tinyagent_actors.agents._output import Output
from tinyagent_actors.agents._receipt import Applied
from tinyagent_actors.agents._recovery import Recovery
from tinyagent_actors.agents._run_clocks import RunClocks, outer_cause
from tinyagent_actors.agents._transcript import (
    aborted,
    calls_of,
    result_for,
    results_for_open_calls,
    runnable_calls,
)
from tinyagent_actors.events import (
    AgentEndEvent,
    AgentStartEvent,
    Event,
    MessageEndEvent,
    MessageStartEvent,
    MessageUpdateEvent,
    Partial,
    StreamEnd,
    StreamEvent,
    TurnEndEvent,
    TurnStartEvent,
)
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    InvalidToolCall,
    Message,
    Model,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
)
from tinyagent_actors.tools import CallBatch, Tool, ToolSource, with_sources

_REPEATED: Final = "not run: the same call came too often in a row; the run ends"


@attrs.frozen
class RunConfig:
    """What a run needs to know; fixed when it begins."""

    model: Model
    call: ModelCall
    system_prompt: str = ""
    tools: Mapping[str, Tool] = attrs.field(factory=dict)
    definitions: tuple[ToolDefinition, ...] = ()
    sources: tuple[ToolSource, ...] = ()
    """Where tools come from that may change between two requests."""
    limits: Limits = attrs.field(factory=Limits)
    hooks: Hooks = attrs.field(factory=Hooks)
    steering_mode: str = "one-at-a-time"
    follow_up_mode: str = "one-at-a-time"
    output: Output | None = None
    """What the run is to come to, if a text is not enough."""
    compaction: Compaction | None = None
    """What shortens a transcript that is too long; None: nothing does."""


@attrs.define(eq=False)
class Run:
    """The state of one run. `execute` it once."""

    number: int
    runtime: Runtime = attrs.field(repr=False)
    path: str
    config: RunConfig = attrs.field(repr=False)
    transcript: list[Message] = attrs.field(repr=False)
    """The agent's, grown in place."""
    steering: MessageQueue = attrs.field(factory=MessageQueue, repr=False)
    follow_ups: MessageQueue = attrs.field(factory=MessageQueue, repr=False)
    cause: int | None = None
    """`seq` of the event that led to this run; then of its own latest."""
    above: tuple[ClockAbove, ...] = ()
    """The clocks and deadlines of what this run is a part of."""
    clocks: RunClocks = attrs.field(init=False, repr=False)
    account: Account | None = attrs.field(default=None, repr=False)
    """What it may spend; None: nobody counts."""
    hold: Hold | None = attrs.field(default=None, repr=False)
    """Who stands still with it, because they have asked its agent next; None: nobody can."""
    recovery: Recovery | None = attrs.field(default=None, repr=False)
    """What is done about a context that is too long; None: nothing."""
    turn: int = attrs.field(default=0, init=False)
    interrupted: CancelCause | None = attrs.field(default=None, init=False)
    """By whom and why, if it was interrupted. Set before it is cancelled."""
    last_message: AssistantMessage | None = attrs.field(default=None, init=False, repr=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    """The limit or defect that ended it; what a provider did wrong is in `last_message.error`."""
    is_over: bool = attrs.field(default=False, init=False)
    _begun_at: int = attrs.field(default=0, init=False)
    _tools: Mapping[str, Tool] = attrs.field(factory=dict, init=False, repr=False)
    """Those that the present request offers."""
    _repeats: RepeatGuard = attrs.field(factory=RepeatGuard, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.clocks = RunClocks(self.config.limits, self.path, self.above)

    def publish(self, kind: type[Event], **fields: Any) -> None:
        """Publish an event of this run; it becomes the cause of the next."""
        self.cause = self.runtime.bus.publish(
            kind, self.path, run=self.number, turn=self.turn or None, cause=self.cause, **fields
        )

    def interrupt(self, cause: CancelCause) -> None:
        """End it: stream and tools are cancelled, what came is kept. Does not wait; the first cause stays."""
        if not self.is_over and self.interrupted is None:
            self.interrupted = cause
            self.clocks.cancel(f"{cause.source} by {cause.by}")

    def fail(self, error: Exception) -> None:
        """End it with an error, from outside: stream and tools are cancelled, what came is kept. Does not wait; the first stays."""
        if not self.is_over and self.error is None:
            self.error = error
            self.clocks.cancel(type(error).__name__)

    async def execute(self, prompt: tuple[Message, ...]) -> None:
        """Run to the end: afterwards `last_message`, or `error`, says how it went. Nothing is left running.

        Cancelling it from outside ends it as `interrupt` does, and `Cancelled` passes on.

        Raises:
            BaseException: Only `Cancelled` and what is no `Exception`; everything else is in `error`.
        """
        self._begun_at = len(self.transcript)
        self.publish(AgentStartEvent)
        try:
            async with self.clocks.running():
                with counting(self.account, self.hold):
                    await self.loop(prompt)
        except trio.Cancelled:
            self.interrupted = self.interrupted or outer_cause()
            raise
        except Exception as error:  # noqa: BLE001  # a run's end is a value; whoever asked for it gets the error
            self.error = error
        finally:
            self.error = self.error or self.clocks.error
            self.is_over = True
            new = tuple(self.transcript[self._begun_at :])
            self.turn = 0
            ended = self.interrupted
            self.publish(
                AgentEndEvent,
                messages=new,
                error=self._told_error(),
                by=ended and ended.by,
                why=ended and ended.why,
                source=ended and ended.source,
            )

    def _told_error(self) -> TinyAgentError | None:
        if self.error is None and self.last_message is not None:
            return self.last_message.error
        return as_fact(self.error)

    async def loop(self, prompt: tuple[Message, ...]) -> None:
        """Turn after turn, until the model stops, a limit is reached, or its provider fails."""
        wants_more = False
        while True:
            if not await self._recover(prompt):
                return
            self._begin_turn()  # first, so that where the limit ends the run nothing was taken out of a queue
            with self.clocks.turn():
                self._enter(prompt, follow_up=wants_more)
                prompt = ()
                answer = await self._ask_model()
                is_too_long = self.recovery is not None and self.recovery.hear(answer)
                if answer.stop_reason in ("error", "aborted"):
                    self._end_turn(answer, results_for_open_calls(answer, "the answer broke off"))
                    if not is_too_long:
                        return
                    wants_more = False
                    continue
                if self.clocks.is_landing and not self._tools:
                    self._end_turn(answer, results_for_open_calls(answer, "the time of the run is nearly up"))
                    return
                if await self._use_tools(answer) or self.clocks.is_landing:
                    return
            has_stopped = not any(calls_of(answer)) and answer.stop_reason != "pause_turn"
            wants_more = has_stopped and not self.steering
            is_over = wants_more and not self.follow_ups
            if self.config.output is not None:
                repair = self.config.output.after_turn(answer, has_stopped=is_over)
                if repair is not None:
                    prompt, is_over = (repair,), False
            if is_over:
                return

    async def _recover(self, prompt: tuple[Message, ...]) -> bool:
        """Shorten the transcript, if that is due; False if the provider failed at it, which ends the run like any such failure."""
        error = None if self.recovery is None else await self.recovery.compact(self)
        if error is not None:
            self._begin_turn()
            for message in prompt:
                self._append(message)
            self._end_turn(attrs.evolve(_nothing_yet(self.config.model), stop_reason="error", error=error), ())
        return error is None

    def replace_transcript(self, messages: Sequence[Message]) -> None:
        """Put other messages in the place of all there were. Of this run's own, those count that are still among the last."""
        own = len(self.transcript) - self._begun_at
        self.transcript[:] = messages
        self._begun_at = max(0, len(self.transcript) - own)

    def _enter(self, prompt: tuple[Message, ...], *, follow_up: bool) -> None:
        """Append what enters before the next request, and settle the receipts."""
        for message in prompt:
            self._append(message)
        for receipt in self.steering.take() + (self.follow_ups.take() if follow_up else ()):
            for message in receipt.messages:
                self._append(message)
            receipt.settle(Applied(self.turn, self.number))
        if self.clocks.is_landing:
            self._append(self.clocks.notice(self._last_tools()))

    def _last_tools(self) -> Mapping[str, Tool]:
        """Give the tools of the last turn, when time is nearly up: only that of a typed answer."""
        output = self.config.output
        return {name: tool for name, tool in self.config.tools.items() if output is not None and tool is output.tool}

    def _begin_turn(self) -> None:
        limit = self.config.limits.turns
        if limit is not None and self.turn >= limit:
            raise TurnLimitError(limit)
        self.turn += 1
        self.publish(TurnStartEvent)

    def _append(self, message: Message) -> None:
        self.publish(MessageStartEvent, message=message)
        self.transcript.append(message)
        self.publish(MessageEndEvent, message=message)

    async def _ask_model(self) -> AssistantMessage:
        """Stream one answer. Cancelled, or failed in a hook: what came is appended, with a result for each of its calls, first."""
        config = self.config
        base = _nothing_yet(config.model)
        log: list[StreamEvent] = []
        self.publish(MessageStartEvent, message=base)
        try:
            self._tools, definitions = config.tools, config.definitions
            if config.sources:
                self._tools = with_sources(config.tools, config.sources)
                definitions = tuple(tool.definition for tool in self._tools.values())
            if self.clocks.is_landing:
                self._tools = self._last_tools()
                definitions = tuple(tool.definition for tool in self._tools.values())
            context = Context(config.system_prompt, await config.hooks.shown(self.transcript), definitions)
            async with config.call(config.model, context, self.publish) as stream:
                while events := await stream.next_events():
                    if not log and stream.model is not None:
                        base = _nothing_yet(stream.model)
                    log += events
                    await self._tell_progress(log, len(events), base)
                return await stream.result()
        except BaseException as broken:
            partial = aborted(Partial(log, len(log), base))
            why = self._why_cancelled() if isinstance(broken, trio.Cancelled) else "the answer broke off"
            self._end_turn(partial, results_for_open_calls(partial, why))
            raise

    def _why_cancelled(self) -> str:
        over = self.clocks.hear_cancelled()
        if self.error is not None:
            return str(as_fact(self.error))
        return over or (self.interrupted or outer_cause()).why

    async def _tell_progress(self, log: list[StreamEvent], new: int, base: AssistantMessage) -> None:
        bus = self.runtime.bus
        if not bus.wants_deltas(self.path):
            return
        for count in range(len(log) - new, len(log)):
            event = log[count]
            if not isinstance(event, StreamEnd):
                partial = Partial(log, count + 1, base)
                self.publish(MessageUpdateEvent, assistant_message_event=event, partial=partial)
        await bus.make_room(self.path)

    async def _use_tools(self, answer: AssistantMessage) -> bool:
        """Run the calls of an answer, append it with their results; whether a tool or a hook wants the run to end."""
        calls = runnable_calls(answer)
        times = self._count_repeats(calls)
        limit = self.config.limits.refuse_at or math.inf
        running = next((place for place, count in enumerate(times) if count >= limit), len(calls))
        await self._take_tool_calls(answer, calls[:running])
        batch = CallBatch(
            calls[:running],
            self._tools,
            runtime=self.runtime,
            path=self.path,
            run=self.number,
            turn=self.turn,
            cause=self.cause,
            hooks=self.config.hooks.around_calls(),
            above=self.clocks.above_calls(),
            why=self._why_cancelled,
        )
        results: tuple[ToolResultMessage, ...] = ()
        try:
            if calls:
                await batch.wait()
        finally:
            results = (
                *self._warned(batch.results(), times),
                *(result_for(call, _REPEATED) for call in calls[running:]),
            )
            self._end_turn(answer, results)
        if running < len(calls):
            raise RepeatedCallError(calls[running].name, times[running])
        if batch.terminate or self.config.hooks.should_stop_after_turn is None:
            return batch.terminate
        context = Context(self.config.system_prompt, tuple(self.transcript), self.config.definitions)
        return await self.config.hooks.stop_after(answer, results, context, tuple(self.transcript[self._begun_at :]))

    async def _take_tool_calls(self, answer: AssistantMessage, calls: tuple[ToolCall | InvalidToolCall, ...]) -> None:
        """Enter calls in the account before they run; where they are too many, none runs and the turn is over."""
        if self.account is None:
            return
        try:
            await self.account.take_tool_calls(sum(isinstance(call, ToolCall) for call in calls), self.publish)
        except (trio.Cancelled, BudgetExceededError) as error:
            why = str(error) if isinstance(error, BudgetExceededError) else self._why_cancelled()
            self._end_turn(answer, results_for_open_calls(answer, why))
            raise

    def _count_repeats(self, calls: tuple[ToolCall | InvalidToolCall, ...]) -> list[int]:
        """Give for each call how many identical ones in a row it makes, over the turns."""
        return [self._repeats.count(call) for call in calls]

    def _warned(self, results: tuple[ToolResultMessage, ...], times: list[int]) -> Iterator[ToolResultMessage]:
        limit = self.config.limits.warn_at or math.inf
        for result, count in zip(results, times, strict=False):  # those that are refused have no result yet
            yield _with_warning(result, count) if count >= limit else result

    def _end_turn(self, answer: AssistantMessage, results: tuple[ToolResultMessage, ...]) -> None:
        """Append an answer together with its results: the one place where either enters the transcript."""
        self.last_message = answer
        self.transcript.append(answer)
        self.publish(MessageEndEvent, message=answer)
        for result in results:
            self._append(result)
        self.publish(TurnEndEvent, message=answer, tool_results=results)


def _nothing_yet(model: Model) -> AssistantMessage:
    return AssistantMessage(api=model.api, provider=model.provider, model=model.id)


def _with_warning(result: ToolResultMessage, times: int) -> ToolResultMessage:
    warning = f"Warning: this is the same call with the same arguments, {times} times in a row. Do something else."
    return attrs.evolve(result, content=(*result.content, {"type": "text", "text": warning}))
