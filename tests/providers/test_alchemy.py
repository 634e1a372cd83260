"""The engine `alchemy`: what the adapter around the published crate promises. What the crate loses is in `alchemy.toml`."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import trio

from tests.providers.conftest import CONTEXT, Ask, read_request
from tinyagent_actors import EngineUnavailableError, Model, SpecError, _alchemy
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.messages import Context, ImageContent, UserMessage
from tinyagent_actors.providers import StreamOptions, best_engine, open_stream
from tinyagent_actors.providers._alchemy_engine import AlchemyPump, open_alchemy
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._open_stream import ask_source
from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Reply, Stall, open_endpoint

built = pytest.mark.skipif(not _alchemy.ALCHEMY_AVAILABLE, reason="the engine alchemy is not built")
ALCHEMY = StreamOptions(engine="alchemy")


@pytest.fixture
def ask() -> Ask:
    """Ask on the crate."""
    return Ask("alchemy")


async def test_it_is_never_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A02: naming it where it is not built is an error; nothing falls back."""
    assert best_engine() != "alchemy"
    monkeypatch.setattr(_alchemy, "ALCHEMY_AVAILABLE", False)
    monkeypatch.setattr(_alchemy, "ALCHEMY_UNAVAILABLE_REASON", "it was left out")

    with pytest.raises(EngineUnavailableError, match="'alchemy' is not available: it was left out"):
        async with open_stream(Model("any", base_url="http://localhost/v1"), CONTEXT, ALCHEMY):
            pass


@built
async def test_cancelling_closes_each_socket() -> None:
    """50 streams in flight are cancelled at once: the server sees 50 of 50 leave, and the engine works afterwards."""

    def policy(request: ChatRequest) -> Reply:
        return (
            Reply(text="next") if "next" in str(request.messages) else Reply(text="never", fault=Stall(after_bytes=0))
        )

    async with open_endpoint(policy) as endpoint:
        model = Model("any", base_url=endpoint.url)
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(read, model)
            with trio.fail_after(60):
                await endpoint.wait_for(lambda now: now.open_streams == 50)
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            await endpoint.wait_for(lambda now: now.disconnects == 50 and now.open_streams == 0)
        assert await read(model, "next") == "next"
        assert current_runtime().resource(AlchemyPump, missing).statistics()["streams"] == 0


def missing(_: object) -> AlchemyPump:
    """Fail: the pump must be there already."""
    raise AssertionError


async def read(model: Model, words: str = "hello") -> str:
    """Read one answer whole."""
    async with open_stream(model, Context("", [UserMessage(words)]), ALCHEMY) as stream:
        return (await stream.result()).text


@built
async def test_streams_run_in_a_bounded_pool() -> None:
    """More streams than threads: those that find none wait in line, and each gets its answer."""
    most = 0

    def policy(_: ChatRequest) -> Reply:
        nonlocal most
        most = max(most, len([name for name in thread_names() if name.startswith("tinyagent-alche")]))
        return Reply(text="hello", delivery=Delivery(delay_body=0.2))

    async with open_endpoint(policy) as endpoint:
        texts: list[str] = []

        async def one() -> None:
            texts.append(await read(Model("any", base_url=endpoint.url)))

        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                for _ in range(70):
                    nursery.start_soon(one)

    assert texts == ["hello"] * 70
    assert 0 < most <= 64


