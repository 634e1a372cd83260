"""`OpenRouterModel` and the stream function `stream_openrouter`."""

from __future__ import annotations

import attrs

from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers._open_stream import start_stream
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._seed_stream import SeedStream, Signal, SimpleStreamOptions
from tinyagent_actors.providers._seed_values import ContextLike, ModelLike, split_options, to_context, to_model


@attrs.frozen
class OpenRouterModel(Model):
    """A model of OpenRouter, or of any endpoint that speaks as it does: `base_url` may be the full URL."""


async def stream_openrouter(
    model: ModelLike, context: ContextLike, options: SimpleStreamOptions | StreamOptions | None = None
) -> SeedStream:
    """Ask a model on the httpx engine; the stream function of `AgentOptions(stream_fn=...)`.

    The request is sent when the stream is first read. Cancelling it while it is awaited leaves nothing behind.

    Args:
        model: Whom to ask, and where; also as a dict.
        context: What to ask; also as a dict.
        options: How; None is all defaults.

    Returns:
        A stream to iterate, with `result()`. What the provider does wrong is its last event, not an exception.

    Raises:
        SpecError: The model, the context or an option cannot be used as it is.
        ValueShapeError: A dict has another shape.

    Example:
        ::

            response = await stream_openrouter(OpenRouterModel(id="openai/gpt-5.4-mini"), context)
            async for event in response:
                if event.type == "text_delta":
                    print(event.delta, end="")
    """
    ours, signal = split_options(options)
    return await start_seed_stream(to_model(model), context, attrs.evolve(ours, engine="httpx"), signal)


async def start_seed_stream(
    model: Model, context: ContextLike, options: StreamOptions, signal: Signal | None
) -> SeedStream:
    """Ask a model; the answer is in the shape of stream functions."""
    stream = await start_stream(model, to_context(context), options)
    base = AssistantMessage(api=model.api, provider=model.provider, model=model.id)
    return SeedStream(stream, base, signal)
