"""Compaction: a transcript that is too long for the model is made shorter, once for each overflow, and never in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests._kernel import told
from tests.agents._answers import AnswersCall, agent, says
from tests.agents.test_restart import MESSAGES, SOON, start
from tinyagent_actors import (
    AgentRef,
    AssistantMessage,
    CompactionError,
    Context,
    ContextCompactedEvent,
    HookError,
    ProviderError,
    SpecError,
    SummariseOldest,
    ToolResultMessage,
    UserMessage,
    open_system,
    tool,
)
from tinyagent_actors.agents import AskOnce
from tinyagent_actors.agents._compaction import clip, find_cut
from tinyagent_actors.agents._repair import repaired
from tinyagent_actors.messages import Message
from tinyagent_actors.testing import CallSpec, Reply, open_endpoint

OVERFLOW = Reply.error(400, "This model's maximum context length is 10 tokens.", code="context_length_exceeded")
LONG = Reply(text="long " * 400)


async def test_an_overflow_is_compacted_and_asked_again(engine: str) -> None:
    """R10: one bounded call for a summary of the older part, then the same request, shorter; the asker gets its answer."""
    replies = [LONG, LONG, OVERFLOW, Reply(text="They spoke at length."), Reply(text="ok"), Reply(text="later")]
    async with open_endpoint(replies) as endpoint, open_system() as system, system.subscribe("agent") as events:
        agent = await start(system, endpoint, engine, system_prompt="Be brief.")
        await agent.ask("first")
        await agent.ask("second")
        answer = await agent.ask("third")
        (compacted,) = told(events, ContextCompactedEvent)
        asked = [request.json for request in endpoint.requests]
        await agent.ask("fourth")

    assert answer.text == "ok"
    assert asked[3]["max_tokens"] == 1024
    assert "summary" in asked[3]["messages"][0]["content"]
    assert "long long" in asked[3]["messages"][1]["content"]
    assert "tools" not in asked[3]
    assert [m["role"] for m in asked[4]["messages"]][-1] == "user"
    shown = str(asked[4]["messages"])
    assert "They spoke at length." in shown
    assert "third" in shown
    assert "Be brief." in shown
    assert len(shown) < len(str(asked[2]["messages"])) / 1.5
    assert (compacted.was, compacted.tokens < compacted.were) == (5, True)
    assert len(asked) == 5


async def test_a_long_run_of_tools_keeps_its_task(engine: str) -> None:
    """R10: in the middle of one run no call is parted from its result, and what the user wanted is still there."""

    @tool
    async def look(at: str) -> str:
        """Look at something."""
        return at * 500

    looks = [Reply(tool_calls=[CallSpec(name="look", arguments={"at": letter})]) for letter in "abc"]
    async with open_endpoint([*looks, OVERFLOW, Reply(text="a and b"), Reply(text="ok")]) as endpoint:
        async with open_system() as system:
            agent = await start(system, endpoint, engine, tools=[look])
            answer = await agent.ask("find the needle")
            messages = endpoint.requests[5].json["messages"]

    assert answer.text == "ok"
    assert "find the needle" in messages[0]["content"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
    assert messages[2]["content"] == "c" * 500


async def test_a_told_run_is_resumed_after_its_compaction_failed(engine: str) -> None:
    """R11: the provider is down when it is asked for the summary: back off, resume, and compact first."""
    replies = [LONG, OVERFLOW, Reply.error(503, "down"), Reply(text="short"), Reply(text="ok")]
    async with open_endpoint(replies) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine, backoff=SOON)
        await agent.ask("first")
        await agent.tell("second")
        with trio.fail_after(30):
            await endpoint.wait_for(lambda now: now.served == 5)
        roles = [[m["role"] for m in request.json["messages"]] for request in endpoint.requests]

    assert roles == [["user"], ["user", "assistant", "user"], ["system", "user"], ["system", "user"], ["user", "user"]]


async def test_without_progress_it_is_an_error_and_no_loop(autojump_clock: object) -> None:
    """R12: a compaction that saves too little ends the run; whoever was told is not restarted."""
    made = []

    async def answer(context: Context) -> AssistantMessage:
        return AssistantMessage(stop_reason="error", error=ProviderError("context_overflow", "too long"))

    async def stingy(transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        made.append(len(transcript))
        return transcript

    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("a", answer, compaction=stingy))
        with pytest.raises(CompactionError, match="no progress"):
            await ref.ask("go " * 100)
        assert made == [1]
        await ref.tell("go")
        exited = await ref.wait_stopped()
        await trio.sleep(100)

        assert isinstance(exited.error, CompactionError)
        assert [info.state for info in system.which_children()] == ["stopped"]


async def test_overflow_after_overflow_ends(autojump_clock: object) -> None:
    """R12: three compactions in a row without an answer between them, and no fourth; an answer lets it begin anew."""
    is_full = True
    made = []

    async def answer(context: Context) -> AssistantMessage:
        if is_full:
            return AssistantMessage(stop_reason="error", error=ProviderError("context_overflow", "too long"))
        return await says()(context)

    async def halve(transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        made.append(1)
        text = transcript[0].text
        return [UserMessage(text[: len(text) // 2])]

    call = AnswersCall(answer)
    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("a", call, compaction=halve))
        with pytest.raises(CompactionError, match="in a row"):
            await ref.ask("x" * 1000)
        assert (len(made), len(call.contexts)) == (3, 4)


@pytest.mark.parametrize("error", ["rate_limited", "timeout", "provider_error"])
async def test_no_other_failure_is_compacted(error: Any, autojump_clock: object) -> None:
    """R13: a 429 never becomes a compaction; without one, an overflow is what the asker gets."""

    async def answer(_context: Context) -> AssistantMessage:
        return AssistantMessage(stop_reason="error", error=ProviderError(error, ""))

    async def never(transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        raise AssertionError

    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("a", answer, compaction=never))
        failed = (await ref.ask("go")).error
        assert failed is not None
        assert failed.kind == error

        error = "context_overflow"
        bare: AgentRef = await system.start_child(agent("b", answer))
        failed = (await bare.ask("go")).error
        assert failed is not None
        assert failed.kind == "context_overflow"


async def test_a_compaction_of_ones_own(autojump_clock: object) -> None:
    """R14: any async function; it may ask the model, which draws on the budget; one that raises is a hook that raised."""

    async def answer(context: Context) -> AssistantMessage:
        if sum(len(m.text) for m in context.messages if isinstance(m, UserMessage)) > 50:
            return AssistantMessage(stop_reason="error", error=ProviderError("context_overflow", "too long"))
        return await says("short")(context)

    async def mine(transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        if "bad" in transcript[-1].text:
            raise KeyError("mine")
        return [UserMessage((await ask(Context("", (UserMessage("sum up"),)), 10)).text)]

    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("a", answer, compaction=mine))
        assert (await ref.ask("x" * 100)).text == "short"
        assert system.spending("a").turns == 3
        with pytest.raises(HookError, match="compaction"):
            await ref.ask("bad" * 100)


@given(st.lists(MESSAGES, max_size=12), st.sampled_from([0.0, 0.4, 0.9]))
def test_the_cut_parts_no_call_from_its_result(transcript: list[Message], keep: float) -> None:
    """R15: what is kept begins with no result, and something is left for the summary wherever there is anything."""
    messages = repaired(transcript)
    cut = find_cut(messages, keep)

    assert not (cut < len(messages) and isinstance(messages[cut], ToolResultMessage))
    assert cut > 0 or not messages


@given(st.text(max_size=200), st.integers(2, 100))
def test_what_is_shown_is_bounded(text: str, most: int) -> None:
    """A text that is too long loses its middle, and says how much."""
    shown = clip(text, most)

    assert len(shown.encode(errors="replace")) <= most + 40
    assert shown == text or "left out" in shown


@pytest.mark.parametrize(("field", "value"), [("keep", 1), ("keep", -0.1), ("shown_bytes", 0), ("max_tokens", True)])
def test_a_compaction_that_is_none_is_refused(field: str, value: Any) -> None:
    """The field is named."""
    with pytest.raises(SpecError, match=f"compaction.{field}"):
        SummariseOldest(**{field: value})
