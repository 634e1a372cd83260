"""Where requests of `anthropic-messages` go, what they say of the sender, and what its errors mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from tests.providers.conftest import Ask
from tinyagent_actors._errors import ProviderError
from tinyagent_actors.messages import Context, Model, ToolDefinition, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._anthropic_headers import add_headers
from tinyagent_actors.providers._endpoint import Endpoint, find_key, resolve_endpoint
from tinyagent_actors.testing import Reply, open_endpoint

API = "anthropic-messages"
SECRET = "sk-very-secret-0123456789"
LOOK = ToolDefinition("look", "Look.")


@pytest.fixture
def ask(engine: str) -> Ask:
    """Ask in the dialect, on the engine that the test runs on."""
    return Ask(engine, API)


def resolve(model: Model, key: str | None = SECRET, environ: Mapping[str, str] | None = None) -> Endpoint:
    """Give the endpoint of a request."""
    return resolve_endpoint(model, StreamOptions(), key, environ or {})


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://gate.example/v1/messages", "https://gate.example/v1/messages"),
        ("https://gate.example/v1/messages/", "https://gate.example/v1/messages"),
        ("https://gate.example/anthropic?tenant=7", "https://gate.example/anthropic/v1/messages?tenant=7"),
    ],
)
def test_the_path_of_the_base_url_is_completed(base_url: str, url: str) -> None:
    """Users write the base URL without the version; one with it, or whole, is understood too, and its query kept."""
    assert resolve(Model("m", provider="anthropic", base_url=base_url)).url == url


@pytest.mark.parametrize(
    ("provider", "url", "header"),
    [
        ("anthropic", "https://api.anthropic.com/v1/messages", "x-api-key"),
        ("kimi", "https://api.kimi.com/coding/v1/messages", "authorization"),
        ("minimax", "https://api.minimax.io/anthropic/v1/messages", "authorization"),
        ("minimax-cn", "https://api.minimaxi.com/anthropic/v1/messages", "authorization"),
        ("zai", "https://api.z.ai/api/anthropic/v1/messages", "authorization"),
        ("deepseek", "https://api.deepseek.com/anthropic/v1/messages", "authorization"),
        ("openrouter", "https://openrouter.ai/api/v1/messages", "authorization"),
    ],
)
def test_where_each_provider_speaks_the_dialect(provider: str, url: str, header: str) -> None:
    """Each has its own address for this dialect, and its own header for the key."""
    endpoint = resolve(Model("m", provider=provider, api=API))
    headers = dict(endpoint.headers)

    assert endpoint.url == url
    assert headers[header] == {"x-api-key": SECRET, "authorization": f"Bearer {SECRET}"}[header]
    assert ("x-api-key" in headers) != ("authorization" in headers)


async def test_a_key_and_a_token_of_the_environment_go_in_different_headers() -> None:
    """ANTHROPIC_API_KEY goes as `x-api-key`; ANTHROPIC_AUTH_TOKEN, which is asked second, as Bearer; so does an OAuth token."""
    model = Model("m", provider="anthropic")
    both = {"ANTHROPIC_API_KEY": "the-key", "ANTHROPIC_AUTH_TOKEN": "the-token"}
    token = {"ANTHROPIC_AUTH_TOKEN": "the-token"}

    assert await find_key(model, StreamOptions(), both) == "the-key"
    assert await find_key(model, StreamOptions(), token) == "the-token"
    assert ("x-api-key", "the-key") in resolve(model, "the-key", both).headers
    assert ("authorization", "Bearer the-token") in resolve(model, "the-token", token).headers
    assert ("authorization", "Bearer sk-ant-oat01-x") in resolve(model, "sk-ant-oat01-x").headers


def test_without_a_key_nothing_is_sent_to_the_world() -> None:
    """No key: an error that names both variables; a server on this machine is asked without."""
    with pytest.raises(ProviderError, match="ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"):
        resolve(Model("m", provider="anthropic"), None)

    headers = dict(resolve(Model("m", provider="anthropic", base_url="http://127.0.0.1:9"), None).headers)
    assert not {"x-api-key", "authorization"} & set(headers)


def headers_of(model: str, **options: Any) -> dict[str, str]:
    """Give the dialect's headers for a request with a tool."""
    given = tuple((options.get("headers") or {}).items())
    asked = Model(model, provider="anthropic", max_tokens=9000)
    context = Context(messages=[UserMessage("x")], tools=[LOOK])
    return dict(add_headers(asked, context, StreamOptions(**options), Endpoint("https://x.example", given)).headers)


