"""Retries: made by the governor alone, before the first content, for errors that are worth it (P71, P73), on every engine."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
import trio

from tests._kernel import told
from tests.providers.conftest import Ask
from tinyagent_actors import ModelCallGrantedEvent, ModelCallQueuedEvent, ModelCallRetriedEvent, ProviderPausedEvent
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.providers import Timeouts, governor_statistics
from tinyagent_actors.testing import ChatRequest, Cut, Delivery, Endpoint, Reply, Stall, open_endpoint

SOON = {"retry-after-ms": "20"}
BUSY = Reply.rate_limited(None, headers=SOON)
BROKEN = Reply(status=500, body=b"{}", headers=SOON)
OK = Reply(text="ok")


async def ask_of(endpoint: Endpoint, engine: str, **options: Any) -> Any:
    """Ask an endpoint, and read all of the answer."""
    return await Ask(engine).url(endpoint.url, **options)


@pytest.mark.parametrize("failure", [BUSY, BROKEN, Reply(status=529, body=b"{}", headers=SOON)])
async def test_what_is_retryable_is_tried_again(engine: str, failure: Reply) -> None:
    """P71, P73: as often as the options say, and the reader sees one answer that starts once."""
    async with open_endpoint([failure, failure, OK]) as endpoint:
        answer = await ask_of(endpoint, engine, retries=2)

        assert (answer.text, answer.kind) == ("ok", None)
        assert answer.types.count("stream_start") == 1
        assert answer.types[0] == "stream_start"
        assert endpoint.statistics().requests == 3


async def test_the_error_of_the_last_attempt_is_the_answer(engine: str) -> None:
    """P73: after so many further attempts no more; none is made where none was asked for."""
    async with open_endpoint(lambda _: BROKEN) as endpoint:
        some = await ask_of(endpoint, engine, retries=2)
        after_some = endpoint.statistics().requests
        none = await ask_of(endpoint, engine)

        assert (some.kind, none.kind) == ("provider_error", "provider_error")
        assert some.types == ["stream_end"]
        assert (after_some, endpoint.statistics().requests) == (3, 4)


@pytest.mark.parametrize(
    "failure",
    [
        Reply(status=401, body=b"{}"),
        Reply(status=400, body=b"{}"),
        Reply(status=429, body=b'{"error": {"code": "insufficient_quota", "message": "quota"}}'),
        Reply(status=500, body=b"{}", headers={"x-should-retry": "false"}),
    ],
    ids=["auth", "bad request", "quota", "told not to"],
)
async def test_what_is_not_retryable_is_not_tried_again(engine: str, failure: Reply) -> None:
    """P71: 401 and the like, a spent quota, and whatever the provider says must not be."""
    async with open_endpoint(lambda _: failure) as endpoint:
        answer = await ask_of(endpoint, engine, retries=4)

        assert answer.kind is not None
        assert endpoint.statistics().requests == 1


async def test_the_provider_may_ask_for_a_retry(engine: str) -> None:
    """P71: `x-should-retry: true` makes any error one to be tried again."""
    odd = Reply(status=400, body=b"{}", headers={"x-should-retry": "true", **SOON})
    async with open_endpoint([odd, OK]) as endpoint:
        assert (await ask_of(endpoint, engine, retries=1)).text == "ok"


async def test_nothing_is_tried_again_after_the_first_content(engine: str) -> None:
    """P73: what the reader has seen is not unsaid: the cut is the answer."""
    cut = Reply(text="it breaks off here", fault=Cut(after_chunks=2), delivery=Delivery(coalesce=False))
    async with open_endpoint([cut, OK]) as endpoint:
        answer = await ask_of(endpoint, engine, retries=4)

        assert answer.kind == "truncated"
        assert answer.text
        assert endpoint.statistics().requests == 1


@pytest.mark.parametrize("content", [{"text": "hello"}, {"thinking": "hm"}])
async def test_content_and_error_in_one_write_are_the_answer(engine: str, content: dict[str, str]) -> None:
    """P73: what came with the error counts as seen, whether or not it was read yet."""
    delta = {"content": content["text"]} if "text" in content else {"reasoning_content": content["thinking"]}
    reply = Reply.events({"choices": [{"delta": delta}]}, {"error": {"code": 429, "message": "slow down"}})
    async with open_endpoint([reply, OK]) as endpoint:
        answer = await ask_of(endpoint, engine, retries=4)

        assert answer.kind == "rate_limited"
        assert endpoint.statistics().requests == 1


async def test_an_error_inside_the_stream_before_any_content_is_tried_again(engine: str) -> None:
    """P30, P73: a refusal with status 200 is a refusal; comments and empty deltas are no content."""
    reply = Reply.events(
        b": processing\n\n",
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"error": {"code": 502, "message": "upstream"}},
    )
    async with open_endpoint([reply, OK]) as endpoint:
        assert (await ask_of(endpoint, engine, retries=1)).text == "ok"
        assert endpoint.statistics().requests == 2


async def test_each_attempt_has_its_own_clocks(engine: str) -> None:
    """P72, P73: a server that says nothing is left for the next attempt; the time of the whole is the sum."""
    silent = Reply(text="never", fault=Stall(after_chunks=0))
    async with open_endpoint([silent, OK]) as endpoint:
        answer = await ask_of(endpoint, engine, retries=1, timeouts=Timeouts(first_byte=0.3, turn=30))

        assert answer.text == "ok"
        assert endpoint.statistics().requests == 2


async def test_the_silence_after_a_finish_reason_is_of_its_own_attempt(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P85, P73: a finish reason that is an error is tried again, and does not make the next attempt look finished."""
    monkeypatch.setattr("tinyagent_actors.providers._clock.SILENCE_AFTER_FINISH", 0.2)
    failed = Reply.events({"choices": [{"delta": {}, "finish_reason": "network_error"}]}, "[DONE]", headers=SOON)
    slow = Reply(text="ok", delivery=Delivery(delay_between=0.5, coalesce=False))
    async with open_endpoint([failed, slow]) as endpoint:
        assert (await ask_of(endpoint, engine, retries=1)).text == "ok"


