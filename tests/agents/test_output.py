"""Structured output: a run that is to come to a value of a type, against a real endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypedDict

import attrs
import pytest
import trio

from tinyagent_actors import (
    Agent,
    AgentOptions,
    AgentRef,
    AgentSpec,
    Limits,
    Model,
    OutputError,
    ProviderError,
    SpecError,
    StreamOptions,
    TurnLimitError,
    open_system,
    tool,
)
from tinyagent_actors.testing import CallSpec, Endpoint, Reply, Stall, open_endpoint


@attrs.frozen
class Place:
    """Where something is."""

    name: str
    kind: Literal["city", "river"] = "city"


@attrs.frozen
class Trip:
    """A journey."""

    stops: list[Place]
    days: int | None = None


class Score(TypedDict):
    """A mark."""

    points: int


@tool
async def look_up(name: str) -> str:
    """Look something up."""
    return f"{name}: found"


def final(**arguments: Any) -> Reply:
    return Reply(tool_calls=[CallSpec(name="final_answer", arguments=arguments)])


def make(endpoint: Endpoint, **options: Any) -> Agent:
    agent = Agent(AgentOptions(**options))
    agent.set_model(Model("scripted", provider="custom", base_url=endpoint.url))
    agent.set_tools([look_up])
    return agent


TRIP = {"stops": [{"name": "Oslo"}, {"name": "Rhine", "kind": "river"}]}
EXPECTED = Trip([Place("Oslo"), Place("Rhine", "river")])


async def test_a_value_of_a_class_by_a_final_tool() -> None:
    """After other tools; nested classes are made; the call has its result, so the conversation can go on."""
    looks = Reply(tool_calls=[CallSpec(name="look_up", arguments={"name": "Oslo"})])
    async with open_endpoint([looks, final(value=TRIP), Reply(text="ok")]) as endpoint:
        agent = make(endpoint)
        trip = await agent.prompt_typed("Plan.", Trip)
        await agent.prompt("Thanks.")

        assert trip == EXPECTED
        names = [offered["function"]["name"] for offered in endpoint.requests[0].json["tools"]]
        assert names == ["look_up", "final_answer"]
        assert [offered["function"]["name"] for offered in endpoint.requests[2].json["tools"]] == ["look_up"]
        assert [message["role"] for message in endpoint.requests[2].json["messages"]][-3:] == [
            "assistant",
            "tool",
            "user",
        ]
        assert endpoint.statistics().requests == 3


@pytest.mark.parametrize(
    ("output_type", "arguments", "expected"),
    [
        (Score, {"value": {"points": 7}}, {"points": 7}),
        (list[int], {"value": [1, 2]}, [1, 2]),
        (Literal["yes", "no"], {"value": "no"}, "no"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}, {"a": 1}),
        ({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}, {"value": [3]}, [3]),
    ],
)
async def test_types(output_type: Any, arguments: dict[str, Any], expected: object) -> None:
    """A TypedDict, what a tool's parameter may be, and a JSON Schema, of an object or not."""
    async with open_endpoint([final(**arguments)]) as endpoint:
        assert await make(endpoint).prompt_typed("?", output_type) == expected


async def test_what_does_not_fit_is_tried_again() -> None:
    """The model reads what was wrong, be it arguments or a text; then it fits."""
    script = [final(value={"points": "many"}), Reply(text="Seven points."), final(value={"points": 7})]
    async with open_endpoint(script) as endpoint:
        agent = make(endpoint)
        assert await agent.prompt_typed("?", Score, repairs=2) == {"points": 7}
        first, second = endpoint.requests[1].json["messages"], endpoint.requests[2].json["messages"]

    assert first[-1]["role"] == "tool"
    assert "value.points" in first[-1]["content"]
    assert second[-1]["role"] == "user"
    assert "final_answer" in second[-1]["content"]


@pytest.mark.parametrize(
    "wrong", [final(value={"points": "many"}), Reply(text="Seven."), Reply(text='{"points": "x"}')]
)
async def test_repairs_are_bounded(wrong: Reply) -> None:
    """One attempt and two repairs, no fourth request; the error says what was wrong with the last; the agent lives."""
    async with open_endpoint([wrong] * 3 + [Reply(text="ok")]) as endpoint:
        agent = make(endpoint)
        with pytest.raises(OutputError) as caught:
            await agent.prompt_typed("?", Score)
        assert endpoint.statistics().requests == 3
        assert await agent.prompt_text("next") == "ok"

    assert caught.value.attempts == 3
    assert caught.value.problems