def thread_names() -> list[str]:
    """Give the names of all threads of this process, also those that Python does not know."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text())
        except OSError:
            continue
    return names


@built
async def test_a_key_does_not_follow_a_redirect() -> None:
    """A01: what the crate follows to another origin is asked there without the key."""
    async with open_endpoint([Reply(text="hello")]) as other:
        target = f"{other.url}/chat/completions"
        async with open_endpoint([Reply(status=307, headers={"location": target})]) as endpoint:
            options = attrs.evolve(ALCHEMY, api_key="sk-secret")
            async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
                await stream.result()

        assert endpoint.requests[0].header("authorization") == "Bearer sk-secret"
        assert [request.header("authorization") for request in other.requests] == [None]


def anthropic_events() -> bytes:
    """Give an answer in the dialect of Anthropic: thinking, text and a call."""
    blocks = [
        ({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "hm"}),
        ({"type": "text", "text": ""}, {"type": "text_delta", "text": "hello"}),
        (
            {"type": "tool_use", "id": "a", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"x": 1}'},
        ),
    ]
    usage = {"input_tokens": 7, "cache_read_input_tokens": 3}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "i", "usage": usage}}]
    for index, (block, delta) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    said = [f"event: {event['type']}\n".encode() + b"data: " + orjson.dumps(event) + b"\n\n" for event in events]
    return b"".join(said)


@built
async def test_the_dialect_of_anthropic() -> None:
    """A01: its requests go with a bearer token, which no redirect takes along; its events become the same items."""
    asked: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append(await read_request(stream))
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + anthropic_events())
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1/messages"
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        endpoint, content = Endpoint(url, (("x-api-key", "k"),)), orjson.dumps(body)
        stream = ask_source(
            Model("m", provider="anthropic"),
            endpoint,
            lambda: open_alchemy("anthropic-messages", endpoint, content),
            StreamOptions(),
        )
        with trio.fail_after(60):
            message = await stream.result()
        await stream.aclose()
        nursery.cancel_scope.cancel()

    head = asked[0].lower()
    assert head.startswith(b"post /v1/messages http")
    assert b"authorization: bearer k\r\n" in head
    assert b"anthropic-version: 2023-06-01\r\n" in head
    assert b"x-api-key" not in head
    assert (message.text, message.stop_reason) == ("hello", "tool_use")
    assert [block.type for block in message.content] == ["thinking", "text", "tool_call"]
    assert [dict(call.arguments) for call in message.tool_calls] == [{"x": 1}]
    assert message.usage is not None
    assert (message.usage.input, message.usage.cache_read, message.usage.output) == (7, 3, 5)


@built
async def test_a_server_without_a_key_is_asked(ask: Ask) -> None:
    """The crate refuses to start without one, so it is given a word that is none."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        assert (await ask.url(endpoint.url)).text == "hello"
        assert endpoint.requests[0].header("authorization") == "Bearer no-key"
        assert "store" not in endpoint.requests[0].json


@built
@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"error": {"code": 500}}', b"", b"data: [DONE]\n\n"])
async def test_what_the_crate_does_not_see_is_no_empty_success(ask: Ask, body: bytes) -> None:
    """P70: a page, an error at status 200 and nothing at all are `empty_response`."""
    answer = await ask(Reply(body=body))

    assert (answer.kind, answer.message.stop_reason) == ("empty_response", "error")


@built
async def test_broken_arguments_do_not_run(ask: Ask) -> None:
    """P62: the crate makes `{}` of them; the call is invalid all the same, and says what was sent."""
    answer = await ask(Reply(tool_calls=[CallSpec("look", '{"x": ')]))

    assert answer.message.tool_calls == ()
    assert [(call.name, call.raw) for call in answer.message.invalid_tool_calls] == [("look", '{"x": ')]


@built
async def test_no_server_at_all(ask: Ask) -> None:
    """A connection that is refused is typed, and its URL stands in no error."""
    answer = await ask.url("http://127.0.0.1:1/v1?key=s3cret")

    assert (answer.kind, answer.message.error.retryable) == ("connection_error", True)
    assert "s3cret" not in str(answer.message.error)


@built
async def test_what_it_cannot_send_is_refused() -> None:
    """At the first read, before anything is sent, and without the value."""
    context = Context("", [UserMessage(ImageContent(url="https://example.org/s3cret.png"))])
    with pytest.raises(SpecError, match="not by a URL"):
        async with open_stream(Model("any", base_url="http://localhost/v1"), context, ALCHEMY) as stream:
            await stream.result()


@built
def test_one_run_after_the_other_and_two_at_a_time() -> None:
    """Each `trio.run` has a pump of its own, and takes it along when it ends."""

    async def main() -> None:
        async with open_endpoint([Reply(text="hello")]) as endpoint:
            answers.append(await read(Model("any", base_url=endpoint.url)))

    answers: list[str] = []
    trio.run(main)
    trio.run(main)
    threads = [threading.Thread(target=trio.run, args=(main,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == ["hello"] * 4
