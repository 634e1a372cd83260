"""`OpenAICompatModel` and the stream function `stream_alchemy_openai_completions`."""

from __future__ import annotations

import attrs

from tinyagent_actors.messages import Model
from tinyagent_actors.providers._openrouter import start_seed_stream
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._seed_stream import SeedStream, SimpleStreamOptions
from tinyagent_actors.providers._seed_values import ContextLike, ModelLike, split_options, to_model


@attrs.frozen
class OpenAICompatModel(Model):
    """A model of any provider: `provider` says whose, `base_url` where (or the full URL), `api` in which dialect.

    A blank `api` is inferred: ``minimax-completions`` for ``minimax`` and ``minimax-cn``, else ``openai-completions``;
    the names ``openrouter``, ``openai`` and ``minimax`` are known, too.
    """


async def stream_alchemy_openai_completions(
    model: ModelLike, context: ContextLike, options: SimpleStreamOptions | StreamOptions | None = None
) -> SeedStream:
    """Ask a model on the fastest engine that is built: native, else httpx. A stream function for `AgentOptions`.

    It has the name that programs use, and does not lose what the crate of that name loses; with
    ``StreamOptions(engine="alchemy")`` it runs on the crate. The request is sent when the stream is first read; cancelling it
    while it is awaited leaves nothing behind.

    Args:
        model: Whom to ask, and where; also as a dict.
        context: What to ask; also as a dict.
        options: How; None is all defaults.

    Returns:
        A stream to iterate, with `result()`. What the provider does wrong is its last event, not an exception.

    Raises:
        SpecError: The model, the context or an option cannot be used as it is.
        ValueShapeError: A dict has another shape.
        EngineUnavailableError: `options.engine` names an engine that is not built.

    Example:
        ::

            agent = Agent(AgentOptions(stream_fn=stream_alchemy_openai_completions))
            agent.set_model(OpenAICompatModel(provider="minimax", id="MiniMax-M2.5", base_url="https://api.minimax.io/v1"))
    """
    ours, signal = split_options(options)
    return await start_seed_stream(to_model(model), context, ours, signal)
