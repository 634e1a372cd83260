"""`record_cassette`: what a provider says is passed on and kept, byte by byte, without credentials."""

# ruff: noqa: ASYNC240  # a test may look into its folder

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tinyagent_actors._errors import CassetteError, SpecError
from tinyagent_actors.messages import AssistantMessage, Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._cassette import CassetteExchange
from tinyagent_actors.providers._cassette_file import read_cassette
from tinyagent_actors.testing import (
    ChatRequest,
    Cut,
    Delivery,
    Reply,
    Reset,
    Stall,
    open_endpoint,
    record_cassette,
    replay_cassette,
)

OPAQUE = "Opaque/credential+of=42"
SHAPED = "sk-live-0123456789abcdefXYZ"
QUESTION = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


async def ask(url: str, engine: str = "httpx", text: str = "hi", **options: Any) -> AssistantMessage:
    """Ask a model there, and give its answer."""
    model, context = Model("any", base_url=url), Context(messages=[UserMessage(text)])
    async with open_stream(model, context, StreamOptions(engine=engine, api_key=SHAPED, **options)) as stream:
        return await stream.result()


async def record(path: Path, *replies: Reply, engine: str = "httpx") -> tuple[CassetteExchange, ...]:
    """Record the answers of an endpoint."""
    with trio.fail_after(30):
        async with open_endpoint(replies) as endpoint, record_cassette(path, upstream=endpoint.url) as recorder:
            for number in range(len(replies)):
                await ask(recorder.url, engine, f"question {number}")
    return read_cassette(path).exchanges


async def test_an_exchange_is_kept_in_its_pieces(engine: str, tmp_path: Path) -> None:
    """K03: request, headers, the body split as it came (also inside of a character), times; what the client gets is the same."""
    body = 'data: {"choices":[{"delta":{"content":"é"},"finish_reason":"stop"}]}\n\n'.encode()
    half = body.index("é".encode()) + 1
    reply = Reply(chunks=(body[:half], body[half:], b"data: [DONE]\n\n"), delivery=Delivery(delay_between=0.05))

    (exchange,) = await record(tmp_path / "c.jsonl", reply, engine=engine)

    assert (exchange.request.place, exchange.request.body["messages"]) == (
        "POST /v1/chat/completions",
        [{"role": "user", "content": "question 0"}],
    )
    assert [chunk.data for chunk in exchange.response.chunks] == [body[:half], body[half:], b"data: [DONE]\n\n"]
    assert all(chunk.after > 0.01 for chunk in exchange.response.chunks[1:])
    assert (exchange.response.status, exchange.response.end) == (200, "clean")
    assert ("content-type", "text/event-stream; charset=utf-8") in exchange.response.headers


