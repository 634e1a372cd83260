"""`open_stream`: order of events, the result, connections, back-pressure, engines."""

from __future__ import annotations

import json
import threading

import pytest
import trio

from tests.providers.conftest import CONTEXT, Ask
from tinyagent_actors import _alchemy
from tinyagent_actors._errors import EngineUnavailableError, SpecError
from tinyagent_actors.messages import AssistantMessage, Context, Model, ToolDefinition, ToolResultMessage, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Endpoint, Reply, open_endpoint


async def read(endpoint: Endpoint, engine: str) -> AssistantMessage:
    """Read one answer whole, without looking at its events."""
    options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
    async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
        return await stream.result()


async def test_events_in_order(ask: Ask) -> None:
    """Start, each block with start, deltas and end, then the message; deltas join up to their block."""
    reply = Reply(thinking="let me see", text="hello", tool_calls=[CallSpec("look", {"x": 1})], chunk_size=3)

    answer = await ask(reply)

    blocks = ["thinking_start", "thinking_delta", "thinking_end", "text_start", "text_delta", "text_end"]
    calls = ["tool_call_start", "tool_call_delta", "tool_call_end"]
    assert answer.types == ["stream_start", *blocks, *calls, "stream_end"]
    assert [block.type for block in answer.message.content] == ["thinking", "text", "tool_call"]
    for index, block in enumerate(answer.message.content):
        pieces = [
            event.text for event in answer.events if event.type.endswith("_delta") and event.content_index == index
        ]  # type: ignore[union-attr]
        joined = "".join(pieces)
        match block.type:
            case "text":
                assert joined == block.text
            case "thinking":
                assert joined == block.thinking
            case "tool_call":
                assert json.loads(joined) == block.arguments


async def test_the_message_knows_who_answered(ask: Ask) -> None:
    """Provider, api, model and the response's id stand in it; the timestamp is wall time."""
    message = (
        await ask(Reply.events({"id": "r1", "model": "m9", "choices": [{"delta": {"content": "a"}}]}, "[DONE]"))
    ).message

    assert (message.provider, message.api, message.response_id) == ("openrouter", "openai-completions", "r1")
    assert message.model == "m9"
    assert message.timestamp > 1_600_000_000_000


