"""Which engine serves a stream, and how each is started. Engines are imported only when they are used."""

from __future__ import annotations

import attrs

from tinyagent_actors import _alchemy
from tinyagent_actors._errors import EngineUnavailableError, SpecError
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.providers._capturing_source import CapturingSource
from tinyagent_actors.providers._dialect import Dialect
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._options import Engine, StreamOptions
from tinyagent_actors.providers._route import Route
from tinyagent_actors.providers._source import Source
from tinyagent_actors.providers._transport import Transport


def choose_engine(named: Engine | None) -> Engine:
    """Give the engine that was named, or the best that is built.

    Raises:
        EngineUnavailableError: The engine that was named is not built.
    """
    if named is None:
        return best_engine()
    if named == "native" and not _alchemy.AVAILABLE:
        raise EngineUnavailableError("native", _alchemy.UNAVAILABLE_REASON or "")
    if named == "alchemy" and not _alchemy.ALCHEMY_AVAILABLE:
        raise EngineUnavailableError("alchemy", str(_alchemy.ALCHEMY_UNAVAILABLE_REASON))
    return named


def best_engine() -> Engine:
    """Give the engine that serves where none is named: native where it is built, else httpx."""
    return "native" if _alchemy.AVAILABLE else "httpx"


@attrs.frozen
class Request:
    """What every engine needs to ask."""

    dialect: Dialect
    endpoint: Endpoint
    route: Route
    content: bytes = attrs.field(repr=False)
    options: StreamOptions

    @property
    def think_tags(self) -> bool:
        """Whether tags in the text are thinking."""
        asked = self.options.think_tags
        return self.dialect.think_tags if asked is None else asked


def open_source(engine: Engine, request: Request) -> Source:
    """Start a response on an engine. Nothing waits in here."""
    capture = request.options.capture
    if engine == "alchemy":
        return _open_crate(request)
    source = _open_native(request) if engine == "native" else _open_httpx(request)
    return source if capture is None else CapturingSource(source, capture, request.endpoint, request.content)


def _open_crate(request: Request) -> Source:
    from tinyagent_actors.providers._alchemy_engine import open_alchemy  # loads the shared library

    if request.options.capture is not None:
        raise SpecError("StreamOptions.capture", "'alchemy' shows nobody the bytes that it reads")
    if request.options.transport != Transport():
        raise SpecError("StreamOptions.transport", "'alchemy' takes proxies and certificates from the environment only")
    return open_alchemy(request.dialect.api, request.endpoint, request.content)


def _open_httpx(request: Request) -> Source:
    from tinyagent_actors.providers._httpx_engine import HttpxSource  # httpx is slow to import
    from tinyagent_actors.providers._httpx_pool import ShardedTransport

    options = request.options
    transport = current_runtime().resource(ShardedTransport, lambda _: ShardedTransport())
    decoder = request.dialect.make_decoder(think_tags=request.think_tags, event_limit=options.limits.event_bytes)
    is_captured = options.capture is not None
    return HttpxSource(
        transport, request.endpoint, request.route, request.content, decoder, options.timeouts, is_captured
    )


def _open_native(request: Request) -> Source:
    from tinyagent_actors.providers._native_engine import NativeSource  # loads the shared library
    from tinyagent_actors.providers._pump import Pump

    pump = current_runtime().resource(Pump, lambda runtime: Pump(_alchemy.Hub(), runtime))
    stream = pump.hub.open(
        request.endpoint.url,
        list(request.endpoint.headers),
        request.content,
        api=request.dialect.api,
        think_tags=request.think_tags,
        event_limit=request.options.limits.event_bytes,
        connect_timeout=request.options.timeouts.connect,
        proxy=request.route.proxy,
        roots=request.route.roots,
        capture=request.options.capture is not None,
    )
    return NativeSource(pump, stream, pump.attach(stream))
