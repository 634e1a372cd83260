"""What must never happen to an agent: each of the thirteen was seen to happen elsewhere. Against a real endpoint, on every engine."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tinyagent_actors import (
    AgentRef,
    AgentSpec,
    AssistantMessage,
    Event,
    Model,
    RepeatedCallError,
    StreamOptions,
    System,
    TurnLimitError,
    open_system,
    tool,
)
from tinyagent_actors.testing import CallSpec, Cut, Delivery, Endpoint, Reply, Stall, ToolLoopPolicy, open_endpoint

OK = Reply(text="ok")


class Tools:
    """Tools that tell what became of them."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.hanging = trio.Event()
        self.gone = trio.Event()

    def make(self) -> list[Any]:
        """Give them."""

        @tool
        async def double(number: int = 1) -> int:
            """Double a number."""
            self.ran.append(number)
            return 2 * number

        @tool
        async def hang() -> None:
            """Wait for ever."""
            self.hanging.set()
            try:
                await trio.sleep_forever()
            finally:
                self.gone.set()

        return [double, hang]


@asynccontextmanager
async def agent_at(endpoint: Endpoint, engine: str, **options: Any) -> AsyncIterator[tuple[System, AgentRef, Tools]]:
    tools = Tools()
    model = options.pop("model", None) or Model("scripted", provider="custom", base_url=endpoint.url)
    how = StreamOptions(engine=engine, **options)  # type: ignore[arg-type]  # one of them
    async with open_system() as system:
        agent: AgentRef = await system.start_child(
            AgentSpec("agent", model=model, tools=tools.make(), options=how, retries=0)
        )
        yield system, agent, tools


def call(arguments: Any, name: str = "double") -> CallSpec:
    return CallSpec(name=name, arguments=arguments)


def results(endpoint: Endpoint) -> list[str]:
    return [message["content"] for message in endpoint.requests[-1].json["messages"] if message["role"] == "tool"]


async def test_malformed_arguments_run_nothing(engine: str) -> None:
    """Mission 1: not with `{}` and not with anything else: the model reads what was wrong with them."""
    wrong = ["{broken", "[]", "7", '{"number": 1', '{"number": "x"}', '{"number": NaN}']
    reply = Reply(tool_calls=[call(text) for text in wrong])
    async with open_endpoint([reply, OK]) as endpoint, agent_at(endpoint, engine) as (_, agent, tools):
        assert (await agent.ask("go")).text == "ok"

        assert tools.ran == []
        assert len(results(endpoint)) == len(wrong)
        assert all(result.startswith("Error: ") for result in results(endpoint))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(tool_calls=[call({"number": 1})], finish="length"),
        Reply(tool_calls=[call({"number": 1})], fault=Cut(after_chunks=-3)),
        Reply(text="x" * 50, tool_calls=[call({"number": 1})], finish="content_filter"),
    ],
)
async def test_a_call_in_a_message_that_was_cut_does_not_run(engine: str, reply: Reply) -> None:
    """Mission 2: a call runs only if its message ended properly; whole as it looks, it may be half of what was meant."""
    async with open_endpoint([reply, OK, OK]) as endpoint, agent_at(endpoint, engine) as (_, agent, tools):
        await agent.ask("go")
        await agent.ask("and?")

        assert tools.ran == []
        assert len(results(endpoint)) == 1


@pytest.mark.parametrize("how", ["interrupt", "cancel"])
async def test_a_cancelled_run_stops_everything(engine: str, how: str) -> None:
    """Mission 3: in the middle of a tool: the tool is gone, and no further request is made."""
    script = [Reply(tool_calls=[call({}, "hang")]), OK]
    async with open_endpoint(script) as endpoint, agent_at(endpoint, engine) as (_, agent, tools):
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(agent.ask, "go")
                await tools.hanging.wait()
                if how == "interrupt":
                    await agent.interrupt()
                else:
                    nursery.cancel_scope.cancel()
            await tools.gone.wait()

        assert (await agent.ask("next")).text == "ok"
        assert endpoint.statistics().requests == 2