async def test_result_without_iterating_and_twice(engine: str) -> None:
    """`result` reads to the end by itself, and gives the same object each time, also after the block."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            first = await stream.result()
            second = await stream.result()
            rest = [event async for event in stream]
        third = await stream.result()

    assert first.text == "hello"
    assert first is second is third
    assert rest == []


async def test_events_in_batches(engine: str) -> None:
    """`next_events` gives all that is there, in order, and nothing after the last."""
    async with open_endpoint([Reply(text="hello, world", chunk_size=1)]) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            batches = []
            while batch := await stream.next_events():
                batches.append(batch)
            assert await stream.next_events() == []

    events = [event for batch in batches for event in batch]
    assert "".join(event.text for event in events if event.type == "text_delta") == "hello, world"
    assert events[-1].type == "stream_end"


async def test_connections_are_used_again(engine: str) -> None:
    """One after another, all requests go over one connection."""
    async with open_endpoint([Reply(text=str(number)) for number in range(5)]) as endpoint:
        said = [(await read(endpoint, engine)).text for _ in range(5)]

        assert said == ["0", "1", "2", "3", "4"]
        assert endpoint.statistics().accepted <= 2


async def test_a_connection_is_used_again_after_an_error_status(engine: str) -> None:
    """An error with a whole body costs no connection."""
    async with open_endpoint(
        [Reply(status=500, body=b"{}"), Reply(status=429, body=b"{}"), Reply(text="ok")]
    ) as endpoint:
        for _ in range(3):
            last = await read(endpoint, engine)

        assert last.text == "ok"
        assert endpoint.statistics().accepted == 1


async def test_the_end_marker_is_the_end(engine: str) -> None:
    """What the server does after `[DONE]` is not waited for, and its connection is not kept."""
    reply = Reply.events(
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}, "[DONE]", *[b": more\n\n"] * 10_000
    )
    slow = Reply(chunks=reply.chunks, delivery=Delivery(delay_between=0.05))
    async with open_endpoint([slow, Reply(text="next")]) as endpoint:
        with trio.fail_after(5):
            first = await read(endpoint, engine)
            second = await read(endpoint, engine)
            await endpoint.wait_for(lambda now: now.disconnects == 1)

    assert (first.text, second.text) == ("a", "next")


async def test_two_hundred_streams_at_once(engine: str) -> None:
    """None waits for another, and each gets its own answer."""

    def policy(request: ChatRequest) -> Reply:
        return Reply(text=request.user_text * 20, chunk_size=4)

    async with open_endpoint(policy) as endpoint:

        async def one(number: int) -> None:
            context = Context(messages=[UserMessage(f"number {number} ")])
            options = StreamOptions(engine=engine)  # type: ignore[arg-type]
            async with open_stream(Model("any", base_url=endpoint.url), context, options) as stream:
                assert (await stream.result()).text == f"number {number} " * 20

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(200):
                    nursery.start_soon(one, number)


async def test_streams_that_need_each_other_do_not_wait_for_a_place(engine: str) -> None:
    """150 streams are held open at once; one more is answered at once."""
    async with open_endpoint(
        lambda _: Reply(text="a b", chunk_size=1, delivery=Delivery(delay_between=0.01))
    ) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        opened = 0
        everybody = trio.Event()

        async def hold() -> None:
            nonlocal opened
            async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
                await anext(stream)
                opened += 1
                if opened == 150:
                    everybody.set()
                await everybody.wait()
                await stream.result()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(150):
                    nursery.start_soon(hold)


async def test_a_reader_that_stops_stops_the_server(engine: str) -> None:
    """Memory is bounded: the server cannot write on; when the reader goes on, nothing is lost."""
    size = 30_000
    event = {"choices": [{"delta": {"content": "x" * 1000}}]}
    async with open_endpoint(
        [Reply.events(*[event] * size, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, "[DONE]")]
    ) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            await anext(stream)
            await trio.sleep(0.3)
            assert endpoint.statistics().served == 0
            with trio.fail_after(60):
                message = await stream.result()

        assert len(message.text) == size * 1000


async def test_a_busy_reader_lets_others_run(engine: str) -> None:
    """Thousands of events that are there already do not starve other tasks."""
    pair = [{"choices": [{"delta": {member: "x"}}]} for member in ("content", "reasoning")]  # which never merge
    async with open_endpoint(
        [Reply.events(*pair * 2500, "[DONE]", delivery=Delivery(split_every=1 << 20))]
    ) as endpoint:
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
                await anext(stream)
                nursery.start_soon(count)
                longest = since = 0
                async for _ in stream:
                    before, since = since, turns
                    longest = longest + 1 if turns == before else 0
                    assert longest < 1000
            nursery.cancel_scope.cancel()

    assert turns > 10


async def test_tools_and_results_go_out_and_calls_come_back(engine: str) -> None:
    """The request holds system prompt, tools, calls and results as the dialect has them."""
    async with open_endpoint([Reply(tool_calls=[CallSpec("look", {"x": 1})]), Reply(text="done")]) as endpoint:
        look = ToolDefinition("look", "Looks.", {"type": "object", "properties": {"x": {"type": "integer"}}})
        options = StreamOptions(engine=engine, temperature=0.5, max_tokens=99)  # type: ignore[arg-type]
        model = Model("any", base_url=endpoint.url)
        context = Context("Be brief.", [UserMessage("look!")], [look])
        async with open_stream(model, context, options) as stream:
            asked = await stream.result()
        (made,) = asked.tool_calls
        result = ToolResultMessage(made.id, made.name, "seen")
        context = Context("Be brief.", [UserMessage("look!"), asked, result], [look])
        async with open_stream(model, context, options) as stream:
            assert (await stream.result()).text == "done"

        first, second = (request.json for request in endpoint.requests)
        assert first["tools"][0]["function"]["name"] == "look"
        assert (first["temperature"], first["max_tokens"], first["model"]) == (0.5, 99, "any")
        assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]
        assert second["messages"][2]["tool_calls"][0]["id"] == second["messages"][3]["tool_call_id"]


async def test_without_a_key_nothing_is_sent(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `auth` error that names the variable, in the message, and no connection."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    model = Model("any", base_url="http://provider.invalid/v1")

    async with open_stream(model, CONTEXT, StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]
        events = [event async for event in stream]
        message = await stream.result()

    assert [event.type for event in events] == ["stream_end"]
    assert message.error is not None
    assert message.error.kind == "auth"
    assert "OPENROUTER_API_KEY" in message.error.message


async def test_a_host_that_does_not_exist_is_a_connection_error(engine: str) -> None:
    """The name cannot be resolved; the key is in no error."""
    options = StreamOptions(engine=engine, api_key="sk-very-secret-0123456789")  # type: ignore[arg-type]

    async with open_stream(Model("any", base_url="http://provider.invalid/v1"), CONTEXT, options) as stream:
        message = await stream.result()

    assert message.error is not None
    assert message.error.kind == "connection_error"
    assert "secret" not in str(message.error)


async def test_an_api_that_is_not_spoken_is_refused() -> None:
    """A typed error before anything is sent, and not another dialect in silence."""
    with pytest.raises(SpecError, match=r"Model\.api"):
        async with open_stream(Model("any", api="google-generative-ai", base_url="http://127.0.0.1:9"), CONTEXT):
            pass


async def test_an_engine_that_is_not_built_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming it raises; nothing falls back."""
    monkeypatch.setattr(_alchemy, "ALCHEMY_AVAILABLE", False)
    with pytest.raises(EngineUnavailableError):
        async with open_stream(Model("any", base_url="http://127.0.0.1:9"), CONTEXT, StreamOptions(engine="alchemy")):
            pass


async def _two_requests(engine: str) -> str:
    async with open_endpoint([Reply(text="one"), Reply(text="two")]) as endpoint:
        return (await read(endpoint, engine)).text + (await read(endpoint, engine)).text


def test_runs_one_after_another(engine: str) -> None:
    """Each `trio.run` has connections of its own, closed at its end."""
    assert [trio.run(_two_requests, engine) for _ in range(3)] == ["onetwo"] * 3


def test_runs_in_two_threads(engine: str) -> None:
    """Two runs at the same time do not know of each other."""
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(trio.run(_two_requests, engine))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert said == ["onetwo"] * 2


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_that_ends_with_streams_open(engine: str) -> None:
    """The end of a run closes what a forgotten stream held, and does not hang."""
    forgotten = []

    async def main() -> None:
        async with open_endpoint([Reply(text="x" * 1000, delivery=Delivery(delay_between=0.05))]) as endpoint:
            options = StreamOptions(engine=engine)  # type: ignore[arg-type]
            stream = open_stream(Model("any", base_url=endpoint.url), CONTEXT, options)
            opened = await stream.__aenter__()
            forgotten.append((stream, opened))
            await anext(opened)

    trio.run(main)

    ((_, opened),) = forgotten
    assert opened.is_over
