"""`OpenRouterModel` and the stream function `stream_openrouter`."""

from __future__ import annotations

import attrs

from tinyagent_actors.messages import AssistantMessage, Context, Model
from tinyagent_actors.providers._open_stream import start_stream
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._seed_stream import SeedStream, Signal, SimpleStreamOptions


@attrs.frozen
class OpenRouterModel(Model):
    """A model of OpenRouter, or of any endpoint that speaks as it does: `base_url` may be the full URL."""


async def stream_openrouter(
    model: Model, context: Context, options: SimpleStreamOptions | StreamOptions | None = None
) -> SeedStream:
    """Ask a model on the httpx engine; the stream function of `AgentOptions(stream_fn=...)`.

    The request is sent when the stream is first read. Cancelling it while it is awaited leaves nothing behind.

    Args:
        model: Whom to ask, and where.
        context: What to ask.
        options: How; None is all defaults.

    Returns:
        A stream to iterate, with `result()`. What the provider does wrong is its last event, not an exception.

    Raises:
        SpecError: The model, the context or an option cannot be used as it is.

    Example:
        ::

            response = await stream_openrouter(OpenRouterModel(id="openai/gpt-5.4-mini"), context)
            async for event in response:
                if event.type == "text_delta":
                    print(event.delta, end="")
    """
    ours, signal = _split(options)
    stream = await start_stream(model, context, attrs.evolve(ours, engine="httpx"))
    base = AssistantMessage(api=model.api, provider=model.provider, model=model.id)
    return SeedStream(stream, base, signal)


def _split(options: SimpleStreamOptions | StreamOptions | None) -> tuple[StreamOptions, Signal | None]:
    if options is None:
        return StreamOptions(), None
    if isinstance(options, StreamOptions):
        return options, None
    ours = StreamOptions(api_key=options.api_key, temperature=options.temperature, max_tokens=options.max_tokens)
    return ours, options.signal
