"""Agent: one conversation in a script, without a system. Same names as the seed's, on Trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, overload

import attrs
import trio

from tinyagent_actors._errors import AgentBusyError, MailboxFullError, SpecError
from tinyagent_actors.actors import (
    ApprovalRequest,
    Approvals,
    CancelCause,
    EventBus,
    Runtime,
    current_runtime,
    name_of_caller,
)
from tinyagent_actors.agents._agent_options import AgentOptions, AgentState, to_model_like
from tinyagent_actors.agents._event_readers import Texts, UntilEnd
from tinyagent_actors.agents._hooks import Hooks, run_hook, typed_key
from tinyagent_actors.agents._listener import Listener, ServedListeners, serve_listeners
from tinyagent_actors.agents._message_queue import CAPACITY, MessageQueue
from tinyagent_actors.agents._model_call import ModelCall
from tinyagent_actors.agents._output import REPAIRS, Output, OutputMode, OutputT
from tinyagent_actors.agents._receipt import Receipt
from tinyagent_actors.agents._run import Run, RunConfig
from tinyagent_actors.agents._seed_call import SeedCall
from tinyagent_actors.agents._stream_call import ProviderCall, with_retries
from tinyagent_actors.agents._thinking_budgets import ThinkingBudgets
from tinyagent_actors.agents._transcript import to_messages
from tinyagent_actors.events import Event, Gap
from tinyagent_actors.messages import (
    AssistantMessage,
    ImageContent,
    Message,
    Model,
    ThinkingLevel,
    UserMessage,
)
from tinyagent_actors.providers import SimpleStreamOptions, stream_openrouter
from tinyagent_actors.tools import Tool, to_tools


@attrs.define(eq=False)
class Agent:
    """A conversation with a model and its tools. One run at a time; outside a system, its events have the path ``/``.

    Example:
        >>> agent = Agent(AgentOptions(session_id="my-session"))
        >>> agent.set_system_prompt("You are a helpful assistant.")
        >>> agent.session_id
        'my-session'
    """

    _options: AgentOptions = attrs.field(factory=AgentOptions)
    _system_prompt: str = attrs.field(default="", init=False)
    _model: Model | None = attrs.field(default=None, init=False)
    _tools: tuple[Tool, ...] = attrs.field(default=(), init=False)
    _messages: list[Message] = attrs.field(factory=list, init=False, repr=False)
    _steering: MessageQueue = attrs.field(init=False, repr=False)
    _follow_ups: MessageQueue = attrs.field(init=False, repr=False)
    _listeners: list[Listener] = attrs.field(factory=list, init=False, repr=False)
    _served: ServedListeners | None = attrs.field(default=None, init=False, repr=False)
    """The listeners of the run that goes on."""
    _bus: EventBus = attrs.field(factory=EventBus, init=False, repr=False)
    _approvals: Approvals = attrs.field(
        default=attrs.Factory(lambda self: Approvals(self._bus), takes_self=True), init=False, repr=False
    )
    _run: Run | None = attrs.field(default=None, init=False)
    _runs: int = attrs.field(default=0, init=False)
    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)
    _error: str | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._steering = MessageQueue(self._options.steering_mode)
        self._follow_ups = MessageQueue(self._options.follow_up_mode)
        state = self._options.initial_state
        if state is not None:
            self._system_prompt, self._model, self._tools = state.system_prompt, state.model, state.tools
            self._messages = list(state.messages)
            if state.thinking_level != "off":
                self.set_thinking_level(state.thinking_level)

    # State.

    @property
    def state(self) -> AgentState:
        """What it holds, as it stands now."""
        return AgentState(
            self._system_prompt,
            self._model,
            "off" if self._model is None else self._model.thinking_level,
            self._tools,
            tuple(self._messages),
            self._run is not None,
            self._error,
        )

    @property
    def session_id(self) -> str | None:
        """The name of this conversation."""
        return self._options.session_id

    @property
    def thinking_budgets(self) -> ThinkingBudgets | None:
        """How many tokens the model may think and answer with, where that was said."""
        return self._options.thinking_budgets

    def set_system_prompt(self, text: str) -> None:
        """Set the system prompt of the next runs."""
        self._system_prompt = text

    def set_model(self, model: Model | Mapping[str, Any] | Sequence[Model]) -> None:
        """Set the model of the next runs; of several, each is asked where the one before it did not answer.

        Raises:
            SpecError: It is no model.
            ValueShapeError: It is no dict shape of one.
        """
        self._model = to_model_like(model)

    def set_thinking_level(self, level: ThinkingLevel) -> None:
        """Set how much the model thinks.

        Raises:
            SpecError: No model is set.
        """
        model = self._need_model()
        fallbacks = tuple(attrs.evolve(fallback, thinking_level=level) for fallback in model.fallbacks)
        self._model = attrs.evolve(model, thinking_level=level, fallbacks=fallbacks)

    def set_tools(self, tools: Iterable[Any]) -> None:
        """Set the tools of the next runs: `AgentTool`s, or functions made tools by `@tool`."""
        self._tools = to_tools(tools)

    def set_steering_mode(self, mode: str) -> None:
        """Set how many steering messages enter at once: `one-at-a-time` or `all`."""
        self._steering.mode = mode

    def get_steering_mode(self) -> str:
        """Give how many steering messages enter at once."""
        return self._steering.mode

    def set_follow_up_mode(self, mode: str) -> None:
        """Set how many follow-ups enter at once: `one-at-a-time` or `all`."""
        self._follow_ups.mode = mode

    def get_follow_up_mode(self) -> str:
        """Give how many follow-ups enter at once."""
        return self._follow_ups.mode

    def replace_messages(self, messages: Iterable[Message | Mapping[str, Any]]) -> None:
        """Set the transcript. Raises `AgentBusyError` during a run."""
        self._need_idle()
        self._messages[:] = to_messages(tuple(messages))

    def append_message(self, message: Message | Mapping[str, Any]) -> None:
        """Add a message to the transcript. Raises `AgentBusyError` during a run."""
        self._need_idle()
        self._messages.extend(to_messages(message))

    def clear_messages(self) -> None:
        """Empty the transcript. Raises `AgentBusyError` during a run."""
        self.replace_messages(())

    def steer(self, message: object) -> Receipt:
        """Have a message enter the run at its next request; without one, the next run's first.

        Returns:
            What will say in which turn it entered; it may be ignored.

        Raises:
            MailboxFullError: 64 are pending.
        """
        return _added(self._steering, message)

    def follow_up(self, message: object) -> Receipt:
        """Have a message enter when the agent would stop; as `steer`."""
        return _added(self._follow_ups, message)

    def clear_steering_queue(self) -> None:
        """Give back what was steered and has not entered."""
        self._steering.give_back("cleared")

    def clear_follow_up_queue(self) -> None:
        """Give back the follow-ups that have not entered."""
        self._follow_ups.give_back("cleared")

    def clear_all_queues(self) -> None:
        """Give back both."""
        self.clear_steering_queue()
        self.clear_follow_up_queue()

    def reset(self) -> None:
        """Empty transcript and queues; model, tools and system prompt stay. Raises `AgentBusyError` during a run."""
        self.clear_messages()
        self.clear_all_queues()
        self._error = None

    def subscribe(self, listener: Callable[[Event | Gap], object]) -> Callable[[], None]:
        """Have a plain or async function called with every event; a task of its own serves it from a bounded queue.

        A slow listener loses the oldest events (a `Gap` tells which); one that raises is logged and stays.

        Returns:
            A function that ends the subscription.
        """
        subscribed = Listener(listener)
        self._listeners.append(subscribed)
        if self._served is not None:
            self._served.add(subscribed)

        def unsubscribe() -> None:
            subscribed.is_subscribed = False
            if subscribed in self._listeners:
                self._listeners.remove(subscribed)

        return unsubscribe

    # Running.

    async def prompt(
        self, prompt: object, images: Iterable[ImageContent | Mapping[str, Any]] | None = None
    ) -> AssistantMessage:
        """Run on a text, a message, content or several messages. What a provider did is data: see the message's `error`.

        Cancelling it ends the run: no further request, the socket closed, the tools gone; the partial answer is kept.

        Returns:
            The last message of the run.

        Raises:
            AgentBusyError: A run goes on.
            SpecError: No model is set.
            TurnLimitError: The run used all its turns; `RepeatedCallError` likewise: a limit ended it.
        """
        return await self._execute(_with_images(to_messages(prompt), images))

    async def prompt_text(
        self, prompt: object, images: Iterable[ImageContent | Mapping[str, Any]] | None = None
    ) -> str:
        """Run as `prompt` does, and give the text of the last message.

        Raises:
            ProviderError: The provider failed; and what `prompt` raises.
        """
        message = await self.prompt(prompt, images)
        if message.error is not None:
            raise message.error
        return message.text

    @overload
    async def prompt_typed(
        self, prompt: object, output_type: type[OutputT], *, mode: OutputMode = "tool", repairs: int = REPAIRS
    ) -> OutputT: ...

    @overload
    async def prompt_typed(
        self, prompt: object, output_type: object, *, mode: OutputMode = "tool", repairs: int = REPAIRS
    ) -> Any: ...

    async def prompt_typed(
        self, prompt: object, output_type: object, *, mode: OutputMode = "tool", repairs: int = REPAIRS
    ) -> Any:
        """Run as `prompt` does, until the model has given a value of a type, and give that value.

        Cancelling it ends the run as it does that of `prompt`.

        Args:
            prompt: As of `prompt`.
            output_type: An attrs class, a TypedDict, whatever a tool's parameter may be; or a JSON Schema, for plain data.
            mode: ``tool``: the model calls the tool `final_answer`. ``schema``: the provider sees to it, if it can.
            repairs: How often the model may try again where the value does not fit.

        Returns:
            The value.

        Raises:
            OutputError: The run came to no such value.
            ProviderError: The provider failed.
            SpecError: No schema can be made of the type, or the mode is not to be had; and what `prompt` raises.
        """
        output = Output(output_type, mode, repairs)
        return output.result_of(await self._execute(to_messages(prompt), output))

    async def continue_(self) -> AssistantMessage:
        """Run on from the transcript as it stands, whose last message must not be the assistant's.

        Raises:
            SpecError: It is, or there is none; and what `prompt` raises.
        """
        if not self._messages or isinstance(self._messages[-1], AssistantMessage):
            raise SpecError("messages", "the last message must be there, and not the assistant's")
        return await self._execute(())

    @asynccontextmanager
    async def stream(
        self, prompt: object, images: Iterable[ImageContent | Mapping[str, Any]] | None = None
    ) -> AsyncIterator[AsyncIterator[Event | Gap]]:
        """Run as `prompt` does, and read its events as they come. Leaving the block early ends the run.

        Yields:
            An async iterator of events; the last is the `AgentEndEvent`.
        """
        messages = _with_images(to_messages(prompt), images)
        self._need_idle()
        self._need_model()
        async with self._bus.subscribe("/") as subscription:
            errors: list[BaseException] = []
            scope = trio.CancelScope()
            over = trio.Event()
            current_runtime().start_detached(self._execute_apart, messages, scope, errors, over, name="agent run")
            try:
                yield UntilEnd(subscription)
            finally:
                scope.cancel(reason="the stream was left")
                with trio.CancelScope(shield=True):
                    await over.wait()
        if errors:
            raise errors[0]

    @asynccontextmanager
    async def stream_text(
        self, prompt: object, images: Iterable[ImageContent | Mapping[str, Any]] | None = None
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Run as `prompt` does, and read the pieces of text as they come. Leaving the block early ends the run."""
        async with self.stream(prompt, images) as events:
            yield Texts(events)

    def approvals(self) -> tuple[ApprovalRequest, ...]:
        """Give the calls that wait to be approved, of this agent and of agents that its tools run; in the order in which they came."""
        return self._approvals.requests()

    def approve(self, request: str | ApprovalRequest) -> None:
        """Let a call run that waits to be approved. Does not wait.

        Args:
            request: It, or its id; with it itself, all of its hash is compared, with an id the beginning.

        Raises:
            ApprovalNotFoundError: There is no such request.
            ApprovalAnsweredError: It is settled already: answered, timed out, or its call was cancelled.
            ApprovalMismatchError: It is one for another tool, other arguments, or another agent.
        """
        self._approvals.approve(request, name_of_caller())

    def deny(self, request: str | ApprovalRequest, reason: str = "") -> None:
        """Have a call not run that waits to be approved; the model reads the reason. Does not wait; raises what `approve` raises."""
        self._approvals.deny(request, reason, name_of_caller())

    def abort(self) -> None:
        """End the run, if there is one. Returns at once; `wait_for_idle` waits."""
        if self._run is not None:
            self._run.interrupt(CancelCause("abort()", "the run was aborted", "interrupt"))

    async def wait_for_idle(self) -> None:
        """Wait until no run goes on. Cancelling it leaves nothing behind."""
        if self._run is None:
            await trio.lowlevel.checkpoint()
        while self._run is not None:
            await self._idle.park()

    async def _execute_apart(
        self, messages: tuple[Message, ...], scope: trio.CancelScope, errors: list[BaseException], over: trio.Event
    ) -> None:
        try:
            with scope:
                await self._execute(messages)
        except Exception as error:  # noqa: BLE001  # raised where the stream is read
            errors.append(error)
        finally:
            over.set()

    async def _execute(self, prompt: tuple[Message, ...], output: Output | None = None) -> AssistantMessage:
        self._need_idle()
        run = self._new_run(output)
        self._run = run
        try:
            async with serve_listeners(self._listeners, self._bus, run.runtime) as self._served:
                await run.execute(prompt)
        finally:
            self._run = self._served = None
            self._idle.unpark_all()
        return self._outcome(run)

    def _outcome(self, run: Run) -> AssistantMessage:
        self._error = None
        if run.error is not None:
            self._error = str(run.error)
            raise run.error
        if run.last_message is None:
            return AssistantMessage(stop_reason="aborted")
        self._error = run.last_message.error_message
        return run.last_message

    def _new_run(self, output: Output | None) -> Run:
        model = self._need_model()
        shared = current_runtime()
        self._runs += 1
        config = RunConfig(
            model=model,
            call=self._model_call(),
            system_prompt=self._system_prompt,
            tools={tool.name: tool for tool in self._tools},
            definitions=tuple(tool.definition for tool in self._tools),
            limits=self._options.limits,
            hooks=Hooks.of(self._options),
        )
        config = config if output is None else output.apply_to(config)
        self._approvals.above = shared.approvals
        runtime = Runtime("agent", self._bus, shared.leftovers, self._approvals)
        return Run(self._runs, runtime, "/", config, self._messages, self._steering, self._follow_ups)

    def _model_call(self) -> ModelCall:
        options = self._options
        stream_options = with_retries(options.stream_options, None)
        if options.thinking_budgets is not None:
            stream_options = options.thinking_budgets.apply_to(stream_options)
        if options.get_api_key is not None:
            stream_options = attrs.evolve(stream_options, api_key=typed_key(options.get_api_key))
        if options.enable_prompt_caching:
            stream_options = attrs.evolve(stream_options, enable_prompt_caching=True)
        if options.stream_fn is None:
            return ProviderCall(stream_options)
        if options.stream_fn is stream_openrouter:
            return ProviderCall(attrs.evolve(stream_options, engine="httpx"))
        return SeedCall(options.stream_fn, self._simple_options)

    async def _simple_options(self, model: Model) -> SimpleStreamOptions:
        options = self._options
        key = (
            None if options.get_api_key is None else await run_hook("get_api_key", options.get_api_key, model.provider)
        )
        budgets = options.thinking_budgets
        return SimpleStreamOptions(api_key=key, max_tokens=None if budgets is None else budgets.max_tokens)

    def _need_model(self) -> Model:
        if self._model is None:
            raise SpecError("model", "no model is set; call set_model() first")
        return self._model

    def _need_idle(self) -> None:
        if self._run is not None:
            raise AgentBusyError("the agent")


def _added(queue: MessageQueue, message: object) -> Receipt:
    receipt = queue.add(to_messages(message))
    if receipt.outcome is not None:
        raise MailboxFullError("/", CAPACITY)
    return receipt


def _with_images(
    messages: tuple[Message, ...], images: Iterable[ImageContent | Mapping[str, Any]] | None
) -> tuple[Message, ...]:
    if not images or not messages:
        return messages
    *before, last = messages
    if not isinstance(last, UserMessage):
        raise SpecError("images", "can only stand beside a user's message")
    with_images = UserMessage(tuple(images))
    return (*before, attrs.evolve(last, content=(*last.content, *with_images.content)))
