"""Asking a provider through `open_stream`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import attrs

from tinyagent_actors.agents._model_call import ModelStream
from tinyagent_actors.messages import Context, Model
from tinyagent_actors.providers import StreamOptions, open_told_stream

RETRIES: Final = 4
"""Further attempts that agents have where nothing else is said."""


@attrs.frozen
class ProviderCall:
    """A `ModelCall` that opens a provider stream with fixed options."""

    options: StreamOptions

    def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AbstractAsyncContextManager[ModelStream]:
        """Open the stream of one answer."""
        return open_told_stream(model, context, self.options, publish)


def with_retries(options: StreamOptions, retries: int | None) -> StreamOptions:
    """Give the options of an agent's calls: with its retries, else with those of the options, else with `RETRIES`."""
    return attrs.evolve(options, retries=(options.retries or RETRIES) if retries is None else retries)
