"""Redirects: followed within the origin alone, so that no credential ever reaches another. On every engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.providers._relays import Authority, open_tls_front
from tests.providers.conftest import Ask
from tinyagent_actors.providers import Transport
from tinyagent_actors.testing import ChatRequest, Endpoint, Reply, open_endpoint

SECRET = "sk-very-secret-0123456789"


def moved(location: str, status: int = 307) -> Reply:
    """Give a redirect."""
    return Reply(status=status, body=b"", headers={"location": location})


def sent_secrets(endpoint: Endpoint) -> list[bool]:
    """Whether each request carried the key."""
    return [request.header("authorization") == f"Bearer {SECRET}" for request in endpoint.requests]


@pytest.mark.parametrize("status", [307, 308])
async def test_another_port_is_another_origin(ask: Ask, status: int) -> None:
    """P74: nothing is sent there, not even a request without credentials."""
    async with open_endpoint([Reply(text="never")]) as other, open_endpoint() as first:
        first.enqueue(moved(f"{other.url}/chat/completions", status))
        answer = await ask.url(first.url, api_key=SECRET, headers={"x-api-key": SECRET})

        assert (answer.kind, other.statistics().accepted) == ("redirect", 0)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "user:word@127.0.0.1"])
async def test_another_host_is_another_origin(ask: Ask, host: str) -> None:
    """P74: also a name of the same machine; user information does not make another origin, and is not sent."""
    async with open_endpoint() as endpoint:
        endpoint.enqueue(moved(f"http://{host}:{endpoint.port}/moved/chat/completions"), Reply(text="there"))
        answer = await ask.url(endpoint.url, api_key=SECRET)

        if "@" in host:
            assert (answer.text, sent_secrets(endpoint)) == ("there", [True, True])
        else:
            assert (answer.kind, sent_secrets(endpoint)) == ("redirect", [True])


@pytest.mark.parametrize("to_tls", [False, True])
async def test_another_scheme_is_another_origin(ask: Ask, tmp_path: Path, *, to_tls: bool) -> None:
    """P74: neither down to plain text nor up to TLS."""
    authority = Authority.make(tmp_path)
    async with open_endpoint() as endpoint, open_tls_front(endpoint.port, authority.server()) as front:
        plain, secure = f"http://localhost:{endpoint.port}", f"https://localhost:{front.port}"
        asked, target = (plain, secure) if to_tls else (secure, plain)
        endpoint.enqueue(moved(f"{target}/v1/chat/completions"), Reply(text="never"))
        answer = await ask.url(f"{asked}/v1", api_key=SECRET, transport=Transport(ca=authority.pem))

        assert (answer.kind, endpoint.statistics().requests) == ("redirect", 1)


async def test_within_tls(ask: Ask, tmp_path: Path) -> None:
    """P74: the same origin over TLS is followed."""
    authority = Authority.make(tmp_path)
    async with open_endpoint([moved("/v2/chat/completions"), Reply(text="there")]) as endpoint:
        async with open_tls_front(endpoint.port, authority.server()) as front:
            url = f"https://localhost:{front.port}/v1"
            answer = await ask.url(url, api_key=SECRET, transport=Transport(ca=authority.pem))

            assert (answer.text, sent_secrets(endpoint)) == ("there", [True, True])


@pytest.mark.parametrize(
    "location",
    [
        "//other.test/v1/chat/completions",
        "https://",
        "http://[::",
        "\\\\other.test\\x",
        "\\moved",
        "ftp://127.0.0.1/",
        "data:,x",
    ],
)
async def test_where_it_leads_is_not_guessed(ask: Ask, location: str) -> None:
    """P74: a relative reference with a host, one that is broken, another scheme: not followed."""
    async with open_endpoint([moved(location)]) as endpoint:
        answer = await ask.url(endpoint.url, api_key=SECRET)

        assert (answer.kind, endpoint.statistics().requests) == ("redirect", 1)
        assert answer.message.error is not None
        assert SECRET not in str(answer.message.error)


async def test_a_redirect_of_a_redirect_may_not_leave_either(ask: Ask) -> None:
    """P74: each step is looked at."""

    def policy(request: ChatRequest) -> Reply:
        is_second = request.request.path.startswith("/moved")
        return moved(f"{other.url}/chat/completions" if is_second else "/moved/chat/completions")

    async with open_endpoint([Reply(text="never")]) as other, open_endpoint(policy) as endpoint:
        answer = await ask.url(endpoint.url, api_key=SECRET)

        assert (answer.kind, endpoint.statistics().requests, other.statistics().accepted) == ("redirect", 2, 0)


async def test_the_whole_request_goes_again(ask: Ask) -> None:
    """P74: method, body and headers of the second request are those of the first."""
    async with open_endpoint([moved("/v2/chat/completions", 308), Reply(text="there")]) as endpoint:
        await ask.url(endpoint.url, api_key=SECRET, headers={"x-title": "test"})
        first, second = endpoint.requests

        assert json.loads(second.body) == json.loads(first.body)
        assert (second.method, second.path, second.header("x-title")) == ("POST", "/v2/chat/completions", "test")