@pytest.mark.parametrize(
    ("reply", "end", "kind"),
    [
        (Reply(text="whole"), "clean", None),
        (Reply(text="cut", fault=Cut(after_chunks=2)), "cut", "truncated"),
        (Reply(text="cut", framing="length", fault=Cut(after_chunks=2)), "cut", "truncated"),
        (Reply(text="torn", fault=Reset(after_chunks=2)), "reset", "truncated"),
        (Reply.rate_limited(7), "clean", "rate_limited"),
    ],
)
async def test_an_end_is_kept_and_played_back(
    engine: str, tmp_path: Path, reply: Reply, end: str, kind: str | None
) -> None:
    """K03, K04: whole, cut, torn down, an error status: the recorder passes it on as it is, and so does the replay."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([reply]) as endpoint, record_cassette(path, upstream=endpoint.url) as recorder:
        live = await ask(recorder.url, engine)
    async with replay_cassette(path) as replay:
        played = await ask(replay.url, engine)

    assert [exchange.response.end for exchange in read_cassette(path).exchanges] == [end]
    for message in (live, played):
        assert (message.error.kind if message.error else None) == kind
    assert (live.text, live.usage, live.error.retry_after if live.error else None) == (
        played.text,
        played.usage,
        played.error.retry_after if played.error else None,
    )


async def test_a_client_that_leaves_is_noted(engine: str, tmp_path: Path) -> None:
    """K03: what came until then is kept, marked `left`; played back, nothing follows it, until the client leaves again."""
    path = tmp_path / "c.jsonl"

    async def leave(url: str) -> str:
        model, context = Model("any", base_url=url), Context(messages=[UserMessage("hi")])
        async with open_stream(model, context, StreamOptions(engine=engine, api_key=SHAPED)) as stream:
            async for event in stream:
                if event.type == "text_delta":
                    return event.text
        return ""

    with trio.fail_after(30):
        async with open_endpoint([Reply(text="begun", fault=Stall(after_chunks=2))]) as endpoint:
            async with record_cassette(path, upstream=endpoint.url) as recorder:
                live = await leave(recorder.url)
                await endpoint.wait_for(lambda now: now.disconnects == 1)
        async with replay_cassette(path) as replay:
            played = await leave(replay.url)

    assert (live, played) == ("begun", "begun")
    assert [exchange.response.end for exchange in read_cassette(path).exchanges] == ["left"]


async def test_no_credential_is_written(tmp_path: Path) -> None:
    """K02: A key in each place: headers, cookies, query, bodies either way, also cut in two by the network."""
    path = tmp_path / "c.jsonl"
    said = json.dumps({"choices": [{"delta": {"content": f"your key is {OPAQUE} or {SHAPED}"}}]})
    body = f"data: {said}\n\ndata: [DONE]\n\n".encode()
    cuts = [body.index(OPAQUE.encode()) + 5, body.index(SHAPED.encode()) + 4]
    pieces = (body[: cuts[0]], body[cuts[0] : cuts[1]], body[cuts[1] :])
    headers = {"set-cookie": f"session={OPAQUE}", "x-echo": OPAQUE, "openai-organization": "acme", "x-request-id": "r1"}
    asked = {**QUESTION, "api_key": OPAQUE, "user": SHAPED, "metadata": {"deep": [f"use {OPAQUE}"]}}

    def answer(request: ChatRequest) -> Reply:
        return Reply(chunks=pieces, headers=headers)

    async with open_endpoint(answer) as endpoint, record_cassette(path, upstream=endpoint.url) as recorder:
        async with httpx.AsyncClient() as client:
            for names in (
                {"authorization": f"Bearer {OPAQUE}"},
                {"x-api-key": OPAQUE},
                {"api-key": OPAQUE},
                {"cookie": f"a=1; session={OPAQUE}"},
                {"proxy-authorization": OPAQUE, "x-goog-api-key": OPAQUE},
            ):
                response = await client.post(f"{recorder.url}/chat/completions", headers=names, json=asked)
                assert response.content == body
            for query in ({"key": OPAQUE}, {"api-key": OPAQUE, "api-version": "2024-10"}):
                response = await client.post(f"{recorder.url}/chat/completions", params=query, json=asked)
                assert response.content == body
        passed_on = endpoint.requests[0]

    written = path.read_bytes()
    joined = [exchange.response.body for exchange in read_cassette(path).exchanges]
    assert passed_on.header("authorization") == f"Bearer {OPAQUE}"
    assert passed_on.json["api_key"] == OPAQUE
    for secret in (OPAQUE.encode(), SHAPED.encode(), b"acme", b"session="):
        assert secret not in written
        assert all(secret not in body for body in joined)
    assert [len(chunk.data) for chunk in read_cassette(path).exchanges[0].response.chunks] == [len(p) for p in pieces]
    assert b"api-version=2024-10" in written
    assert b'["x-request-id", "r1"]' in written


async def test_a_replay_finds_what_was_asked_with_another_key(tmp_path: Path) -> None:
    """K02, K04: A key in the body, too, is no part of what requests have in common."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([Reply(text="a")]) as endpoint, record_cassette(path, upstream=endpoint.url) as recorder:
        await ask(recorder.url, text=f"my key is {SHAPED}")
    async with replay_cassette(path) as replay:
        message = await ask(replay.url, text="my key is sk-other-9876543210abc")

    assert message.text == "a"


async def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """K03: the client gets a 502, no file is written, and the block says so at its end."""
    path = tmp_path / "c.jsonl"
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()

    with pytest.raises(CassetteError, match="the provider gave no answer"):
        async with record_cassette(path, upstream=f"http://127.0.0.1:{port}/v1") as recorder:
            message = await ask(recorder.url)
            assert message.error is not None
            assert message.error.status == 502
    assert not path.exists()


