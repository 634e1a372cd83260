"""HTTP around the stream: statuses, redirects, encodings, broken bodies (P70 to P74), on every engine."""

from __future__ import annotations

import json
import zlib
from email.utils import formatdate

import pytest

from tests.providers.conftest import CONTEXT, Ask
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import ChatRequest, Cut, Delivery, Reply, Reset, open_endpoint

SECRET = "sk-very-secret-0123456789"
COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


@pytest.mark.parametrize("indent", [None, 2])
async def test_a_json_completion_is_one_message(ask: Ask, indent: int | None) -> None:
    """P70: a server that does not stream answers with one JSON body."""
    answer = await ask(Reply(body=json.dumps(COMPLETION, indent=indent).encode()))

    assert (answer.text, answer.message.stop_reason, answer.kind) == ("whole", "stop", None)
    assert answer.message.usage is not None
    assert answer.message.usage.total_tokens == 5


async def test_a_json_error_at_200_goes_by_its_code(ask: Ask) -> None:
    """P70: `{"error": {...}}` with status 200."""
    answer = await ask(Reply(body=b'{"error": {"code": 429, "message": "slow"}}'))

    assert answer.kind == "rate_limited"


async def test_a_page_at_200_is_a_protocol_error(ask: Ask) -> None:
    """P70: HTML where a stream should be."""
    answer = await ask(Reply(body=b"\n <!doctype html><html>login</html>", headers={"content-type": "text/html"}))

    assert (answer.kind, answer.text) == ("protocol_error", "")


async def test_events_under_another_content_type_are_read(ask: Ask) -> None:
    """P70: the content type decides nothing."""
    assert (await ask(Reply(text="hi", headers={"content-type": "text/plain"}))).text == "hi"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "provider_error", False),
        (401, "auth", False),
        (403, "auth", False),
        (404, "provider_error", False),
        (408, "timeout", True),
        (409, "provider_error", True),
        (425, "provider_error", True),
        (429, "rate_limited", True),
        (500, "provider_error", True),
        (502, "provider_error", True),
        (503, "overloaded", True),
        (529, "overloaded", True),
    ],
)
async def test_statuses(ask: Ask, status: int, kind: str, *, retryable: bool) -> None:
    """P71: each status has its kind, and says whether trying again may help."""
    answer = await ask(Reply(status=status, body=b'{"error": {"message": "it broke"}}'))

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.status, error.retryable) == (kind, status, retryable)
    assert "it broke" in error.message
    assert answer.types == ["stream_end"]


async def test_a_page_with_an_error_status(ask: Ask) -> None:
    """P71: a 502 of a proxy, in HTML."""
    answer = await ask(
        Reply(status=502, body=b"<html><h1>Bad gateway</h1></html>", headers={"content-type": "text/html"})
    )

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == ("provider_error", True)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            {"error": {"code": "context_length_exceeded", "message": "maximum context length is 8 tokens"}},
            "context_overflow",
        ),
        (413, {"error": {"message": "prompt is too long"}}, "context_overflow"),
        (429, {"error": {"code": "insufficient_quota", "message": "quota"}}, "rate_limited"),
        (402, {"error": {"message": "insufficient balance"}}, "rate_limited"),
        (400, {"error": {"code": "content_filter", "message": "filtered"}}, "content_filter"),
    ],
)
async def test_the_body_decides_before_the_status(ask: Ask, status: int, body: object, kind: str) -> None:
    """P71: quota, content policy and overflow are told by the body, and none of them is tried again."""
    answer = await ask(Reply(status=status, body=json.dumps(body).encode()))

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == (kind, False)


