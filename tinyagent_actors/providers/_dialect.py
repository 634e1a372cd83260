"""Dialect: how one API is asked and how its answer is read. Pure: no I/O, no clock."""

from __future__ import annotations

from typing import Protocol

import attrs

from tinyagent_actors.messages import Context, Model
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._items import Item
from tinyagent_actors.providers._options import StreamOptions


class Decoder(Protocol):
    """Bytes of one body in, items out. See `docs/explanation/engine-boundary.md`."""

    done: bool
    """`ERROR` or `END` was given; nothing follows."""

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes of the body; give the items that they make."""

    def end(self, cut: str | None) -> list[Item]:
        """Say that the body ended, by itself or because of `cut`; give the last items."""


class MakesDecoder(Protocol):
    """Makes the decoder of one body."""

    def __call__(self, *, think_tags: bool, event_limit: int) -> Decoder: ...


class BuildsRequest(Protocol):
    """Makes the JSON body of a request; see `build_request` of the dialects."""

    def __call__(
        self, model: Model, context: Context, options: StreamOptions, endpoint: Endpoint, *, with_stream_options: bool
    ) -> bytes: ...


class AddsHeaders(Protocol):
    """Gives an endpoint with the headers that a dialect wants besides."""

    def __call__(self, model: Model, context: Context, options: StreamOptions, endpoint: Endpoint) -> Endpoint: ...


def _no_headers(model: Model, context: Context, options: StreamOptions, endpoint: Endpoint) -> Endpoint:  # noqa: ARG001  # see `AddsHeaders`
    return endpoint


@attrs.frozen
class Dialect:
    """One API."""

    api: str
    build_request: BuildsRequest
    make_decoder: MakesDecoder
    has_stream_options: bool = True
    """Whether a request holds `stream_options`, which some servers refuse."""
    think_tags: bool = False
    """Whether `<think>` in the text is thinking where `StreamOptions.think_tags` does not say."""
    add_headers: AddsHeaders = _no_headers
