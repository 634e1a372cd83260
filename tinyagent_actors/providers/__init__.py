"""Providers: one way to a model's answer as typed events, on more than one engine."""

from tinyagent_actors.providers._capture import Capture
from tinyagent_actors.providers._cost import cost_of
from tinyagent_actors.providers._engines import best_engine
from tinyagent_actors.providers._governor_statistics import GovernorStatistics
from tinyagent_actors.providers._governors import governor_statistics
from tinyagent_actors.providers._model_facts import Kind, ModelFacts
from tinyagent_actors.providers._model_table import ModelTable, default_models, load_models
from tinyagent_actors.providers._open_stream import open_stream, open_told_stream
from tinyagent_actors.providers._openai_compat import OpenAICompatModel, stream_alchemy_openai_completions
from tinyagent_actors.providers._openrouter import OpenRouterModel, stream_openrouter
from tinyagent_actors.providers._options import ENGINES, Engine, StreamLimits, StreamOptions, Timeouts
from tinyagent_actors.providers._price import Price
from tinyagent_actors.providers._proxy import ProxyStreamOptions, create_proxy_stream, stream_proxy
from tinyagent_actors.providers._seed_event import AssistantMessageEvent
from tinyagent_actors.providers._seed_stream import SeedStream, Signal, SimpleStreamOptions
from tinyagent_actors.providers._stream import ProviderStream
from tinyagent_actors.providers._transport import Transport

__all__ = [
    "ENGINES",
    "AssistantMessageEvent",
    "Capture",
    "Engine",
    "GovernorStatistics",
    "Kind",
    "ModelFacts",
    "ModelTable",
    "OpenAICompatModel",
    "OpenRouterModel",
    "Price",
    "ProviderStream",
    "ProxyStreamOptions",
    "SeedStream",
    "Signal",
    "SimpleStreamOptions",
    "StreamLimits",
    "StreamOptions",
    "Timeouts",
    "Transport",
    "best_engine",
    "cost_of",
    "create_proxy_stream",
    "default_models",
    "governor_statistics",
    "load_models",
    "open_stream",
    "open_told_stream",
    "stream_alchemy_openai_completions",
    "stream_openrouter",
    "stream_proxy",
]