async def test_a_cancel_in_the_middle_of_an_answer_closes_its_socket(engine: str) -> None:
    """T37, mission 3: the server sees it leave, the half-read connection is not used again, and the next request works."""
    stalled = Reply(text="x" * 1000, fault=Stall(after_chunks=3))
    async with open_endpoint([stalled, OK]) as endpoint, agent_at(endpoint, engine) as (system, agent, _):
        async with system.subscribe("agent") as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(agent.ask, "go")
                async for event in events:
                    if event.type == "message_update":
                        break
                nursery.cancel_scope.cancel()
        with trio.fail_after(10):
            await endpoint.wait_for(lambda now: now.disconnects == 1)

        answer = await agent.ask("next")
        assert (answer.text, answer.error) == ("ok", None)
        assert endpoint.statistics().accepted == 2


async def test_leaving_a_stream_ends_loop_and_tools(engine: str) -> None:
    """Mission 4: when the block is left, the tool is gone already, and the model is not asked again."""
    async with open_endpoint([Reply(tool_calls=[call({}, "hang")]), OK]) as endpoint:
        async with agent_at(endpoint, engine) as (system, agent, tools):
            with trio.fail_after(30):
                async with agent.stream("go") as events:
                    async for event in events:
                        if event.type == "tool_execution_start":
                            await tools.hanging.wait()
                            break
            assert tools.gone.is_set()
            assert system.leftovers().total == 0
            assert (await agent.ask("next")).text == "ok"
            assert endpoint.statistics().requests == 2


async def test_a_stream_without_its_end_is_truncated(engine: str) -> None:
    """Mission 5: all of the text has come, and its end has not: an error, with what came."""
    cut = Reply(chunks=[b'data: {"choices": [{"delta": {"content": "all of it"}}]}\n\n'])
    async with open_endpoint([cut]) as endpoint, agent_at(endpoint, engine) as (_, agent, _tools):
        answer = await agent.ask("go")

    assert (answer.stop_reason, answer.text) == ("error", "all of it")
    assert answer.error is not None
    assert answer.error.kind == "truncated"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(chunks=[b'data: {"error": {"message": "overloaded", "code": 503}}\n\n']), "overloaded"),
        (Reply(body=b"<html>maintenance</html>", headers={"content-type": "text/html"}), "protocol_error"),
        (Reply(body=b""), "empty_response"),
    ],
)
async def test_no_failure_is_an_empty_answer(engine: str, reply: Reply, kind: str) -> None:
    """Mission 6: an error in a 200, a web page, an empty body: each has its kind, and the turn ends with it."""
    async with open_endpoint([reply]) as endpoint, agent_at(endpoint, engine) as (_, agent, _tools):
        answer = await agent.ask("go")

    assert answer.error is not None
    assert (answer.stop_reason, answer.error.kind) == ("error", kind)


async def test_neither_a_raising_nor_a_slow_subscriber_reaches_the_run(engine: str) -> None:
    """Mission 7: of three subscribers one reads, one raises and one never reads: the run ends as if they were not there."""
    heard: list[str] = []
    async with open_endpoint([Reply(text="x" * 2000), OK]) as endpoint:
        async with agent_at(endpoint, engine) as (system, agent, _), trio.open_nursery() as nursery:

            async def read() -> None:
                async with system.subscribe("agent") as events:
                    async for event in events:
                        heard.append(event.type)
                        if event.type == "agent_end":
                            return

            async def fail() -> None:
                with pytest.raises(ZeroDivisionError):
                    async with system.subscribe("agent") as events:
                        async for _ in events:
                            _ = 1 // len("")

            nursery.start_soon(read)
            nursery.start_soon(fail)
            async with system.subscribe("agent"):
                with trio.fail_after(30):
                    assert (await agent.ask("go")).text == "x" * 2000
                    assert (await agent.ask("again")).text == "ok"

    assert heard[0] == "agent_start"
    assert heard[-1] == "agent_end"


