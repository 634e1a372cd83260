"""`replay_cassette`: what was recorded is said again, once, in its pieces and with its times; anything else is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from tinyagent_actors._errors import CassetteError, CassetteMissError, CassetteUnusedError
from tinyagent_actors.messages import AssistantMessage, Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._cassette import Cassette, CassetteExchange, CassetteRequest, CassetteResponse, Chunk
from tinyagent_actors.providers._cassette_file import format_cassette
from tinyagent_actors.testing import Replay, replay_cassette

PATH = "/v1/chat/completions"


def answered(text: str, body: Any = None, **response: Any) -> CassetteExchange:
    """Give an exchange that says `text`; without a body it answers anything."""
    said = f'data: {{"choices":[{{"delta":{{"content":"{text}"}},"finish_reason":"stop"}}]}}\n\n'.encode()
    chunks = (Chunk(said), Chunk(b"data: [DONE]\n\n"))
    return CassetteExchange(
        request=CassetteRequest(path=PATH, has_body=body is not None, body=body),
        response=CassetteResponse(**{"chunks": chunks, **response}),
    )


def write(folder: Path, *exchanges: CassetteExchange) -> Path:
    """Write a cassette."""
    path = folder / "c.jsonl"
    path.write_bytes(format_cassette(Cassette(exchanges=exchanges)))
    return path


async def post(url: str, body: Any) -> httpx.Response:
    """Send a request as it is."""
    async with httpx.AsyncClient() as client:
        return await client.post(f"{url}/chat/completions", json=body)


async def ask(url: str, engine: str) -> AssistantMessage:
    """Ask on an engine."""
    options = StreamOptions(engine=engine, api_key="none")
    async with open_stream(Model("m", base_url=url), Context(messages=[UserMessage("hi")]), options) as stream:
        return await stream.result()


async def test_requests_find_their_answers(tmp_path: Path) -> None:
    """K04: whatever the order in which they are asked, and in which their members stand; equal ones in the order of the file."""
    one, two = {"model": "m", "n": 1}, {"model": "m", "n": 2}
    path = write(tmp_path, answered("first", one), answered("other", two), answered("second", one))

    async with replay_cassette(path) as replay:
        texts = [(await post(replay.url, body)).text for body in (two, {"n": 1, "model": "m"}, one)]

    assert [next(word for word in ("first", "second", "other") if word in text) for text in texts] == [
        "other",
        "first",
        "second",
    ]


async def test_a_miss_is_told_to_the_client_and_by_the_block(engine: str, tmp_path: Path) -> None:
    """K04: the client's error is not tried again; the block's says what differs from the nearest recorded request."""
    near = {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    path = write(tmp_path, answered("far", {"model": "x", "prompt": "y"}), answered("near", near))

    with pytest.raises(CassetteMissError) as caught:
        async with replay_cassette(path) as replay:
            message = await ask(replay.url, engine)

    error = message.error
    assert error is not None
    assert (error.kind, error.status, error.retryable) == ("provider_error", 404, False)
    assert caught.value.nearest == 7
    assert caught.value.difference == '  body.messages[0].content: recorded "hello", asked "hi"'
    assert caught.value.request == f"POST {PATH}"


async def test_what_was_recorded_once_is_given_once(tmp_path: Path) -> None:
    """K04: A loop that asks again is told so; each further miss is counted."""
    body = {"model": "m"}
    with pytest.raises(CassetteMissError, match="its answer was given already") as caught:
        async with replay_cassette(write(tmp_path, answered("a", body))) as replay:
            statuses = [(await post(replay.url, body)).status_code for _ in range(3)]

    assert statuses == [200, 404, 404]
    assert caught.value.misses == 2


async def test_a_miss_is_the_cause_that_is_told_first(tmp_path: Path) -> None:
    """K04: what the block raised for it stands behind it."""
    with pytest.raises(CassetteMissError) as caught:
        async with replay_cassette(write(tmp_path, answered("a", {"model": "m"}))) as replay:
            (await post(replay.url, {})).raise_for_status()

    assert isinstance(caught.value.__cause__, httpx.HTTPStatusError)


async def test_what_the_block_raises_leaves_it(tmp_path: Path) -> None:
    """K04: as itself, though something was never asked for."""
    with pytest.raises(ZeroDivisionError):
        async with replay_cassette(write(tmp_path, answered("a"))):
            raise ZeroDivisionError


async def test_what_was_never_asked_for_is_told(tmp_path: Path) -> None:
    """K04: with its line; unless that is allowed."""
    path = write(tmp_path, answered("a"), answered("b"))
    with pytest.raises(CassetteUnusedError) as caught:
        async with replay_cassette(path) as replay:
            await post(replay.url, {})
    async with replay_cassette(path, allow_unused=True) as replay:
        pass

    assert caught.value.unused == (f"line 7 POST {PATH}",)
    assert len(replay.unused) == 2


async def test_a_difference_is_bounded(tmp_path: Path) -> None:
    """A long text is shown where it begins to differ, and many differences are counted."""
    recorded = {"text": "x" * 1000 + "recorded" + "y" * 1000, "many": list(range(100))}
    asked = {"text": "x" * 1000 + "asked" + "y" * 1000, "many": list(range(1, 101))}
    with pytest.raises(CassetteMissError) as caught:
        async with replay_cassette(write(tmp_path, answered("a", recorded))) as replay:
            await post(replay.url, asked)

    lines = caught.value.difference.splitlines()
    assert "xxrecordedyy" in lines[0]
    assert "xxaskedyy" in lines[0]
    assert lines[-1] == "  and 81 more"
    assert max(map(len, lines)) < 400


async def test_a_key_is_in_no_difference(tmp_path: Path) -> None:
    """K02: both sides are shown without their credentials."""
    secret = "sk-very-secret-0123456789"
    with pytest.raises(CassetteMissError) as caught:
        async with replay_cassette(write(tmp_path, answered("a", {"text": "b"}))) as replay:
            await post(f"{replay.url}", {"text": f"my key is {secret}", "api_key": "Opaque/key"})

    assert secret not in str(caught.value)
    assert "Opaque" not in str(caught.value)


async def test_pieces_are_pieces(tmp_path: Path) -> None:
    """K04: each is an HTTP chunk and a write: a client can see how the answer was split."""
    chunks = tuple(Chunk(piece) for piece in (b"d", b"ata: \xc3", b"", b"\xa9\n", b"\n"))
    path = write(tmp_path, answered("", chunks=chunks))
    async with replay_cassette(path) as replay, httpx.AsyncClient() as client:
        async with client.stream("POST", f"{replay.url}/chat/completions", json={}) as response:
            pieces = [piece async for piece in response.aiter_raw()]

    assert pieces == [b"d", b"ata: \xc3", b"\xa9\n", b"\n"]


async def _seconds(path: Path, *, timed: bool) -> float:
    """Give how long an answer takes by a clock that only waiting moves; nothing but the replay is asked."""
    from tinyagent_actors.testing._connection import HttpConnection
    from tinyagent_actors.testing._request import RecordedRequest

    class Nobody(HttpConnection):
        """A client that takes everything at once."""

        async def write(self, data: bytes) -> None:
            await trio.lowlevel.checkpoint()

    near, _ = trio.testing.memory_stream_pair()
    client = Nobody(number=1, stream=near, idle=1.0, max_body=1)
    request = RecordedRequest(number=1, connection=1, method="POST", target=PATH, headers=(), body=b"{}")
    async with replay_cassette(path, timed=timed) as replay:
        began = trio.current_time()
        await replay.answer(client, request)
        return trio.current_time() - began


@pytest.mark.parametrize(("timed", "seconds"), [(True, 100.0), (False, 0.0)])
def test_times(tmp_path: Path, seconds: float, *, timed: bool) -> None:
    """K04: headers, pieces and the end wait as long as they did, or not at all."""
    chunks = (Chunk(b"a", 20.0), Chunk(b"b", 30.0))
    path = write(tmp_path, answered("", after=10.0, chunks=chunks, end_after=40.0))

    async def measure() -> float:
        return await _seconds(path, timed=timed)

    assert trio.run(measure, clock=MockClock(autojump_threshold=0.05)) == pytest.approx(seconds)


async def test_a_wrong_file_opens_nothing(tmp_path: Path) -> None:
    """It is told before the block begins."""
    path = tmp_path / "c.jsonl"
    path.write_text('{"cassette": 1}\n{"oops": 1}\n')

    with pytest.raises(CassetteError) as caught:
        async with replay_cassette(path):
            pass
    assert caught.value.line == 2


async def test_a_connection_serves_again(tmp_path: Path) -> None:
    """After a proper end it is kept."""
    path = write(tmp_path, answered("a"), answered("b"))
    async with replay_cassette(path) as replay, httpx.AsyncClient() as client:
        ports = set()
        for _ in range(2):
            response = await client.post(f"{replay.url}/chat/completions", json={})
            ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))

    assert len(ports) == 1


async def test_many_ask_at_once(engine: str, tmp_path: Path) -> None:
    """Each gets an answer of its own."""
    path = write(tmp_path, *[answered(f"answer {number}") for number in range(30)])
    texts: list[str] = []

    async def one(url: str) -> None:
        texts.append((await ask(url, engine)).text)

    with trio.fail_after(60):
        async with replay_cassette(path) as replay, trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(one, replay.url)

    assert sorted(texts) == sorted(f"answer {number}" for number in range(30))


async def test_the_fixture(cassette: Replay) -> None:
    """It plays `cassettes/NAME_OF_THE_TEST.jsonl` beside the file of the test."""
    assert "from the file" in (await post(cassette.url, {"model": "m"})).text


@pytest.mark.parametrize("cassette", ["named.jsonl"], indirect=True)
async def test_the_fixture_with_a_name(cassette: Replay) -> None:
    """It plays that file."""
    assert "by name" in (await post(cassette.url, {})).text
