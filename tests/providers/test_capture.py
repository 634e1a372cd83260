"""`StreamOptions.capture`: the bytes of a stream, kept on request in a cassette, on every engine."""

# ruff: noqa: ASYNC240  # a test may look into its folder

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.providers.conftest import CONTEXT, Ask
from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import Capture, StreamOptions, Timeouts, open_stream
from tinyagent_actors.providers._cassette_file import read_cassette
from tinyagent_actors.testing import Cut, Delivery, Reply, Reset, Stall, open_endpoint, replay_cassette

KEY = "sk-very-secret-0123456789"
WORDS = ('data: {"choices":[{"delta":{"content":"é"}}]}\n\n'.encode(), b"data: [DONE]\n\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test keeps what it hears."""
    return tmp_path / "kept.jsonl"


async def test_a_stream_is_kept_byte_by_byte(ask: Ask, path: Path) -> None:
    """K05: request, status, headers, every piece as it came with its time, and the end; the answer is the same."""
    body = b"".join(WORDS)
    reply = Reply(chunks=(body[:42], body[42:44], body[44:]), delivery=Delivery(delay_between=0.03))
    answer = await ask(reply, capture=path)

    cassette = read_cassette(path)
    (exchange,) = cassette.exchanges
    assert answer.text == "é"
    assert [chunk.data for chunk in exchange.response.chunks] == [body[:42], body[42:44], body[44:]]
    assert all(chunk.after > 0.005 for chunk in exchange.response.chunks[1:])
    assert (exchange.response.status, exchange.response.end, cassette.base) == (200, "clean", "/v1")
    assert exchange.request.place == "POST /v1/chat/completions"
    assert exchange.request.body["messages"] == [{"role": "user", "content": "hello"}]


async def test_a_stream_that_does_not_ask_is_not_kept(ask: Ask, tmp_path: Path) -> None:
    """And the engine hands over no bytes."""
    assert (await ask(Reply(text="a"))).text == "a"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "end", "kind"),
    [
        (Reply(text="whole"), "clean", None),
        (Reply(text="no marker", done=False, finish=None), "clean", "truncated"),
        (Reply(text="cut", fault=Cut(after_chunks=2)), "cut", "truncated"),
        (Reply(text="torn", fault=Reset(after_chunks=2)), "reset", "truncated"),
        (Reply(text="silent", fault=Stall(after_chunks=2)), "left", "timeout"),
        (Reply.rate_limited(7), "clean", "rate_limited"),
        (Reply(chunks=(b"data: {\n\n", b"data: [DONE]\n\n")), "left", "malformed_event"),
        (Reply(body=b"<html>", headers={"content-type": "text/html"}), "clean", "protocol_error"),
        (Reply(text="packed", encoding="gzip"), "clean", None),
    ],
)
async def test_how_it_ended(ask: Ask, path: Path, reply: Reply, end: str, kind: str | None) -> None:
    """K05: whole, cut, torn down, silent, refused: what is kept can be played back, with the same result."""
    timeouts = Timeouts(idle=0.5)
    live = await ask(reply, capture=path, timeouts=timeouts)
    async with replay_cassette(path, timed=False) as replay:
        played = await ask.url(replay.url, timeouts=timeouts)

    assert [exchange.response.end for exchange in read_cassette(path).exchanges] == [end]
    assert (live.kind, live.text) == (kind, played.text)
    assert played.kind == kind


async def test_leaving_early_keeps_what_came(engine: str, path: Path) -> None:
    """K05: marked `left`; leaving waits for the file and for nothing else."""
    with trio.fail_after(30):
        async with open_endpoint([Reply(text="begun", fault=Stall(after_chunks=2))]) as endpoint:
            options = StreamOptions(engine=engine, capture=path)
            async with open_stream(Model("m", base_url=endpoint.url), CONTEXT, options) as stream:
                async for event in stream:
                    if event.type == "text_delta":
                        break

    (exchange,) = read_cassette(path).exchanges
    assert exchange.response.end == "left"
    assert b"begun" in exchange.response.body


async def test_a_cancelled_stream_is_kept(engine: str, path: Path) -> None:
    """The file is written behind a shield."""
    with trio.fail_after(30):
        async with open_endpoint([Reply(text="begun", fault=Stall(after_chunks=2))]) as endpoint:
            options = StreamOptions(engine=engine, capture=path)
            with trio.CancelScope() as scope:
                async with open_stream(Model("m", base_url=endpoint.url), CONTEXT, options) as stream:
                    async for event in stream:
                        if event.type == "text_delta":
                            scope.cancel()

    assert [exchange.response.end for exchange in read_cassette(path).exchanges] == ["left"]


async def test_exchanges_follow_each_other(engine: str, path: Path) -> None:
    """K05: streams at once, and one after the other, each whole, in one file."""
    capture = Capture(path)

    async def one(url: str, number: int) -> None:
        context = Context(messages=[UserMessage(f"question {number}")])
        options = StreamOptions(engine=engine, capture=capture)
        async with open_stream(Model("m", base_url=url), context, options) as stream:
            await stream.result()

    with trio.fail_after(60):
        async with (
            open_endpoint([Reply(text="a" * 2000) for _ in range(20)]) as endpoint,
            trio.open_nursery() as nursery,
        ):
            for number in range(20):
                nursery.start_soon(one, endpoint.url, number)

    asked = [exchange.request.body["messages"][0]["content"] for exchange in read_cassette(path).exchanges]
    assert sorted(asked) == sorted(f"question {number}" for number in range(20))
    assert capture.problems == ()


