"""AgentRef: a ref with an agent behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, overload

import attrs
import trio

from tinyagent_actors._errors import ActorStoppedError
from tinyagent_actors.actors import ActorRef, Policy, Subscription, current_cell
from tinyagent_actors.agents._agent_actor import AgentActor
from tinyagent_actors.agents._budget import Budget, to_budget
from tinyagent_actors.agents._lease import LeaseState
from tinyagent_actors.agents._ledger import ledger_of
from tinyagent_actors.agents._output import REPAIRS, Output, OutputMode, OutputT
from tinyagent_actors.agents._prompt import Interrupt, Prompt
from tinyagent_actors.agents._receipt import Receipt, returned
from tinyagent_actors.agents._transcript import to_messages
from tinyagent_actors.events import AgentEndEvent, Event, Gap
from tinyagent_actors.messages import AssistantMessage, Message


class AgentRef(ActorRef):
    """A reference to an agent: what is asked or told is a prompt (a text, a message, content blocks, or several messages)."""

    __slots__ = ()

    async def ask(self, message: object, *, budget: Budget | None = None) -> AssistantMessage:
        """Have the agent answer a prompt; the deadline is the caller's cancel scope.

        What a provider did is data: the message's `error` says what failed. Cancelling it cancels the run.

        Args:
            message: The prompt.
            budget: What this run may spend, with all that it asks others to do; None: as much as the agent may.

        Returns:
            The last message of the run; with `stop_reason` ``aborted`` if the run was interrupted.

        Raises:
            ValueShapeError: The prompt is none.
            TurnLimitError: The run used all its turns. `RepeatedCallError` likewise: a limit ended the run.
            BudgetExceededError: A budget is spent: the run's, the agent's, or one above either; `path` says whose.
            ActorStoppedError: The agent is gone, or went while the prompt was queued.
            ActorDiedError: It crashed during the run.
            AskCycleError: It waits, directly or not, for the actor that asks.
        """
        answer: AssistantMessage = await super().ask(_to_prompt(message, budget))
        return answer

    @overload
    async def ask_typed(
        self,
        message: object,
        output_type: type[OutputT],
        *,
        mode: OutputMode = "tool",
        repairs: int = REPAIRS,
        budget: Budget | None = None,
    ) -> OutputT: ...

    @overload
    async def ask_typed(
        self,
        message: object,
        output_type: object,
        *,
        mode: OutputMode = "tool",
        repairs: int = REPAIRS,
        budget: Budget | None = None,
    ) -> Any: ...

    async def ask_typed(
        self,
        message: object,
        output_type: object,
        *,
        mode: OutputMode = "tool",
        repairs: int = REPAIRS,
        budget: Budget | None = None,
    ) -> Any:
        """Have the agent answer a prompt with a value of a type; see `Agent.prompt_typed`. Cancelling it cancels the run.

        Returns:
            The value.

        Raises:
            OutputError: The run came to no such value.
            ProviderError: The provider failed.
            SpecError: No schema can be made of the type, or the mode is not to be had; and what `ask` raises.
        """
        output = Output(output_type, mode, repairs)
        prompt = _to_prompt(message, budget)
        prompt.output = output
        return output.result_of(await super().ask(prompt))

    @asynccontextmanager
    async def stream(
        self, message: object, *, policy: Policy | None = None, budget: Budget | None = None
    ) -> AsyncIterator[RunEvents]:
        """Have the agent answer a prompt, and read the events of that run as they come.

        Leaving the block before the end cancels the run and waits until nothing of it is left.

        Args:
            message: The prompt.
            policy: What happens when the reader is slow: `block()`, the default, or `conflate(n)`.
            budget: As for `ask`.

        Yields:
            An async iterator of the events of this run; the last is its `AgentEndEvent`.

        Raises:
            ValueShapeError: The prompt is none.
            ActorStoppedError: The agent is gone.
        """
        prompt = _to_prompt(message, budget)
        runtime = self.address.runtime
        async with runtime.bus.subscribe(self.path.lstrip("/"), policy=policy) as subscription:
            asking = _Asking(self, prompt, subscription)
            runtime.start_detached(asking.ask, name=f"ask {self.path}")
            try:
                yield RunEvents(subscription, asking)
            finally:
                asking.scope.cancel(reason="the stream was left")
                with trio.CancelScope(shield=True):
                    await asking.ended.wait()
                    if prompt.run is not None:
                        await prompt.over.wait()

    def steer(self, message: object) -> Receipt:
        """Have a message enter the present run at its next request, past everything that is queued. Does not wait.

        Without a run it waits for the one to come, if a prompt lies unread.

        Returns:
            What will say in which turn it entered, or why it did not; at most 64 may be pending.

        Raises:
            ValueShapeError: It is no message.
        """
        return self._hand_in(AgentActor.steer, message)

    def follow_up(self, message: object) -> Receipt:
        """Have a message enter the present run where it would stop; else as `steer`."""
        return self._hand_in(AgentActor.follow_up, message)

    def _hand_in(self, hand_in: Callable[[AgentActor, tuple[Message, ...]], Receipt], message: object) -> Receipt:
        messages = to_messages(message)
        if self.address.is_gone:
            return returned(messages, "gone")
        agent = self.address.body
        return hand_in(agent, messages) if isinstance(agent, AgentActor) else returned(messages, "idle")

    async def interrupt(self, why: str = "interrupt()") -> bool:
        """End the agent's present run, not the agent; queued prompts stay. The partial answer is kept.

        Cancelling the wait: the interrupt goes on.

        Returns:
            True once the run's `AgentEndEvent` is published; False if the agent was idle, or is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.address.is_gone:
            return False
        cell = current_cell()
        interrupt = Interrupt("outside" if cell is None else cell.path, why)
        self.address.mailbox.post(interrupt)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_set_when_gone, self, interrupt.answered)
            await interrupt.answered.wait()
            nursery.cancel_scope.cancel()
        return bool(interrupt.ended and interrupt.ended[0])

    def lease(self) -> LeaseState | None:
        """Give what the agent and all below it have used, and may use; None before it has started."""
        return ledger_of(self.address.runtime).state(self.path)