async def test_the_deadline_of_the_whole_stream_holds_over_attempts(engine: str) -> None:
    """P72: `turn` ends it in the middle of a back-off, as a timeout; no further request is made."""
    broken = Reply(status=500, body=b"{}", retry_after=30)
    async with open_endpoint([broken, OK]) as endpoint:
        with trio.fail_after(10):
            answer = await ask_of(endpoint, engine, retries=1, timeouts=Timeouts(turn=0.2))

        assert answer.kind == "timeout"
        assert endpoint.statistics().requests == 1


@pytest.mark.parametrize("seconds", ["3600", "99999999999", formatdate(4_102_444_800, usegmt=True)])
async def test_a_wait_that_is_too_long_is_given_back(engine: str, seconds: str) -> None:
    """P71: hours, an absurd number, a date in 2100: not slept, but told; and who asks next is told too, without a request."""
    async with open_endpoint([Reply.rate_limited(seconds), OK]) as endpoint:
        with trio.fail_after(10):
            first = await ask_of(endpoint, engine, retries=4)
            second = await ask_of(endpoint, engine, retries=4)

        for answer in (first, second):
            assert (answer.kind, answer.types) == ("rate_limited", ["stream_end"])
            assert answer.message.error.retry_after > 3500
        assert endpoint.statistics().requests == 1


async def test_a_time_that_is_past_is_not_asked_in_a_loop(engine: str) -> None:
    """P71: `Retry-After: 0` and a date in the past leave the wait to the back-off."""
    past = Reply.rate_limited("Wed, 21 Oct 2015 07:28:00 GMT")
    async with open_endpoint([past, OK]) as endpoint, current_runtime().bus.subscribe() as events:
        assert (await ask_of(endpoint, engine, retries=1)).text == "ok"
        (pause,) = told(events, ProviderPausedEvent)

    assert pause.seconds > 0.3


async def test_those_who_wait_are_told_and_not_left_sleeping(engine: str) -> None:
    """P71: a call waits for its turn as another one is told to come back in an hour: both get the error, now."""

    async def policy(_: ChatRequest) -> Reply:
        await gate.wait()
        return Reply.rate_limited(3600)

    gate = trio.Event()
    kinds: list[str | None] = []

    async def call(endpoint: Endpoint) -> None:
        kinds.append((await ask_of(endpoint, engine, retries=4, max_in_flight=1)).kind)

    async with open_endpoint(policy) as endpoint:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(call, endpoint)
                while governor_statistics() == () or len(governor_statistics()[0].queue) < 4:
                    await trio.lowlevel.checkpoint()
                gate.set()

        assert kinds == ["rate_limited"] * 5
        assert endpoint.statistics().requests == 1


async def test_attempts_and_waits_are_events(engine: str) -> None:
    """P73: what went before the answer is told with the path of who asked, what failed, and how long it waits."""
    busy = Reply.rate_limited(None, headers={"retry-after-ms": "300"})
    async with open_endpoint([busy, OK]) as endpoint, current_runtime().bus.subscribe() as events:
        await ask_of(endpoint, engine, retries=1)
        noted = told(events)

    retried = [event for event in noted if isinstance(event, ModelCallRetriedEvent)]
    assert [(event.attempt, event.model, event.error.kind, event.path) for event in retried] == [
        (2, "openrouter:any", "rate_limited", "/")
    ]
    kinds = [type(event) for event in noted]
    assert kinds.index(ProviderPausedEvent) < kinds.index(ModelCallRetriedEvent)
    assert kinds.index(ModelCallRetriedEvent) < kinds.index(ModelCallQueuedEvent) < kinds.index(ModelCallGrantedEvent)