async def test_no_credential_is_kept(engine: str, path: Path) -> None:
    """K02, K05: neither the key, nor what looks like one, nor a cookie, in whatever place, also where the network cuts it."""
    said = f'data: {{"choices":[{{"delta":{{"content":"{KEY}"}}}}]}}\n\n'.encode()
    cut = said.index(KEY.encode()) + 6
    reply = Reply(chunks=(said[:cut], said[cut:], WORDS[1]), headers={"set-cookie": "s=hidden-cookie", "x-key": KEY})
    model_headers = {"x-api-key": "Opaque/credential=1", "cookie": "s=hidden-cookie"}
    context = Context(messages=[UserMessage(f"my key is {KEY}, my other Opaque/credential=1")])
    with trio.fail_after(30):
        async with open_endpoint([reply]) as endpoint:
            options = StreamOptions(engine=engine, api_key=KEY, headers=model_headers, capture=path)
            model = Model("m", base_url=f"{endpoint.url}/chat/completions?api-key=Query-secret-1")
            async with open_stream(model, context, options) as stream:
                message = await stream.result()

    written = path.read_bytes()
    assert message.text == KEY
    for secret in (KEY, "Opaque/credential=1", "hidden-cookie", "Query-secret-1"):
        assert secret.encode() not in written
        assert all(secret.encode() not in one.response.body for one in read_cassette(path).exchanges)


async def test_a_body_larger_than_the_bound(ask: Ask, path: Path) -> None:
    """K05: the stream goes on; what is kept ends at the bound, and that is told once."""
    capture = Capture(path, max_bytes=100)
    reply = Reply(chunks=(*(WORDS[0],) * 20, WORDS[1]), delivery=Delivery(split_every=30))
    answer = await ask(reply, capture=capture)

    (exchange,) = read_cassette(path).exchanges
    assert answer.text == "é" * 20
    assert (exchange.response.end, 0 < len(exchange.response.body) <= 100) == ("left", True)
    assert [problem.problem for problem in capture.problems] == [
        "a body has more than 100 bytes; the rest of it is not kept"
    ]


async def test_a_file_larger_than_the_bound(ask: Ask, path: Path) -> None:
    """K05: what would make it larger is not kept, and that is told."""
    capture = Capture(path, max_file_bytes=3000)
    for _ in range(4):
        assert (await ask(Reply(text="a" * 200), capture=capture)).text == "a" * 200

    assert path.stat().st_size <= 3000
    assert 1 <= len(read_cassette(path).exchanges) < 4
    assert len(capture.problems) >= 1


async def test_a_failure_to_write_never_fails_the_stream(
    ask: Ask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """K05: it stands in `problems`, by each exchange, and in the log once."""
    capture = Capture(tmp_path / "no such folder" / "kept.jsonl")
    with caplog.at_level(logging.WARNING, logger="tinyagent_actors"):
        for _ in range(2):
            answer = await ask(Reply(text="whole"), capture=capture)
            assert (answer.text, answer.kind) == ("whole", None)

    assert [problem.problem for problem in capture.problems] == ["cannot be written: No such file or directory"] * 2
    assert [record.levelname for record in caplog.records if "kept in" in record.getMessage()] == ["WARNING"]


async def test_a_file_that_takes_nothing_holds_no_stream(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K05: A pipe that nobody reads: the stream waits its bound, and goes; and no second thread is lost to it."""
    from tinyagent_actors.providers import _capture

    monkeypatch.setattr(_capture, "WRITE_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    capture = Capture(pipe)
    try:
        assert (await ask(Reply(text="whole"), capture=capture)).text == "whole"
        assert (await ask(Reply(text="again"), capture=capture)).text == "again"
        assert [problem.problem for problem in capture.problems] == [
            "the file took no more for 0.2 s",
            "the file is busy with what was to be written before",
        ]
    finally:
        os.close(os.open(pipe, os.O_RDWR))  # lets the thread go


async def test_nothing_is_kept_where_nothing_came(engine: str, path: Path) -> None:
    """No connection, no exchange."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    answer = await Ask(engine).url(f"http://127.0.0.1:{port}/v1", capture=path)

    assert answer.kind == "connection_error"
    assert not path.exists()


@pytest.mark.parametrize("wrong", [3, b"bytes", True])
def test_what_is_no_capture(wrong: Any) -> None:
    """It is refused where it is written."""
    with pytest.raises(SpecError, match=r"StreamOptions\.capture"):
        StreamOptions(capture=wrong)


def test_a_path_is_a_capture(path: Path) -> None:
    """One that stays the same where the options are changed."""
    options = StreamOptions(capture=path)

    assert isinstance(options.capture, Capture)
    assert attrs.evolve(options, max_tokens=3).capture is options.capture
    assert StreamOptions().capture is None
    with pytest.raises(SpecError, match="max_bytes"):
        Capture(path, max_bytes=0)
