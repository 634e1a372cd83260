"""Asking a provider through `open_stream`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import attrs

from tinyagent_actors.agents._model_call import ModelStream
from tinyagent_actors.messages import Context, Model
from tinyagent_actors.providers import StreamOptions, open_stream


@attrs.frozen
class ProviderCall:
    """A `ModelCall` that opens a provider stream with fixed options."""

    options: StreamOptions

    def __call__(self, model: Model, context: Context) -> AbstractAsyncContextManager[ModelStream]:
        """Open the stream of one answer."""
        return open_stream(model, context, self.options)
