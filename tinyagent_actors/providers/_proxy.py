"""`stream_proxy`: asking a model through a server of one's own that holds the keys."""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.events import unstructure
from tinyagent_actors.messages import AssistantMessage, Context, Model, ThinkingLevel
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._open_stream import ask_source
from tinyagent_actors.providers._options import StreamLimits, StreamOptions, Timeouts, is_header_value
from tinyagent_actors.providers._proxy_decoder import ProxyDecoder
from tinyagent_actors.providers._request_json import to_json
from tinyagent_actors.providers._route import find_route
from tinyagent_actors.providers._seed_stream import SeedStream, Signal
from tinyagent_actors.providers._seed_values import ContextLike, ModelLike, to_context, to_model
from tinyagent_actors.providers._transport import Transport

PATH: Final = "/api/stream"


@attrs.frozen
class ProxyStreamOptions:
    """How a model is asked through a proxy."""

    auth_token: str = attrs.field(repr=False)
    """Sent as a bearer token, to the proxy and to nobody else."""
    proxy_url: str
    """Of the server; ``/api/stream`` is appended."""
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning: ThinkingLevel | None = None
    """How much the model is to think."""
    signal: Signal | None = None
    """Ends the stream as `aborted` once it is set."""
    timeouts: Timeouts = attrs.field(factory=Timeouts)

    def __attrs_post_init__(self) -> None:
        # Refused by the same rules, under the names that the caller knows.
        StreamOptions(temperature=self.temperature, max_tokens=self.max_tokens, thinking=self.reasoning)


async def stream_proxy(model: ModelLike, context: ContextLike, options: ProxyStreamOptions) -> SeedStream:
    """Ask a model through a proxy; the same stream as a stream function of a provider gives.

    The request is sent when the stream is first read. Cancelling it while it is awaited leaves nothing behind; leaving the
    stream closes its socket, by which the proxy sees that nobody listens. A stream that ends without ``done`` or ``error`` is an
    error of kind `truncated`.

    Args:
        model: Whom the proxy is to ask; also as a dict. It is told provider, id, api and thinking level, no URL and no key.
        context: What to ask; also as a dict.
        options: Where the proxy is, and how to ask.

    Returns:
        A stream to iterate, with `result()`. What the proxy or the provider does wrong is its last event.

    Raises:
        SpecError: The proxy's URL or the token cannot be used as it is.
        ValueShapeError: A dict has another shape.

    Example:
        ::

            async def through_proxy(model, context, options):
                return await stream_proxy(model, context, ProxyStreamOptions(token, "https://proxy.example"))


            agent = Agent(AgentOptions(stream_fn=through_proxy))
    """
    from tinyagent_actors.providers._httpx_engine import HttpxSource  # httpx is slow to import
    from tinyagent_actors.providers._httpx_pool import ShardedTransport

    asked, content = to_model(model), to_context(context)
    endpoint = _endpoint(options)
    transport = current_runtime().resource(ShardedTransport, lambda _: ShardedTransport())
    route = find_route(endpoint.url, Transport(), os.environ)
    body = _body(asked, content, options)

    def open_source() -> HttpxSource:
        decoder = ProxyDecoder(event_limit=StreamLimits().event_bytes)
        return HttpxSource(transport, endpoint, route, body, decoder, options.timeouts)

    stream = ask_source(asked, endpoint, open_source, StreamOptions(timeouts=options.timeouts))
    base = AssistantMessage(api=asked.api, provider=asked.provider, model=asked.id)
    return SeedStream(stream, base, options.signal)


async def create_proxy_stream(
    model: ModelLike,
    context: ContextLike,
    auth_token: str,
    proxy_url: str,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    reasoning: ThinkingLevel | None = None,
    signal: Signal | None = None,
) -> SeedStream:
    """Ask a model through a proxy, its options given one by one; see `stream_proxy`."""
    options = ProxyStreamOptions(auth_token, proxy_url, temperature, max_tokens, reasoning, signal)
    return await stream_proxy(model, context, options)


def _endpoint(options: ProxyStreamOptions) -> Endpoint:
    token = options.auth_token.strip()
    if not token or not is_header_value(token):
        raise SpecError("ProxyStreamOptions.auth_token", "must be given, in characters that a header can carry")
    headers = {
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "user-agent": "tinyagent-actors",
    }
    return Endpoint(_url(options.proxy_url.strip()), tuple(headers.items()))


def _url(proxy_url: str) -> str:
    """Give where to post. No part of the URL stands in an error: it may hold a password."""
    try:
        parts = urlsplit(proxy_url)
        port = parts.port
    except ValueError:
        raise SpecError("ProxyStreamOptions.proxy_url", "is not a URL") from None
    is_plain = proxy_url.isascii() and not any(character <= " " for character in proxy_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not is_plain:
        raise SpecError("ProxyStreamOptions.proxy_url", "must be an http or https URL with a host")
    if parts.username is not None:
        raise SpecError("ProxyStreamOptions.proxy_url", "must not hold a user name or password; use the token")
    return parts._replace(path=parts.path.rstrip("/") + PATH, fragment="").geturl()


def _body(model: Model, context: Context, options: ProxyStreamOptions) -> bytes:
    told = {"temperature": options.temperature, "maxTokens": options.max_tokens, "reasoning": options.reasoning}
    return to_json({
        "model": {name: getattr(model, name) for name in ("provider", "id", "api", "thinking_level")},
        "context": _context_shape(context),
        "options": {name: value for name, value in told.items() if value is not None},
    })  # fmt: skip


def _context_shape(context: Context) -> dict[str, Any]:
    return {
        "system_prompt": context.system_prompt,
        "messages": [unstructure(message) for message in context.messages],
        "tools": [unstructure(tool) for tool in context.tools],
    }