async def test_no_run_goes_round_in_circles(engine: str) -> None:
    """Mission 8: both guards are on by default: 50 requests and no 51st; the fifth identical call in a row does not run."""
    different = ToolLoopPolicy(calls=[call({"number": number}) for number in range(2000)])
    async with open_endpoint(different) as endpoint, agent_at(endpoint, engine) as (_, agent, _tools):
        with pytest.raises(TurnLimitError):
            await agent.ask("go")
        assert endpoint.statistics().requests == 50
    same = ToolLoopPolicy(calls=[call({"number": 1})] * 2000)
    async with open_endpoint(same) as endpoint, agent_at(endpoint, engine) as (_, agent, tools):
        with pytest.raises(RepeatedCallError):
            await agent.ask("go")
        assert tools.ran == [1, 1, 1, 1]
        assert endpoint.statistics().requests == 5


async def test_calls_that_cannot_run_are_counted_as_well() -> None:
    """Mission 8: the same broken arguments again and again end the run, too, as do many in one message with one id."""
    broken = Reply(tool_calls=[call("{broken")])
    async with open_endpoint([broken] * 10) as endpoint, agent_at(endpoint, "httpx") as (_, agent, tools):
        with pytest.raises(RepeatedCallError):
            await agent.ask("go")
        assert endpoint.statistics().requests == 5
    many = Reply(tool_calls=[CallSpec(name="double", arguments={"number": 1}, id="same")] * 7)
    async with open_endpoint([many, OK]) as endpoint, agent_at(endpoint, "httpx") as (_, agent, tools):
        with pytest.raises(RepeatedCallError):
            await agent.ask("go")
        assert tools.ran == [1, 1, 1, 1]
        await agent.ask("next")
        assert len(results(endpoint)) == 7


async def test_times_are_wall_times_and_say_so(engine: str) -> None:
    """Mission 10: messages have milliseconds since the epoch; events have wall time and Trio's clock, each by its name."""
    began, began_on_clock = time.time(), trio.current_time()
    async with open_endpoint([OK]) as endpoint, agent_at(endpoint, engine) as (system, agent, _):
        async with system.subscribe("agent") as events:
            answer = await agent.ask("go")
            told: list[Event] = []
            while (event := events.next_nowait()) is not None:
                assert isinstance(event, Event)
                told.append(event)
        ended, ended_on_clock = time.time(), trio.current_time()

    assert int(began * 1000) <= answer.timestamp <= ended * 1000
    assert all(began <= event.wall_time <= ended for event in told)
    assert all(began_on_clock <= event.monotonic_time <= ended_on_clock for event in told)
    assert [event.seq for event in told] == sorted(event.seq for event in told)


async def test_a_character_in_two_reads_is_one_character(engine: str) -> None:
    """Mission 12: sent byte by byte: text and arguments arrive as they were, also in the request after it."""
    said = "zażółć 🦑 gęślą 中文"
    reply = Reply(text=said, tool_calls=[call({"number": 1, "note": said})], delivery=Delivery(split_every=1))
    async with open_endpoint([reply, OK]) as endpoint, agent_at(endpoint, engine) as (system, agent, _):
        async with system.subscribe("agent") as events:
            await agent.ask("go")
            answers = []
            while (event := events.next_nowait()) is not None:
                if event.type == "message_end" and isinstance(event.message, AssistantMessage):
                    answers.append(event.message)
        sent = endpoint.requests[1].json["messages"][1]

    assert answers[0].text == said
    assert answers[0].tool_calls[0].arguments["note"] == said
    assert sent["content"] == said
    assert "\ufffd" not in str(sent)


@pytest.mark.parametrize("api", ["openai-completions", "anthropic-messages"])
async def test_credentials_never_leave_their_origin(engine: str, api: str) -> None:
    """Mission 13: a redirect to another origin is an error; neither `x-api-key` nor anything else is sent there."""
    secret = "sk-very-secret-0123456789"
    async with open_endpoint([OK]) as other, open_endpoint() as first:
        first.enqueue(Reply(status=307, body=b"", headers={"location": f"{other.url}/chat/completions"}))
        model = Model("scripted", provider="custom", api=api, base_url=first.url)
        async with agent_at(first, engine, model=model, api_key=secret) as (_, agent, _tools):
            answer = await agent.ask("go")

        assert answer.error is not None
        assert answer.error.kind == "redirect"
        assert secret not in repr(answer)
        assert secret in str(first.requests[0].headers)
        assert other.statistics().accepted == 0