def _to_prompt(message: object, budget: Budget | None) -> Prompt:
    cell = current_cell()
    asker = None if cell is None else getattr(cell.address.body, "account", None)
    return Prompt(to_messages(message), to_budget(budget), asker)


async def _set_when_gone(ref: ActorRef, event: trio.Event) -> None:
    await ref.wait_stopped()
    event.set()


@attrs.define(eq=False)
class _Asking:
    """The ask behind a stream, in a task of its own."""

    ref: AgentRef
    prompt: Prompt
    subscription: Subscription
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event = attrs.field(factory=trio.Event)
    answer: AssistantMessage | None = None
    error: Exception | None = None

    async def ask(self) -> None:
        try:
            with self.scope:
                self.answer = await ActorRef.ask(self.ref, self.prompt)
        except Exception as error:  # noqa: BLE001  # it is raised where the events are read
            self.error = error
        finally:
            if self.prompt.run is None:
                self.ref.address.runtime.bus.close_subscription(self.subscription)
            self.ended.set()


@attrs.define(eq=False)
class RunEvents:
    """The events of one run; read by one task."""

    _subscription: Subscription
    _asking: _Asking
    _is_over: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> RunEvents:
        return self

    async def __anext__(self) -> Event | Gap:
        """Wait for the next event of the run. A cancel loses nothing.

        Raises:
            StopAsyncIteration: The `AgentEndEvent` was the last.
            ActorStoppedError: The agent went before the run had begun; what else `ask` raises before that likewise.
            SubscriberTooSlowError: This reader was too slow and was cut off.
        """
        while not self._is_over:
            try:
                event = await self._subscription.__anext__()
            except StopAsyncIteration:
                self._is_over = True
                if self._asking.error is not None:
                    raise self._asking.error from None
                raise
            if isinstance(event, Gap):
                return event
            if event.run is not None and event.run == self._asking.prompt.run:
                self._is_over = isinstance(event, AgentEndEvent)
                return event
        raise StopAsyncIteration

    async def result(self) -> AssistantMessage:
        """Wait for the last message of the run.

        Raises:
            TinyAgentError: What `ask` raises.
        """
        await self._asking.ended.wait()
        if self._asking.error is not None:
            raise self._asking.error
        if self._asking.answer is None:
            raise ActorStoppedError(self._asking.ref.path, "the stream was left")
        return self._asking.answer
