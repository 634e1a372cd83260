"""One run of an agent: from a prompt to the model's last word, tools and all.

`Run.loop` is the whole of it, one plain async function over explicit state::

    prompt -> stream -> tool calls in parallel -> results in call order -> next turn

Steering is taken at request boundaries, follow-ups when the agent would stop. What must hold of the transcript holds
after every line, so that a cancel may come anywhere: a message is appended together with the results of its calls, a
partial answer is kept and marked `aborted`, every call has exactly one result. Publishing never waits, so the last events are
told under cancellation too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio

from tinyagent_actors._errors import RepeatedCallError, TinyAgentError, TurnLimitError
from tinyagent_actors.actors import CancelCause, Runtime, as_fact
from tinyagent_actors.agents._limits import Limits, RepeatGuard
from tinyagent_actors.agents._model_call import ModelCall
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
from tinyagent_actors.tools import CallBatch, Tool


@attrs.frozen
class RunConfig:
    """What a run needs to know; fixed when it begins."""

    model: Model
    call: ModelCall
    system_prompt: str = ""
    tools: Mapping[str, Tool] = attrs.field(factory=dict)
    definitions: tuple[ToolDefinition, ...] = ()
    limits: Limits = attrs.field(factory=Limits)
    to_llm: Callable[[tuple[Message, ...]], tuple[Message, ...]] | None = None
    """Turns the transcript into what the model sees; None: custom messages are left out by the provider."""


@attrs.define(eq=False)
class MessageQueue:
    """Messages that wait to enter a run: steering, or follow-ups."""

    mode: str = "one-at-a-time"
    """`one-at-a-time` or `all`: how many enter at once."""
    _messages: deque[Message] = attrs.field(factory=deque, init=False)

    def add(self, message: Message) -> None:
        """Put a message at the end."""
        self._messages.append(message)

    def clear(self) -> None:
        """Forget them all."""
        self._messages.clear()

    def take(self) -> tuple[Message, ...]:
        """Take what enters now."""
        if self.mode == "all":
            taken = tuple(self._messages)
            self._messages.clear()
            return taken
        return (self._messages.popleft(),) if self._messages else ()

    def __len__(self) -> int:
        return len(self._messages)


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
    turn: int = attrs.field(default=0, init=False)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    interrupted: CancelCause | None = attrs.field(default=None, init=False)
    """By whom and why, if it was interrupted. Set before the scope is cancelled."""
    last_message: AssistantMessage | None = attrs.field(default=None, init=False, repr=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    """The limit or defect that ended it; what a provider did wrong is in `last_message.error`."""
    is_over: bool = attrs.field(default=False, init=False)
    _begun_at: int = attrs.field(default=0, init=False)
    _repeats: RepeatGuard = attrs.field(factory=RepeatGuard, init=False, repr=False)

    def publish(self, kind: type[Event], **fields: Any) -> None:
        """Publish an event of this run; it becomes the cause of the next."""
        self.cause = self.runtime.bus.publish(
            kind, self.path, run=self.number, turn=self.turn or None, cause=self.cause, **fields
        )

    def interrupt(self, cause: CancelCause) -> None:
        """End it: stream and tools are cancelled, what came is kept. Does not wait; the first cause stays."""
        if not self.is_over and self.interrupted is None:
            self.interrupted = cause
            self.scope.cancel(reason=f"{cause.source} by {cause.by}")

    async def execute(self, prompt: tuple[Message, ...]) -> None:
        """Run to the end: afterwards `last_message`, or `error`, says how it went. Nothing is left running.

        Cancelling it from outside ends it as `interrupt` does, and `Cancelled` passes on.

        Raises:
            BaseException: Only `Cancelled` and what is no `Exception`; everything else is in `error`.
        """
        self._begun_at = len(self.transcript)
        self.publish(AgentStartEvent)
        try:
            with self.scope:
                await self.loop(prompt)
        except Exception as error:  # noqa: BLE001  # a run's end is a value; whoever asked for it gets the error
            self.error = error
        finally:
            self.is_over = True
            new = tuple(self.transcript[self._begun_at :])
            self.turn = 0
            self.publish(AgentEndEvent, messages=new, error=self._told_error())

    def _told_error(self) -> TinyAgentError | None:
        if self.error is None and self.last_message is not None:
            return self.last_message.error
        return as_fact(self.error)

    async def loop(self, prompt: tuple[Message, ...]) -> None:
        """Turn after turn, until the model stops, a limit is reached, or its provider fails."""
        entering = prompt
        while True:
            entering += self.steering.take()
            self._begin_turn()
            for message in entering:
                self._append(message)
            answer = await self._ask_model()
            if answer.stop_reason in ("error", "aborted"):
                self._end_turn(answer, results_for_open_calls(answer, "the answer broke off"))
                return
            terminate = await self._use_tools(answer)
            if terminate:
                return
            entering = ()
            if not any(calls_of(answer)) and not self.steering:
                entering = self.follow_ups.take()
                if not entering:
                    return

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
        """Stream one answer. Cancelled: what came is appended, with a result for each of its calls, before that passes on."""
        config = self.config
        messages = tuple(self.transcript) if config.to_llm is None else config.to_llm(tuple(self.transcript))
        base = _nothing_yet(config.model)
        log: list[StreamEvent] = []
        self.publish(MessageStartEvent, message=base)
        try:
            context = Context(config.system_prompt, messages, config.definitions)
            async with config.call(config.model, context, self.publish) as stream:
                while events := await stream.next_events():
                    if not log and stream.model is not None:
                        base = _nothing_yet(stream.model)
                    log += events
                    await self._tell_progress(log, len(events), base)
                return await stream.result()
        except trio.Cancelled:
            partial = aborted(Partial(log, len(log), base))
            why = self.interrupted.why if self.interrupted else "the run was cancelled"
            self._end_turn(partial, results_for_open_calls(partial, why))
            raise

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
        """Run the calls of an answer, append it with their results; whether a tool wants the run to end."""
        calls = runnable_calls(answer)
        if not calls:
            self._end_turn(answer, ())
            return False
        warned, refused = self._guard(answer)
        batch = CallBatch(
            tuple(call for call in calls if call not in refused),
            self.config.tools,
            runtime=self.runtime,
            path=self.path,
            run=self.number,
            turn=self.turn,
            cause=self.cause,
        )
        try:
            await batch.wait()
        finally:
            self._end_turn(answer, self._in_order(calls, batch.results(), warned, refused))
        if refused:
            raise RepeatedCallError(refused[0].name, self.config.limits.refuse_at or 0)
        return batch.terminate

    def _guard(self, answer: AssistantMessage) -> tuple[dict[str, int], list[ToolCall | InvalidToolCall]]:
        """Give the calls that get a warning, with how often they came, and those that do not run any more."""
        limits = self.config.limits
        warned: dict[str, int] = {}
        refused: list[ToolCall | InvalidToolCall] = []
        for call in answer.tool_calls:
            times = self._repeats.count(call)
            if refused or (limits.refuse_at is not None and times >= limits.refuse_at):
                refused.append(call)
            elif limits.warn_at is not None and times >= limits.warn_at:
                warned[call.id] = times
        return warned, refused

    def _in_order(
        self,
        calls: tuple[ToolCall | InvalidToolCall, ...],
        results: tuple[ToolResultMessage, ...],
        warned: dict[str, int],
        refused: list[ToolCall | InvalidToolCall],
    ) -> tuple[ToolResultMessage, ...]:
        ran = iter(results)
        ordered = []
        for call in calls:
            if call in refused:
                ordered.append(result_for(call, "not run: the same call came too often in a row; the run ends"))
            else:
                result = next(ran)
                ordered.append(_with_warning(result, warned[call.id]) if call.id in warned else result)
        return tuple(ordered)

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
