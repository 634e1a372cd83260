"""A scripted world for an agent: what its model says, what its tools do, and who interferes when. In virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio
from hypothesis import strategies as st

from tinyagent_actors import (
    AgentRef,
    Budget,
    ChildSpec,
    Event,
    Limits,
    ProviderError,
    Receipt,
    ToolLoopControl,
    open_system,
    tool,
)
from tinyagent_actors.agents import Hooks, RunConfig, run_agent_actor
from tinyagent_actors.events import (
    StreamEvent,
    StreamStart,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tinyagent_actors.messages import (
    AgentToolResult,
    AssistantMessage,
    Content,
    Context,
    InvalidToolCall,
    Message,
    Model,
    TextContent,
    ToolCall,
)

WAITS: Final = st.sampled_from([0.0, 0.5, 0.0, 1.0, 2.5])
"""Virtual seconds; their sums meet often, so that much happens in one tick."""
_IDS: Final = st.sampled_from(["a", "b", "c", "", "a b", "é"])
_CALLS: Final[st.SearchStrategy[Content]] = st.one_of(
    st.builds(
        ToolCall, _IDS, st.sampled_from(["quick", "slow", "tidy", "stubborn", "slow", "tidy", "fail", "end", "nope"])
    ),
    st.builds(ToolCall, _IDS, st.just("quick"), st.sampled_from([{"number": "x"}, {"extra": 1}, {"number": 2}])),
    st.builds(ToolCall, _IDS, st.just("nope"), st.just({"odd": "\ud83d", "big": 2**70})),
    st.builds(InvalidToolCall, _IDS, st.just("quick"), st.sampled_from(["{", "[]"]), st.just("cut")),
)
_BLOCKS: Final = st.one_of(_CALLS, _CALLS, st.builds(TextContent, st.sampled_from(["", "hello", "\0"])))


@attrs.frozen
class Answer:
    """What the model says once."""

    content: tuple[Content, ...] = ()
    stop_reason: Any = "stop"
    wait: float = 0.0
    """Before each piece."""
    raises_at: int | None = None
    """After how many pieces the stream raises, as only somebody else's may."""


ANSWERS: Final = st.builds(
    Answer,
    st.lists(_BLOCKS, min_size=1, max_size=4).map(tuple),
    st.sampled_from(["tool_use"] * 6 + ["stop", "stop", "length", "refusal", "pause_turn", "error"]),
    WAITS,
    st.sampled_from([None] * 12 + [0, 2]),
)
ACTIONS: Final = st.tuples(
    WAITS, st.sampled_from(["interrupt", "interrupt", "steer", "follow_up", "steer", "leave", "stop"])
)
HOOKS: Final = st.sampled_from(
    [None] * 8
    + ["before_tool_call", "after_tool_call", "transform_context", "convert_to_llm", "should_stop_after_turn"]
)


@attrs.frozen
class Plan:
    """A whole story."""

    answers: tuple[Answer, ...]
    actions: tuple[tuple[float, str], ...]
    prompts: int = 1
    hook: str | None = None
    hook_waits: float = 0.0
    hook_says: str = "raise"
    steering_mode: str = "one-at-a-time"
    seconds: float | None = None
    """That a run may take."""
    budget: Budget | None = None
    """Of each run that is asked for."""
    last: str = "ask"
    """How the last prompt is given: the agent ends with the error of a run that it was told."""


PLANS: Final = st.builds(
    Plan,
    st.lists(ANSWERS, min_size=1, max_size=6).map(tuple),
    st.lists(ACTIONS, min_size=1, max_size=6).map(tuple),
    st.integers(1, 3),
    HOOKS,
    WAITS,
    st.sampled_from(["raise", "nothing", "end"]),
    st.sampled_from(["one-at-a-time", "all"]),
    st.sampled_from([None, None, 1.5, 4.0]),
    st.sampled_from([None, None, Budget(tool_calls=3), Budget(turns=2)]),
    st.sampled_from(["ask", "tell"]),
)