@pytest.mark.parametrize(
    "text", ['{"points": 7}', '{"value": {"points": 7}}', '```json\n{"points": 7}\n```', ' {"points": 7}\n']
)
async def test_a_text_that_is_json_and_fits_is_taken(text: str) -> None:
    """A model that says the arguments in the place of calling the tool has answered."""
    async with open_endpoint([Reply(text=text)]) as endpoint:
        assert await make(endpoint).prompt_typed("?", Score) == {"points": 7}
        assert endpoint.statistics().requests == 1


async def test_the_mode_of_the_provider() -> None:
    """The request asks for JSON by the schema and has no further tool; a text that does not fit is repaired."""
    async with open_endpoint([Reply(text='{"value": {}}'), Reply(text='{"value": {"points": 7}}')]) as endpoint:
        agent = make(endpoint, stream_options=StreamOptions(extra_body={"seed": 1}))
        assert await agent.prompt_typed("?", Score, mode="schema") == {"points": 7}
        body = endpoint.requests[0].json

    assert body["response_format"]["json_schema"]["schema"]["required"] == ["value"]
    assert body["seed"] == 1
    assert [offered["function"]["name"] for offered in body["tools"]] == ["look_up"]
    assert endpoint.requests[1].json["messages"][-1]["content"].endswith("Answer with JSON only.")


@asynccontextmanager
async def agent_at(*replies: Reply, **options: Any) -> AsyncIterator[tuple[AgentRef, Endpoint]]:
    async with open_endpoint(replies) as endpoint, open_system() as system:
        model = Model("m", provider="custom", api=options.pop("api", ""), base_url=endpoint.url)
        yield await system.start_child(AgentSpec("agent", model=model, **options)), endpoint


async def test_an_agent_as_an_actor() -> None:
    """The value, as of the agent in a script; an ask afterwards has no such tool."""
    async with agent_at(final(value=TRIP), Reply(text="ok")) as (agent, endpoint):
        assert await agent.ask_typed("Plan.", Trip) == EXPECTED
        assert (await agent.ask("next")).text == "ok"

        assert "tools" not in endpoint.requests[1].json


async def test_what_ends_a_run_ends_it() -> None:
    """A limit, a provider's failure, an interrupt and a hook: each with its own error, and the agent lives."""
    looks = [Reply(tool_calls=[CallSpec(name="look_up", arguments={"name": str(number)})]) for number in range(2)]
    async with agent_at(*looks, tools=[look_up], limits=Limits(turns=2)) as (agent, _):
        with pytest.raises(TurnLimitError):
            await agent.ask_typed("?", Score)
    async with agent_at(Reply.error(404, "no such model")) as (agent, _):
        with pytest.raises(ProviderError):
            await agent.ask_typed("?", Score)
    async with agent_at(Reply(text="x", fault=Stall(after_chunks=1))) as (agent, endpoint):
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(OutputError, match="aborted"):
                    await agent.ask_typed("?", Score)

            nursery.start_soon(ask)
            with trio.fail_after(30):
                await endpoint.wait_for(lambda now: now.open_streams == 1)
                assert await agent.interrupt()
    async with agent_at(looks[0], tools=[look_up], should_stop_after_turn=lambda *_: True) as (agent, _):
        with pytest.raises(OutputError):
            await agent.ask_typed("?", Score)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"mode": "magic"}, "mode"), ({"repairs": -1}, "repairs"), ({"output_type": {"type": 7}}, "output_type")],
)
async def test_what_cannot_be_asked_for_is_refused(wrong: dict[str, Any], field: str) -> None:
    """Before anything is sent, with the name of what is wrong."""
    async with agent_at() as (agent, endpoint):
        with pytest.raises(SpecError, match=field):
            await agent.ask_typed("?", **{"output_type": Score, **wrong})

        assert endpoint.statistics().requests == 0


async def test_what_is_not_to_be_had_is_refused() -> None:
    """A mode that the provider does not have, and a tool of that name; the agent lives."""

    @tool
    async def final_answer() -> None:
        """Take the name."""

    async with agent_at(Reply(text="ok"), api="anthropic-messages") as (agent, _):
        with pytest.raises(SpecError, match="mode"):
            await agent.ask_typed("?", Score, mode="schema")
        assert (await agent.ask("next")).text == "ok"
    async with agent_at(Reply(text="ok"), tools=[final_answer]) as (agent, _):
        with pytest.raises(SpecError, match="tools"):
            await agent.ask_typed("?", Score)
        assert (await agent.ask("next")).text == "ok"