@pytest.mark.parametrize(
    ("headers", "retry_after", "seconds"),
    [
        ({}, 3, 3),
        ({}, "1.2", 2),
        ({"retry-after-ms": "1500"}, None, 1.5),
        ({}, "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ({}, "soon", None),
        ({}, None, None),
        ({}, 86400, 86400),
    ],
)
async def test_when_to_come_back(
    ask: Ask, headers: dict[str, str], retry_after: float | str | None, seconds: float | None
) -> None:
    """P71: seconds (rounded up), milliseconds, a date in the past; nonsense says nothing; an absurd wait is told, not slept."""
    answer = await ask(Reply.rate_limited(retry_after, headers=headers))

    assert answer.message.error is not None
    assert (
        answer.message.error.retry_after == pytest.approx(seconds, abs=0.51)
        if seconds
        else not answer.message.error.retry_after
    )


async def test_when_to_come_back_as_a_date(ask: Ask) -> None:
    """P71: an HTTP date in the future."""
    answer = await ask(Reply.rate_limited(formatdate(timeval=None, usegmt=True)[:-12] + "23:59:59 GMT"))

    assert answer.message.error is not None
    assert answer.message.error.retry_after is not None
    assert 0 <= answer.message.error.retry_after <= 86_400


async def test_x_should_retry_decides(ask: Ask) -> None:
    """P71: the provider's own word overrides the tables, both ways."""
    never = await ask(Reply(status=500, body=b"{}", headers={"x-should-retry": "false"}))
    again = await ask(Reply(status=400, body=b"{}", headers={"x-should-retry": "true"}))

    assert never.message.error is not None
    assert again.message.error is not None
    assert (never.message.error.retryable, again.message.error.retryable) == (False, True)


async def test_exactly_one_request(engine: str) -> None:
    """P73: an engine never asks again by itself, whatever the error."""
    async with open_endpoint([Reply(status=500), Reply(text="never")]) as endpoint:
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]
            message = await stream.result()

        assert message.error is not None
        assert endpoint.statistics().requests == 1


async def test_a_compressed_stream_is_read_though_none_was_asked_for(ask: Ask) -> None:
    """P74: gzip; the events come as they were flushed."""
    assert (await ask(Reply(text="hello, compressed world", encoding="gzip"))).text == "hello, compressed world"


@pytest.mark.parametrize("wbits", [15, -15])
async def test_deflate_with_and_without_its_header(ask: Ask, wbits: int) -> None:
    """P74: `deflate` means both."""
    packer = zlib.compressobj(wbits=wbits)
    plain = b'data: {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    body = packer.compress(plain) + packer.flush()

    # `encoding` of the fake endpoint compresses; the header alone is said by a raw answer of its own.
    answer = await ask.raw(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )

    assert answer.text == "hi"


async def test_a_small_body_that_holds_a_huge_one(ask: Ask) -> None:
    """P74: it is inflated in bounded steps, and the limit of an event holds."""
    from tinyagent_actors.providers import StreamLimits

    huge = b'data: {"choices": [{"delta": {"content": "' + b"x" * (64 << 20) + b'"}}]}\n\n'

    answer = await ask(Reply(body=huge, encoding="gzip"), limits=StreamLimits(event_bytes=1 << 20))

    assert answer.kind == "event_too_large"


async def test_an_encoding_that_nobody_asked_for_is_a_protocol_error(ask: Ask) -> None:
    """P74: one that cannot be read is said, not guessed."""
    answer = await ask.raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 3\r\n\r\nabc")

    assert answer.kind == "protocol_error"


async def test_tiny_http_chunks(ask: Ask) -> None:
    """P74: one byte of the body in each chunk of HTTP."""
    answer = await ask(Reply(text="hello", framing="chunked", delivery=Delivery(split_every=1)))

    assert (answer.text, answer.kind) == ("hello", None)


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("fault", [Cut, Reset])
async def test_a_body_that_ends_early(ask: Ask, framing: str, fault: type[Cut | Reset]) -> None:
    """P74: a cut chunk, a short content-length, a reset: `truncated`, and what came stays."""
    reply = Reply(
        text="hello, world, and more than that",
        framing=framing,  # type: ignore[arg-type]  # one of them
        chunk_size=4,
        delivery=Delivery(delay_between=0.005),
        fault=fault(after_chunks=4),
    )

    answer = await ask(reply)

    assert (answer.kind, answer.message.stop_reason) == ("truncated", "error")
    assert "hello, world, and more than that".startswith(answer.text)


async def test_a_connection_that_is_refused(ask: Ask) -> None:
    """Nobody listens: `connection_error`, which may be tried again."""
    async with open_endpoint() as endpoint:
        url = endpoint.url

    answer = await ask.url(url)

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable, answer.types) == ("connection_error", True, ["stream_end"])


