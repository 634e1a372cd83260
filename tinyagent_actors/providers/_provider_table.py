"""Where each provider lives and how it wants to be told who asks. Data only."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

AuthStyle: TypeAlias = Literal["bearer", "api-key", "x-api-key"]


@attrs.frozen
class ProviderFacts:
    """What is known of one provider."""

    base_url: str | None
    """None: only the user can know it."""
    key_names: tuple[str, ...] = ()
    """Variables of the environment that may hold the key, the first one that is set wins."""
    auth: AuthStyle = "bearer"


PROVIDERS: Final[dict[str, ProviderFacts]] = {
    "openai": ProviderFacts("https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    "openrouter": ProviderFacts("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "azure": ProviderFacts(None, ("AZURE_OPENAI_API_KEY",), "api-key"),
    "chutes": ProviderFacts("https://llm.chutes.ai/v1", ("CHUTES_API_KEY",)),
    "deepseek": ProviderFacts("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    "mistral": ProviderFacts("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "groq": ProviderFacts("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "cerebras": ProviderFacts("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "xai": ProviderFacts("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "gemini": ProviderFacts("https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY",)),
    "featherless": ProviderFacts("https://api.featherless.ai/v1", ("FEATHERLESS_API_KEY",)),
    "minimax": ProviderFacts("https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
    "minimax-cn": ProviderFacts("https://api.minimaxi.com/v1", ("MINIMAX_CN_API_KEY",)),
    "zai": ProviderFacts("https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",)),
    "ollama": ProviderFacts("http://127.0.0.1:11434/v1"),
    "vllm": ProviderFacts("http://127.0.0.1:8000/v1"),
    "llama.cpp": ProviderFacts("http://127.0.0.1:8080/v1"),
    "lmstudio": ProviderFacts("http://127.0.0.1:1234/v1"),
    "litellm": ProviderFacts("http://127.0.0.1:4000/v1", ("LITELLM_API_KEY",)),
}

AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com")
"""Hosts that speak Azure's way whatever the provider is called."""

PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
"""Ends of host names that never leave a private network."""
