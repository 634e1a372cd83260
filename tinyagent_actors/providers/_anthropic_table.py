"""Where the dialect `anthropic-messages` lives at each provider, and how it is told who asks there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tinyagent_actors.providers._provider_table import ProviderFacts

ANTHROPIC_API: Final = "anthropic-messages"
ANTHROPIC_PROVIDERS: Final[dict[str, ProviderFacts]] = {
    "anthropic": ProviderFacts("https://api.anthropic.com", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "x-api-key"),
    "kimi": ProviderFacts("https://api.kimi.com/coding", ("KIMI_API_KEY",)),
    "minimax": ProviderFacts("https://api.minimax.io/anthropic", ("MINIMAX_API_KEY",)),
    "minimax-cn": ProviderFacts("https://api.minimaxi.com/anthropic", ("MINIMAX_CN_API_KEY",)),
    "zai": ProviderFacts("https://api.z.ai/api/anthropic", ("ZAI_API_KEY",)),
    "deepseek": ProviderFacts("https://api.deepseek.com/anthropic", ("DEEPSEEK_API_KEY",)),
    "openrouter": ProviderFacts("https://openrouter.ai/api", ("OPENROUTER_API_KEY",)),
}
"""They come before the providers' facts for other dialects."""

_BEARER_VARIABLE: Final = "ANTHROPIC_AUTH_TOKEN"
_BEARER_PREFIX: Final = "sk-ant-oat"


def messages_path(path: str) -> str:
    """Complete the path of a base URL: users write it with or without the version, or whole."""
    if path.endswith("/messages"):
        return path
    return path + ("/messages" if path.endswith("/v1") else "/v1/messages")


def messages_credentials(facts: ProviderFacts | None, key: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the header of a key: tokens go as Bearer, and so does any key of a provider that wants it."""
    is_token = key.startswith(_BEARER_PREFIX) or (
        key == environ.get(_BEARER_VARIABLE, "").strip() and key != environ.get("ANTHROPIC_API_KEY", "").strip()
    )
    if is_token or (facts is not None and facts.auth == "bearer"):
        return {"authorization": f"Bearer {key}"}
    return {"x-api-key": key}