async def test_a_compressed_body_is_passed_on_and_not_kept(tmp_path: Path) -> None:
    """K03: it was not asked for, and nobody could see a key in it."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([Reply(text="packed", encoding="gzip"), Reply(text="plain")]) as endpoint:
        with pytest.raises(CassetteError, match="came as 'gzip'"):
            async with record_cassette(path, upstream=endpoint.url) as recorder:
                assert (await ask(recorder.url, text="one")).text == "packed"
                assert (await ask(recorder.url, text="two")).text == "plain"

    assert [one.request.body["messages"][0]["content"] for one in read_cassette(path).exchanges] == ["two"]
    assert gzip.compress(b"")[:2] not in path.read_bytes()


async def test_a_body_larger_than_the_bound(tmp_path: Path) -> None:
    """K03: it is passed on whole; what is kept ends at the bound, and that is told."""
    path = tmp_path / "c.jsonl"
    pieces = (b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',) * 10
    async with open_endpoint(
        [Reply(chunks=(*pieces, b"data: [DONE]\n\n"), delivery=Delivery(coalesce=False))]
    ) as endpoint:
        with pytest.raises(CassetteError, match="more than 100 bytes"):
            async with record_cassette(path, upstream=endpoint.url, max_bytes=100) as recorder:
                assert (await ask(recorder.url)).text == "x" * 10

    (exchange,) = read_cassette(path).exchanges
    assert (exchange.response.end, len(exchange.response.body) <= 100) == ("left", True)


async def test_a_block_that_raises_keeps_what_was_said(tmp_path: Path) -> None:
    """K03: the exception comes out as it is; the file is whole."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([Reply(text="a")]) as endpoint:
        with pytest.raises(ZeroDivisionError):
            async with record_cassette(path, upstream=endpoint.url) as recorder:
                await ask(recorder.url)
                raise ZeroDivisionError

    assert len(read_cassette(path).exchanges) == 1


async def test_a_cancelled_block_keeps_what_was_said(tmp_path: Path) -> None:
    """K03: the file is written behind a shield."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([Reply(text="a")]) as endpoint:
        with trio.CancelScope() as scope:
            async with record_cassette(path, upstream=endpoint.url) as recorder:
                await ask(recorder.url)
                scope.cancel()
                await trio.sleep_forever()

    assert len(read_cassette(path).exchanges) == 1


async def test_a_recording_replaces_the_one_before_only_when_there_is_one(tmp_path: Path) -> None:
    """Nothing asked: the old file stays, and the block says so."""
    path = tmp_path / "c.jsonl"
    await record(path, Reply(text="old"))
    async with open_endpoint() as endpoint:
        with pytest.raises(CassetteError, match="nothing was recorded"):
            async with record_cassette(path, upstream=endpoint.url):
                pass
    assert b"old" in path.read_bytes()
    await record(path, Reply(text="new"))

    assert b"old" not in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told at the end of the block."""
    async with open_endpoint([Reply(text="a")]) as endpoint:
        with pytest.raises(CassetteError, match="cannot be written"):
            async with record_cassette(tmp_path / "none" / "c.jsonl", upstream=endpoint.url) as recorder:
                await ask(recorder.url)


@pytest.mark.parametrize("upstream", ["api.openai.com/v1", "ftp://x/v1", "https://u:p@x/v1", "https://x/v1?key=k"])
async def test_what_is_no_base_url(upstream: str) -> None:
    """It is refused before anything is opened."""
    with pytest.raises(SpecError, match="upstream"):
        async with record_cassette("never.jsonl", upstream=upstream):
            pass


async def test_the_path_of_the_provider_is_the_recorders(tmp_path: Path) -> None:
    """A base URL with a long path, with or without a slash at its end."""
    path = tmp_path / "c.jsonl"
    async with open_endpoint([Reply(text="a")]) as endpoint:
        async with record_cassette(path, upstream=f"{endpoint.origin}/api/paas/v4/") as recorder:
            await ask(recorder.url)
        asked = endpoint.requests[0].path
    async with replay_cassette(path) as replay:
        assert replay.url.endswith("/api/paas/v4")
        assert (await ask(replay.url)).text == "a"

    assert asked == "/api/paas/v4/chat/completions"
