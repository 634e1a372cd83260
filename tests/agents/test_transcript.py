"""What holds of a transcript whatever happened: laws, over random stories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import trio
import trio.testing
from hypothesis import given, settings

from tests.agents._world import PLANS, Plan, World
from tests.providers._openai_transcripts import problems_of
from tests.providers.test_anthropic_request import check_valid
from tinyagent_actors import Applied
from tinyagent_actors.agents._transcript import calls_of
from tinyagent_actors.events import (
    AgentEndEvent,
    MessageEndEvent,
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    ToolLateCompletionEvent,
    TurnEndEvent,
)
from tinyagent_actors.messages import AssistantMessage, Context, Message, Model, ToolResultMessage, UserMessage
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.providers._dialects import dialect_of
from tinyagent_actors.providers._endpoint import Endpoint, resolve_endpoint

RECEIVERS = (
    "openrouter:m",
    "mistral:mistral-large-2512",
    "deepseek:deepseek-v4-pro",
    "minimax:MiniMax-M2",
    "zai:glm-5",
)
ANTHROPIC = Model("claude-opus-4-7", provider="anthropic")


def check_calls(messages: Sequence[Message]) -> None:
    """See that each call has exactly one result, in order, directly after its message, and that there is no other result."""
    waiting: list[str] = []
    for message in messages:
        if isinstance(message, ToolResultMessage):
            assert waiting, "a result that no call waits for"
            assert waiting.pop(0) == message.tool_call_id
            continue
        assert not waiting, f"calls without a result: {waiting}"
        if isinstance(message, AssistantMessage):
            waiting = [call.id for call in calls_of(message)]
    assert not waiting, f"calls without a result: {waiting}"


def check_request(context: Context) -> None:
    """See that every dialect can say it, and nobody would refuse it."""
    for receiver in RECEIVERS:
        model = Model.parse(receiver)
        endpoint = resolve_endpoint(model, StreamOptions(), "key", {})
        content = dialect_of(model.api).build_request(
            model, context, StreamOptions(), endpoint, with_stream_options=True
        )
        assert problems_of(content, receiver) == []
    there = Endpoint("https://api.anthropic.com/v1/messages", ())
    build = dialect_of(ANTHROPIC.api).build_request
    check_valid(json.loads(build(ANTHROPIC, context, StreamOptions(), there, with_stream_options=False)), may_end=False)


def check_events(world: World) -> None:
    """See that what begins ends, in pairs, and that the events tell the transcript."""
    kinds = Counter(event.type for event in world.events)
    for begins, ends in (("agent_start", "agent_end"), ("turn_start", "turn_end"), ("message_start", "message_end")):
        assert kinds[begins] == kinds[ends], (begins, kinds)
    assert [event.message for event in world.events if isinstance(event, MessageEndEvent)] == world.transcript
    told = [message for event in world.events if isinstance(event, AgentEndEvent) for message in event.messages]
    assert told == world.transcript
    begun = [
        (event.run, event.turn, event.tool_call_id)
        for event in world.events
        if isinstance(event, ToolExecutionStartEvent)
    ]
    ended = [
        (event.run, event.turn, event.tool_call_id)
        for event in world.events
        if isinstance(event, ToolExecutionEndEvent)
    ]
    assert Counter(begun) == Counter(ended)
    for event in world.events:
        if isinstance(event, TurnEndEvent):
            check_calls([event.message, *event.tool_results])


def check_receipts(world: World) -> None:
    """See that each message that was handed in is in the transcript once, or was given back and is not."""
    said = Counter(message.text for message in world.transcript if isinstance(message, UserMessage))
    for text, receipt in world.receipts:
        assert receipt.outcome is not None, text
        assert said[text] == isinstance(receipt.outcome, Applied)


def check_runs(world: World) -> None:
    """See that no tool ran but for a call of a message that ended properly."""
    may_run = Counter(
        call.name
        for message in world.transcript
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    )
    assert Counter(world.executed) <= may_run


def check(world: World) -> None:
    """See that all of the laws hold."""
    check_calls(world.transcript)
    for context in (*world.contexts, Context("", world.transcript)):
        check_request(context)
    check_events(world)
    check_receipts(world)
    check_runs(world)
    late = sum(isinstance(event, ToolLateCompletionEvent) for event in world.events)
    assert world.left <= world.executed.count("stubborn") - late


@settings(max_examples=120)
@given(PLANS)
def test_whatever_happens_every_call_has_one_result_and_the_next_request_is_valid(plan: Plan) -> None:
    """T15, T24, mission 2, mission 9: any story of answers, broken streams, tools, hooks, interrupts, steering, askers that go and stops.

    Every call has exactly one result, in the order of the calls; each request that is made, and the next that could be, is one
    that every dialect can say; what begins in the events ends; no message that was handed in is lost or said twice.
    """
    world = World(plan)
    trio.run(world.play, clock=trio.testing.MockClock(autojump_threshold=0))

    check(world)