@attrs.define(eq=False)
class World:
    """Plays a plan, and keeps what was seen of it."""

    plan: Plan
    contexts: list[Context] = attrs.field(factory=list)
    """What the model was asked."""
    executed: list[str] = attrs.field(factory=list)
    """The tools that ran, by name."""
    events: list[Event] = attrs.field(factory=list)
    receipts: list[tuple[str, Receipt]] = attrs.field(factory=list)
    transcript: list[Message] = attrs.field(factory=list)
    left: int = 0
    """What the system could not end."""
    _answers: list[Answer] = attrs.field(init=False)
    _asking: trio.CancelScope | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._answers = list(self.plan.answers)

    async def play(self) -> None:
        """Play it to the end."""
        async with open_system() as system, trio.open_nursery() as nursery:
            spec = ChildSpec("agent", run_agent_actor, args=(self._config(),), restart="temporary", ref_type=AgentRef)
            agent: AgentRef = await system.start_child(spec)
            await trio.testing.wait_all_tasks_blocked()
            self.transcript = agent.address.body.transcript
            reading = trio.Event()
            nursery.start_soon(self._read, system, reading)
            await reading.wait()
            async with trio.open_nursery() as playing:
                playing.start_soon(self._ask, agent)
                playing.start_soon(self._interfere, agent)
            await agent.stop()
            nursery.cancel_scope.cancel()
        self.left = system.leftovers().total

    def _config(self) -> RunConfig:
        tools = {made.name: made for made in self._tools()}
        return RunConfig(
            Model("scripted"),
            self._call,
            tools=tools,
            definitions=tuple(made.definition for made in tools.values()),
            limits=Limits(turns=4, warn_at=2, refuse_at=3, run_seconds=self.plan.seconds),
            hooks=Hooks() if self.plan.hook is None else Hooks(**{self.plan.hook: self._hook}),
            steering_mode=self.plan.steering_mode,
        )

    async def _hook(self, *args: Any) -> Any:
        await trio.sleep(self.plan.hook_waits)
        if self.plan.hook_says == "raise":
            raise RuntimeError("the hook is broken")
        if self.plan.hook in ("transform_context", "convert_to_llm"):
            return args[0][-2:] if self.plan.hook_says == "end" else args[0]
        if self.plan.hook == "should_stop_after_turn":
            return self.plan.hook_says == "end"
        return ToolLoopControl(terminate=True) if self.plan.hook_says == "end" else None

    async def _read(self, system: Any, reading: trio.Event) -> None:
        async with system.subscribe("agent") as subscription:
            reading.set()
            try:
                async for event in subscription:
                    self.events.append(event)
            finally:
                while (event := subscription.next_nowait()) is not None:
                    self.events.append(event)

    async def _ask(self, agent: AgentRef) -> None:
        for number in range(self.plan.prompts):
            with trio.CancelScope() as self._asking:
                try:
                    if self.plan.last == "tell" and number == self.plan.prompts - 1:
                        await agent.tell(f"prompt {number}")
                        await trio.sleep(20)
                    else:
                        await agent.ask(f"prompt {number}", budget=self.plan.budget)
                except Exception:  # noqa: BLE001  # whatever became of it: the transcript is what is looked at
                    await trio.lowlevel.checkpoint()

    async def _interfere(self, agent: AgentRef) -> None:
        for number, (wait, action) in enumerate(self.plan.actions):
            await trio.sleep(wait)
            text = f"{action} {number}"
            if action == "interrupt":
                await agent.interrupt(text)
            elif action == "leave" and self._asking is not None:
                self._asking.cancel()
            elif action == "stop":
                await agent.stop()
            elif action in ("steer", "follow_up"):
                self.receipts.append((text, getattr(agent, action)(text)))

    @asynccontextmanager
    async def _call(self, _model: Model, context: Context, _publish: Callable[..., object]) -> AsyncIterator[_Stream]:
        self.contexts.append(context)
        await trio.lowlevel.checkpoint()
        yield _Stream(self._answers.pop(0) if self._answers else Answer((TextContent("done"),)))

    def _tools(self) -> Iterable[Any]:
        ran = self.executed.append

        @tool
        async def quick(number: int = 1) -> int:
            """Give the number."""
            ran("quick")
            await trio.lowlevel.checkpoint()
            return number

        @tool(timeout=4)
        async def slow() -> None:
            """Take long."""
            ran("slow")
            await trio.sleep(3)

        @tool
        async def fail() -> None:
            """Fail."""
            ran("fail")
            raise ValueError("broken")

        @tool
        async def tidy() -> None:
            """Clean up for a while when cancelled."""
            ran("tidy")
            try:
                await trio.sleep(5)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)

        @tool(timeout=2)
        async def stubborn() -> None:
            """Hold out longer than the grace."""
            ran("stubborn")
            with trio.CancelScope(shield=True):
                await trio.sleep(8)

        @tool
        async def end() -> AgentToolResult:
            """End the run."""
            ran("end")
            await trio.lowlevel.checkpoint()
            return AgentToolResult("over", terminate=True)  # type: ignore[arg-type]  # converted

        return quick, slow, fail, tidy, stubborn, end


@attrs.define(eq=False)
class _Stream:
    """An answer on its way, piece by piece."""

    _answer: Answer
    _pieces: list[StreamEvent] = attrs.field(init=False)
    _given: int = attrs.field(default=0, init=False)
    model: None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._pieces = [StreamStart()]
        for place, block in enumerate(self._answer.content):
            if isinstance(block, TextContent):
                self._pieces += [TextStart(place), TextDelta(place, block.text), TextEnd(place, block)]
            elif isinstance(block, ToolCall | InvalidToolCall):
                self._pieces += [ToolCallStart(place), ToolCallDelta(place, "{"), ToolCallEnd(place, block)]

    async def next_events(self) -> list[StreamEvent]:
        """Give the next piece."""
        await trio.sleep(self._answer.wait)
        if self._given == self._answer.raises_at:
            raise ConnectionError("somebody else's stream")
        self._given += 1
        return self._pieces[self._given - 1 : self._given]

    async def result(self) -> AssistantMessage:
        """Give the message."""
        await trio.lowlevel.checkpoint()
        error = ProviderError("truncated", "cut") if self._answer.stop_reason == "error" else None
        return AssistantMessage(self._answer.content, self._answer.stop_reason, error=error)
