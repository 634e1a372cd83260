"""The stream function of any OpenAI-compatible provider, under the module's name that programs import it from."""

from tinyagent_actors.providers import OpenAICompatModel, stream_alchemy_openai_completions

__all__ = ["OpenAICompatModel", "stream_alchemy_openai_completions"]