@pytest.mark.parametrize(
    "raw", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b"HTTP/1.1 200"]
)
async def test_an_answer_that_is_no_http(ask: Ask, raw: bytes) -> None:
    """Something else answers, or nothing: `connection_error`."""
    answer = await ask.raw(raw)

    assert answer.kind == "connection_error"


async def test_redirects_within_the_origin_are_followed(engine: str) -> None:
    """P74: 307 and 308 to the same origin, with the same method and body."""

    def policy(request: ChatRequest) -> Reply:
        if "/moved/" in request.request.path:
            return Reply(text="there")
        return Reply(status=307, body=b"", headers={"location": "/moved/v1/chat/completions"})

    async with open_endpoint(policy) as endpoint:
        model = Model("any", base_url=endpoint.url)
        async with open_stream(model, CONTEXT, StreamOptions(engine=engine, api_key=SECRET)) as stream:  # type: ignore[arg-type]
            message = await stream.result()

        assert message.text == "there"
        assert [request.path for request in endpoint.requests] == ["/v1/chat/completions", "/moved/v1/chat/completions"]
        assert endpoint.requests[0].body == endpoint.requests[1].body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_to_another_origin_is_followed(ask: Ask, status: int) -> None:
    """P74: `redirect`, and neither a request nor a credential reaches the other origin."""
    async with open_endpoint([Reply(text="never")]) as other:
        reply = Reply(status=status, body=b"", headers={"location": f"{other.url}/chat/completions"})

        answer = await ask(reply, api_key=SECRET)

        assert answer.kind == "redirect"
        assert other.statistics().accepted == 0


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_redirects_that_change_the_method_are_not_followed(ask: Ask, status: int) -> None:
    """P74: within the origin, too."""
    assert (await ask(Reply(status=status, body=b"", headers={"location": "/v1/chat/completions"}))).kind == "redirect"


async def test_redirects_in_a_circle_end(engine: str) -> None:
    """P74: at most five are followed."""

    def policy(_: ChatRequest) -> Reply:
        return Reply(status=308, body=b"", headers={"location": "/v1/chat/completions"})

    async with open_endpoint(policy) as endpoint:
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]
            message = await stream.result()

        assert message.error is not None
        assert message.error.kind == "redirect"
        assert endpoint.statistics().requests == 6


async def test_what_is_sent(engine: str) -> None:
    """The request asks for no compression, names its type, and carries the key once."""
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        options = StreamOptions(engine=engine, api_key=SECRET, headers={"x-title": "test"})  # type: ignore[arg-type]
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, options) as stream:
            await stream.result()

        sent = endpoint.requests[0]
        assert sent.method == "POST"
        assert sent.header("accept-encoding") == "identity"
        assert sent.header("content-type") == "application/json"
        assert sent.header("authorization") == f"Bearer {SECRET}"
        assert sent.header("x-title") == "test"
        assert sent.json["stream"] is True
        assert sent.json["stream_options"] == {"include_usage": True}


async def test_no_key_for_this_machine_sends_no_authorization(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local server is asked without the header."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]
            assert (await stream.result()).text == "hi"

        assert endpoint.requests[0].header("authorization") is None


async def test_no_secret_in_an_error(ask: Ask) -> None:
    """A server that repeats the key does not bring it into the message's error."""
    answer = await ask(Reply.error(401, f"bad key {SECRET}"), api_key=SECRET)

    assert SECRET not in str(answer.message.error)
    assert SECRET not in repr(answer.message)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_this_machine_is_never_asked_through_a_proxy(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy of the environment does not stand between a program and its own machine."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert (await ask(Reply(text="hi"))).text == "hi"


async def test_a_server_that_refuses_stream_options_is_asked_again_without(engine: str) -> None:
    """A 400 that names `stream_options` is answered by one more request without it, and remembered for the endpoint."""

    def policy(request: ChatRequest) -> Reply:
        if "stream_options" in request.raw:
            return Reply.error(400, "Unrecognized request argument supplied: stream_options")
        return Reply(text="hi")

    async with open_endpoint(policy) as endpoint:
        for _ in range(2):
            async with open_stream(
                Model("any", base_url=endpoint.url), CONTEXT, StreamOptions(engine=engine)
            ) as stream:  # type: ignore[arg-type]
                assert (await stream.result()).text == "hi"

        assert ["stream_options" in request.json for request in endpoint.requests] == [True, False, False]