def test_the_version_is_always_said_and_the_users_wins() -> None:
    """`anthropic-version` is one that every vendor knows, unless the user asks for another."""
    assert headers_of("claude-opus-4-7") == {"anthropic-version": "2023-06-01"}
    assert headers_of("m", headers={"anthropic-version": "2026-10-21"}) == {"anthropic-version": "2026-10-21"}


@pytest.mark.parametrize(
    ("model", "thinking", "beta"),
    [
        ("claude-sonnet-4-5", "low", "interleaved-thinking-2025-05-14"),
        ("claude-opus-4-20250514", "low", "interleaved-thinking-2025-05-14"),
        ("claude-sonnet-4-5", None, None),
        ("claude-sonnet-4-6", "low", None),
        ("claude-3-7-sonnet-20250219", "low", None),
        ("kimi-k2", "low", None),
    ],
)
def test_a_beta_is_asked_for_only_where_it_is_needed(model: str, thinking: Any, beta: str | None) -> None:
    """Thinking between calls is a beta of the models from 4 to 4.5; the user's own betas stay."""
    assert headers_of(model, thinking=thinking).get("anthropic-beta") == beta
    own = headers_of(model, thinking=thinking, headers={"anthropic-beta": "mine"})["anthropic-beta"]
    assert own == ("mine" if beta is None else f"mine,{beta}")


async def test_what_goes_over_the_wire(engine: str) -> None:
    """The request is a POST to `/v1/messages` with key, version and body; the key stands nowhere else."""
    async with open_endpoint([Reply(text="hi")], api_key=SECRET) as endpoint:
        model = Model("claude-opus-4-7", provider="anthropic", base_url=endpoint.origin)
        with trio.fail_after(30):
            options = StreamOptions(engine=engine, api_key=SECRET)  # type: ignore[arg-type]  # one of them
            async with open_stream(model, Context("Be brief.", [UserMessage("hi")]), options) as stream:
                message = await stream.result()

    (request,) = endpoint.requests
    assert (message.text, message.error) == ("hi", None)
    assert (request.method, request.target) == ("POST", "/v1/messages")
    assert (request.header("x-api-key"), request.header("authorization")) == (SECRET, None)
    assert request.header("anthropic-version") == "2023-06-01"
    assert request.json["system"] == "Be brief."
    assert SECRET not in repr(request)


def error(kind: str, message: str = "no", **more: Any) -> bytes:
    """Give the body of an error."""
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_7"}
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, error("invalid_request_error"), "provider_error", False),
        (400, error("invalid_request_error", "prompt is too long: 9 tokens > 8"), "context_overflow", False),
        (400, error("invalid_request_error", "Your credit balance is too low; see Plans & Billing"), "rate_limited", False),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), "content_filter", False),
        (401, error("authentication_error"), "auth", False),
        (402, error("billing_error"), "rate_limited", False),
        (403, error("permission_error"), "auth", False),
        (404, error("not_found_error"), "provider_error", False),
        (409, error("conflict_error"), "provider_error", True),
        (413, error("request_too_large"), "provider_error", False),
        (429, error("rate_limit_error"), "rate_limited", True),
        (429, error("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "rate_limited", False),
        (429, error("rate_limit_error", details={"error_code": "contract_spend_limit_reached"}), "rate_limited", False),
        (500, error("api_error"), "provider_error", True),
        (504, error("timeout_error"), "provider_error", True),
        (529, error("overloaded_error"), "overloaded", True),
    ],
)  # fmt: skip
async def test_what_an_error_means(ask: Ask, status: int, body: bytes, kind: str, *, retryable: bool) -> None:
    """P71: by the body first, then by the status; a spend limit does not pass by waiting."""
    answer = await ask(Reply(status=status, body=body))

    assert answer.message.error is not None
    found = answer.message.error
    assert (found.kind, found.status, found.retryable) == (kind, status, retryable)


@pytest.mark.parametrize(("said", "retryable"), [("true", True), ("false", False)])
async def test_the_server_may_say_whether_to_try_again(ask: Ask, said: str, *, retryable: bool) -> None:
    """P71: `x-should-retry` goes before what the status says; `retry-after` is told; the request's id stands in the message."""
    status = 400 if retryable else 529
    headers = {"x-should-retry": said, "request-id": "req_42"}

    answer = await ask(Reply(status=status, body=error("api_error", "no luck"), headers=headers, retry_after=7))

    found = answer.message.error
    assert found is not None
    assert (found.retryable, found.retry_after, found.message) == (retryable, 7.0, "no luck (request req_42)")
