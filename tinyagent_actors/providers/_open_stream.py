"""`open_stream`: the one way to a model's answer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.actors import Place, current_place, current_runtime
from tinyagent_actors.events import Event
from tinyagent_actors.messages import Context, Model, to_model
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._attempts import Attempt, Attempts, Publish, Target, max_wait
from tinyagent_actors.providers._cache_marks import lifetimes_of
from tinyagent_actors.providers._clock import StreamClock
from tinyagent_actors.providers._dialect import Dialect
from tinyagent_actors.providers._dialects import dialect_of
from tinyagent_actors.providers._endpoint import Endpoint, find_key, resolve_endpoint
from tinyagent_actors.providers._engines import Request, choose_engine, open_source
from tinyagent_actors.providers._governor import Governor
from tinyagent_actors.providers._governor_queue import Waiter
from tinyagent_actors.providers._governors import current_governors
from tinyagent_actors.providers._model_table import ModelTable, default_models, load_models
from tinyagent_actors.providers._options import Engine, StreamOptions
from tinyagent_actors.providers._route import Route, find_route
from tinyagent_actors.providers._second_attempt import RefusedMembers, SecondAttempt
from tinyagent_actors.providers._source import Source
from tinyagent_actors.providers._stream import ProviderStream


@asynccontextmanager
async def open_stream(
    model: Model | Sequence[Model], context: Context, options: StreamOptions | None = None
) -> AsyncIterator[ProviderStream]:
    """Ask a model, and give its answer while it comes.

    The request is sent when the stream is first read, as soon as the governor of its key and host gives leave to. What fails before
    the first content is tried again `options.retries` times, then with the next model of the chain. What the provider does wrong is not raised; it is the `error` of the
    message that `result` gives and that the last event carries. Leaving the block, in whatever way, leaves nothing
    behind: after a proper end the connection is kept for the next request, else it is closed at once.

    Args:
        model: Whom to ask, and where; several: each is asked where the one before it did not answer.
        context: What to ask.
        options: How; None is all defaults.

    Yields:
        The stream: an async iterator of stream events.

    Raises:
        SpecError: The model, the context or an option cannot be used as it is.
        EngineUnavailableError: `options.engine` names one that is not built.
        ValueShapeError: The data file that `TINYAGENT_MODELS` names cannot be used.

    Example:
        ::

            async with open_stream(Model.parse("openrouter:openai/gpt-5.4-mini"), Context(messages=[...])) as stream:
                async for event in stream:
                    if event.type == "text_delta":
                        print(event.text, end="")
                message = await stream.result()
    """
    # A generator, which Trio closes at the end of a run where somebody has forgotten to leave the block.
    stream = await start_stream(model, context, options)
    try:
        yield stream
    finally:
        await stream.aclose()


def open_told_stream(
    model: Model | Sequence[Model],
    context: Context,
    options: StreamOptions | None = None,
    publish: Publish | None = None,
) -> AbstractAsyncContextManager[ProviderStream]:
    """Open a stream as `open_stream`, for somebody who tells of its attempts and waits himself: with the run they belong to, say."""
    return _Opened(model, context, options, publish)


@attrs.define(eq=False)
class _Opened(AbstractAsyncContextManager[ProviderStream]):
    """The block of `open_told_stream`. A class, since every model call of an agent enters one."""

    _model: Model | Sequence[Model]
    _context: Context
    _options: StreamOptions | None
    _publish: Publish | None
    _stream: ProviderStream | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> ProviderStream:
        stream = self._stream = await start_stream(self._model, self._context, self._options, self._publish)
        return stream

    async def __aexit__(self, *_: object) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


async def start_stream(
    model: Model | Sequence[Model],
    context: Context,
    options: StreamOptions | None = None,
    publish: Publish | None = None,
) -> ProviderStream:
    """Make the stream of `open_stream` for somebody who will close it.

    Args:
        model: As for `open_stream`.
        context: As for `open_stream`.
        options: As for `open_stream`.
        publish: Tells of attempts and waits. None: as events about the actor whose task this is.
    """
    options = options or StreamOptions()
    table = options.models or default_models(os.environ)
    model = to_model(model)
    engine = choose_engine(options.engine)
    for fallback in model.fallbacks:  # what is wrong with one is said now, and not when it is needed
        dialect_of(fallback.api)
        resolve_endpoint(fallback, options, "a key", os.environ, table.base_url(fallback))

    async def resolve(asked: Model) -> _Asking:
        return await _resolve(engine, asked, context, options, table)

    try:
        first: _Asking | ProviderError = await resolve(model)
    except ProviderError as error:
        first = error
    return _stream_of(model, first, resolve, options, publish)


def ask_source(
    model: Model, endpoint: Endpoint, open_source: Callable[[], Source], options: StreamOptions
) -> ProviderStream:
    """Make the stream of a question that is asked by one engine in its own way, under the governor of its endpoint."""
    target = _SourceTarget(model, current_governors().governor_of(endpoint), open_source)

    async def resolve(_asked: Model) -> _SourceTarget:
        return target

    return _stream_of(model, target, resolve, options, None)


def _stream_of(
    model: Model,
    first: Target | ProviderError,
    resolve: Callable[[Model], Awaitable[Target]],
    options: StreamOptions,
    publish: Publish | None,
) -> ProviderStream:
    place = current_place.get()
    waiter = Waiter(getattr(place, "path", "/"), options.priority, max_wait(options))
    attempts = Attempts(model, first, resolve, options, publish or _publisher(place, waiter.path), waiter)
    return ProviderStream(attempts, StreamClock(options.timeouts))


@attrs.frozen(eq=False)
class _SourceTarget:
    """A model that is asked in one way only. See `Target`."""

    model: Model
    governor: Governor
    _open_source: Callable[[], Source]

    def send(self) -> Attempt:
        """See `Target.send`."""
        return Attempt(self._open_source(), Assembler(self.model), None)


def _publisher(place: Place | None, path: str) -> Publish:
    bus = current_runtime().bus

    def publish(kind: type[Event], **fields: Any) -> None:
        bus.publish(kind, path, cause=None if place is None else place.event, **fields)

    return publish


async def _resolve(
    engine: Engine, model: Model, context: Context, options: StreamOptions, table: ModelTable
) -> _Asking:
    dialect = dialect_of(model.api)
    key = await find_key(model, options, os.environ)
    where = resolve_endpoint(model, options, key, os.environ, table.base_url(model))
    endpoint = dialect.add_headers(model, context, options, where)
    route = find_route(endpoint.url, options.transport, os.environ)
    think_tags = options.think_tags if options.think_tags is not None else table.rules(model, endpoint.url).think_tags
    if think_tags != options.think_tags or table is not (options.models or load_models()):
        options = options.completed(table, think_tags=think_tags)
    governor = current_governors().governor_of(endpoint)
    return _Asking(engine, dialect, model, context, options, endpoint, route, table, governor).prepared()


@attrs.define(eq=False)
class _Asking:
    """What all requests to one model have in common. See `Target`."""

    engine: Engine
    dialect: Dialect
    model: Model
    context: Context
    options: StreamOptions
    endpoint: Endpoint
    route: Route
    table: ModelTable
    governor: Governor
    _refused: RefusedMembers = attrs.field(init=False)
    _content: dict[bool, bytes] = attrs.field(factory=dict, init=False, repr=False)
    """The body of the request, with and without `stream_options`: the same bytes at each attempt."""

    def __attrs_post_init__(self) -> None:
        self._refused = current_runtime().resource(RefusedMembers, lambda _: RefusedMembers())

    def prepared(self) -> _Asking:
        """Make the body now, so that what cannot be asked is said when the stream is opened."""
        self._body(with_stream_options=self._has_member)
        return self

    def send(self) -> Attempt:
        """See `Target.send`."""
        has_member = self._has_member
        second = SecondAttempt(self._ask_again) if has_member else None
        return Attempt(self._source(with_stream_options=has_member), self._assembler(), second)

    def _assembler(self) -> Assembler:
        price = self.table.facts(self.model, self.endpoint.url).price
        if price is not None and price.cache_write is not None:
            price = price.for_lifetimes(lifetimes_of(self.context, is_enabled=self.options.enable_prompt_caching))
        rules = self.table.rules(self.model, self.endpoint.url)
        return Assembler(self.model, price=price, rest_is_reasoning=rules.rest_is_reasoning)

    @property
    def _has_member(self) -> bool:
        return self.dialect.has_stream_options and self.endpoint.url not in self._refused

    def _ask_again(self) -> Source:
        self._refused.add(self.endpoint.url)
        return self._source(with_stream_options=False)

    def _source(self, *, with_stream_options: bool) -> Source:
        content = self._body(with_stream_options=with_stream_options)
        return open_source(self.engine, Request(self.dialect, self.endpoint, self.route, content, self.options))

    def _body(self, *, with_stream_options: bool) -> bytes:
        made = self._content.get(with_stream_options)
        if made is None:
            made = self._content[with_stream_options] = self.dialect.build_request(
                self.model, self.context, self.options, self.endpoint, with_stream_options=with_stream_options
            )
        return made
