"""How agents come back: by the class of the failure, and with what they remember."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests._kernel import told
from tests.agents._answers import AnswersCall, agent, calls, says
from tinyagent_actors import (
    ActorRestartScheduledEvent,
    AgentRef,
    AgentResumedEvent,
    AgentSpec,
    AssistantMessage,
    Backoff,
    Budget,
    BudgetExceededError,
    Context,
    DeadLetterEvent,
    Model,
    ProviderError,
    SpecError,
    StreamOptions,
    SupervisorRef,
    System,
    TextContent,
    ToolCall,
    ToolResultMessage,
    UserMessage,
    open_system,
    supervisor,
    tool,
)
from tinyagent_actors.agents._repair import repaired
from tinyagent_actors.agents._transcript import calls_of
from tinyagent_actors.messages import Message
from tinyagent_actors.supervision._restarts import FAILED_BY_OTHERS
from tinyagent_actors.testing import Cut, Endpoint, Reply, open_endpoint

SOON = Backoff(min_seconds=0.05, max_seconds=0.1)


async def start(system: System, endpoint: Endpoint, engine: str = "httpx", **options: Any) -> AgentRef:
    model = Model("scripted", provider="custom", base_url=endpoint.url)
    stream = StreamOptions(engine=engine)  # type: ignore[arg-type]
    options.setdefault("backoff", SOON)
    ref: AgentRef = await system.start_child(AgentSpec("agent", model=model, options=stream, retries=0, **options))
    return ref


async def test_a_failure_of_the_provider_backs_off_and_resumes(engine: str) -> None:
    """R01: what it was told is done after all: the same request is made again, once, without the answer that was cut."""
    async with open_endpoint([Reply(text="cut here", fault=Cut(after_chunks=2)), Reply(text="ok")]) as endpoint:
        async with open_system() as system, system.subscribe("agent") as events:
            agent = await start(system, endpoint, engine)
            await agent.tell("go")
            with trio.fail_after(30):
                await endpoint.wait_for(lambda now: now.served == 1)
                assert (await agent.ask("and?")).error is not None  # the script is spent
            (resumed,) = told(events, AgentResumedEvent)
            asked = [[m["role"] for m in request.json["messages"]] for request in endpoint.requests]

    assert (resumed.messages, resumed.repaired, resumed.continues) == (1, 1, True)
    assert asked == [["user"], ["user"], ["user", "assistant", "user"]]


async def test_a_fresh_agent_remembers_nothing() -> None:
    """R02: its transcript is empty, and what it was told is not begun again."""
    async with open_endpoint([Reply(text="cut here", fault=Cut(after_chunks=2)), Reply(text="ok")]) as endpoint:
        async with open_system() as system:
            agent = await start(system, endpoint, on_restart="fresh")
            await agent.tell("go")
            await agent.wait_stopped()
            assert (await agent.ask("again")).text == "ok"
            assert [m["content"] for m in endpoint.requests[1].json["messages"]] == ["again"]


@pytest.mark.parametrize(
    ("error", "restarted"),
    [
        (ProviderError("truncated", "", retryable=True), 1),
        (ProviderError("connection_error", "", retryable=True), 1),
        (ProviderError("rate_limited", "", retryable=True), 1),
        (ProviderError("overloaded", "", retryable=True), 1),
        (ProviderError("timeout", "", retryable=True), 1),
        (ProviderError("rate_limited", "no credit"), 0),
        (ProviderError("auth", ""), 0),
        (ProviderError("refusal", ""), 0),
        (ProviderError("content_filter", ""), 0),
    ],
)
async def test_who_is_restarted(error: ProviderError, restarted: int, autojump_clock: object) -> None:
    """R03: provider and transport failures after a back-off, authentication and refusals never."""

    async def answer(_context: Context) -> AssistantMessage:
        return AssistantMessage(stop_reason="error", error=error)

    async with open_system() as system, system.subscribe("a") as events:
        ref: AgentRef = await system.start_child(agent("a", answer))
        await ref.tell("go")
        exited = await ref.wait_stopped()
        await trio.sleep(0.5)

        assert exited.error == error
        assert len(told(events, ActorRestartScheduledEvent)) == restarted
        assert [info.state for info in system.which_children()] == ["restarting" if restarted else "stopped"]


async def test_a_spent_budget_is_never_restarted(autojump_clock: object) -> None:
    """R03: nor is whoever ended of it."""
    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("a", says(), Budget(turns=0)))
        await ref.tell("go")
        exited = await ref.wait_stopped()
        await trio.sleep(100)

        assert exited.error == BudgetExceededError("/a", "turns")
        assert [info.state for info in system.which_children()] == ["stopped"]


async def test_a_killed_agent_goes_on(autojump_clock: object) -> None:
    """R04: killed in the middle of its tools, it goes on from their results; each call has one, and none runs again."""
    ran = []

    @tool
    async def slow() -> str:
        """Take long."""
        ran.append(1)
        await trio.sleep(60)
        return "done"

    async def answer(context: Context) -> AssistantMessage:
        is_done = isinstance(context.messages[-1], ToolResultMessage)
        return await says("finished")(context) if is_done else calls("slow", "slow")

    call = AnswersCall(answer)
    async with open_system() as system, system.subscribe("a") as events:
        ref: AgentRef = await system.start_child(agent("a", call, tools=(slow,)))
        await ref.tell("go")
        await trio.sleep(1)
        ref.kill()
        await ref.wait_stopped()
        await trio.sleep(1)

        assert len(told(events, AgentResumedEvent)) == 1
        assert len(ran) == 2
        roles = [message.role for message in call.contexts[1].messages]
        assert roles == ["user", "assistant", "tool_result", "tool_result"]
        assert "cancelled" in call.contexts[1].messages[-1].text


async def test_what_was_asked_is_not_begun_again(autojump_clock: object) -> None:
    """R05: whoever asked was told of the crash; the agent remembers the question, and waits for the next."""
    call = AnswersCall(says(seconds=10))
    async with open_system() as system, system.subscribe("a") as events:
        ref: AgentRef = await system.start_child(agent("a", call))
        with trio.move_on_after(1):
            await ref.ask("first")
        ref.kill()
        await ref.wait_stopped()
        await ref.ask("second")
        (resumed,) = told(events, AgentResumedEvent)

        assert resumed.continues is False
        assert [m.text for m in call.contexts[1].messages if isinstance(m, UserMessage)] == ["first", "second"]


async def test_a_group_that_is_restarted_goes_on(autojump_clock: object) -> None:
    """R05: an agent that is stopped because a sibling crashed goes on with what it was told."""
    call = AnswersCall(says(seconds=10))

    async def fragile(ctx: Any) -> None:
        async for _ in ctx.messages():
            raise ValueError

    from tinyagent_actors import ChildSpec

    async with open_system() as system:
        children = [ChildSpec("fragile", fragile), agent("a", call)]
        team: SupervisorRef = await system.start_child(supervisor("t", strategy="one_for_all", children=children))
        await team.child("a").tell("go")
        await trio.sleep(1)
        await team.child("fragile").tell("crash")
        await trio.sleep(20)

        assert [len(context.messages) for context in call.contexts] == [1, 1]
        assert system.spending("t/a").output == 5


async def test_a_prompt_that_fails_again_and_again_is_given_up(autojump_clock: object) -> None:
    """R06: five times, then it is a dead letter and the agent takes the next; what a provider did not hear is no try."""
    kinds = ["truncated"] * 2 + ["connection_error"] * 9 + ["truncated"] * 9

    async def answer(context: Context) -> AssistantMessage:
        if context.messages[-1].text == "fine":
            return await says()(context)
        return AssistantMessage(stop_reason="error", error=ProviderError(kinds.pop(0), "", retryable=True))

    async with open_system() as system, system.subscribe("a") as events:
        ref: AgentRef = await system.start_child(agent("a", answer))
        await ref.tell("poison")
        await trio.sleep(1000)
        (lost,) = told(events, DeadLetterEvent)

        assert len(kinds) == 20 - 9 - 5
        assert (lost.reason, lost.message_type) == ("poison", "UserMessage")
        assert (await ref.ask("fine")).text == "ok"


async def test_failures_of_others_do_not_use_up_the_intensity(autojump_clock: object) -> None:
    """R07: a provider that is down for ten agents at once takes no supervisor with it; a defect does."""
    is_down = True

    async def answer(context: Context) -> AssistantMessage:
        if is_down:
            return AssistantMessage(stop_reason="error", error=ProviderError("connection_error", "", retryable=True))
        return await says()(context)

    async with open_system() as system:
        children = [agent(f"a{n}", answer) for n in range(10)]
        team: SupervisorRef = await system.start_child(supervisor("t", children=children, max_restarts=3))
        for child in children:
            await team.child(child.name).tell("go")
        await trio.sleep(60)
        assert team.living is not None
        is_down = False
        await trio.sleep(FAILED_BY_OTHERS.max_seconds * (1 + FAILED_BY_OTHERS.jitter) + 1)

        assert system.spending("t").output == 10 * 5


def test_a_way_to_restart_that_is_none_is_refused() -> None:
    """The field is named."""
    with pytest.raises(SpecError, match="on_restart"):
        AgentSpec("a", model=Model("m"), on_restart="maybe")  # type: ignore[arg-type]


IDS = st.sampled_from(["1", "2", "3"])
MESSAGES = st.one_of(
    st.builds(UserMessage, st.just("u")),
    st.builds(
        AssistantMessage,
        st.lists(
            st.one_of(st.builds(TextContent, st.just("t")), st.builds(ToolCall, IDS, st.just("x"), st.just({}))),
            max_size=3,
        ),
        st.sampled_from(["stop", "tool_use", "aborted", "error", "length"]),
    ),
    st.builds(ToolResultMessage, IDS, st.just("x")),
)


@given(st.lists(MESSAGES, max_size=12))
def test_any_transcript_can_be_repaired(transcript: list[Message]) -> None:
    """R08: after it every call has exactly one result, right after its message, and nothing else has one."""
    fixed = repaired(transcript)

    place = 0
    while place < len(fixed):
        message = fixed[place]
        place += 1
        assert not isinstance(message, ToolResultMessage)
        if isinstance(message, AssistantMessage):
            wanted = list(dict.fromkeys(call.id for call in calls_of(message)))
            assert [getattr(result, "tool_call_id", None) for result in fixed[place : place + len(wanted)]] == wanted
            place += len(wanted)
    assert repaired(fixed) == fixed
    if fixed and isinstance(fixed[-1], AssistantMessage):
        assert fixed[-1].stop_reason not in ("error", "aborted")
    users = [message for message in transcript if isinstance(message, UserMessage)]
    assert [message for message in fixed if isinstance(message, UserMessage)] == users
