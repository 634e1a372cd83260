"""`open_stream`: the one way to a model's answer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.messages import Context, Model
from tinyagent_actors.providers._assembler import Assembler
from tinyagent_actors.providers._clock import StreamClock
from tinyagent_actors.providers._dialect import Dialect
from tinyagent_actors.providers._dialects import dialect_of
from tinyagent_actors.providers._endpoint import Endpoint, find_key, resolve_endpoint
from tinyagent_actors.providers._engines import Request, choose_engine, open_source
from tinyagent_actors.providers._model_table import ModelTable, default_models
from tinyagent_actors.providers._options import Engine, StreamOptions
from tinyagent_actors.providers._route import Route, find_route
from tinyagent_actors.providers._second_attempt import RefusedMembers, SecondAttempt
from tinyagent_actors.providers._source import FailedSource, Source
from tinyagent_actors.providers._stream import ProviderStream


@asynccontextmanager
async def open_stream(
    model: Model, context: Context, options: StreamOptions | None = None
) -> AsyncIterator[ProviderStream]:
    """Ask a model, and give its answer while it comes.

    The request is sent when the stream is first read. What the provider does wrong is not raised; it is the `error` of the
    message that `result` gives and that the last event carries. Leaving the block, in whatever way, leaves nothing
    behind: after a proper end the connection is kept for the next request, else it is closed at once.

    Args:
        model: Whom to ask, and where.
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
    stream = await start_stream(model, context, options)
    try:
        yield stream
    finally:
        await stream.aclose()


async def start_stream(model: Model, context: Context, options: StreamOptions | None = None) -> ProviderStream:
    """Make the stream of `open_stream` for somebody who will close it."""
    options = options or StreamOptions()
    table = options.models or default_models(os.environ)
    dialect = dialect_of(model.api)
    engine = choose_engine(options.engine)
    try:
        key = await find_key(model, options, os.environ)
        where = resolve_endpoint(model, options, key, os.environ, table.base_url(model))
        endpoint = dialect.add_headers(model, context, options, where)
        route = find_route(endpoint.url, options.transport, os.environ)
    except ProviderError as error:
        return ProviderStream(FailedSource(error), Assembler(model), StreamClock(options.timeouts))
    think_tags = options.think_tags if options.think_tags is not None else table.rules(model, endpoint.url).think_tags
    options = attrs.evolve(options, models=table, think_tags=think_tags)
    return _Asking(engine, dialect, model, context, options, endpoint, route, table).stream()


@attrs.frozen
class _Asking:
    """What a first and a second request have in common."""

    engine: Engine
    dialect: Dialect
    model: Model
    context: Context
    options: StreamOptions
    endpoint: Endpoint
    route: Route
    table: ModelTable

    def stream(self) -> ProviderStream:
        refused = current_runtime().resource(RefusedMembers, lambda _: RefusedMembers())
        has_member = self.dialect.has_stream_options and self.endpoint.url not in refused
        second = SecondAttempt(lambda: self._ask_again(refused)) if has_member else None
        source = self._source(with_stream_options=has_member)
        return ProviderStream(source, self._assembler(), StreamClock(self.options.timeouts), second)

    def _assembler(self) -> Assembler:
        price = self.table.facts(self.model, self.endpoint.url).price
        rules = self.table.rules(self.model, self.endpoint.url)
        return Assembler(self.model, price=price, rest_is_reasoning=rules.rest_is_reasoning)

    def _ask_again(self, refused: RefusedMembers) -> Source:
        refused.add(self.endpoint.url)
        return self._source(with_stream_options=False)

    def _source(self, *, with_stream_options: bool) -> Source:
        content = self.dialect.build_request(
            self.model, self.context, self.options, self.endpoint, with_stream_options=with_stream_options
        )
        return open_source(self.engine, Request(self.dialect, self.endpoint, self.route, content, self.options))
