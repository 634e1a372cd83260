"""The headers of the dialect `anthropic-messages`: its version, and betas where a model needs them."""

from __future__ import annotations

from typing import Final

from tinyagent_actors.messages import Context, Model
from tinyagent_actors.providers._anthropic_request import is_on, level_of, limit_of, rules_of
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._options import StreamOptions

_VERSION: Final = "2023-06-01"
"""All who speak the dialect know it; the next one refuses members that most models still take."""
_BETA: Final = "anthropic-beta"
_INTERLEAVED: Final = "interleaved-thinking-2025-05-14"


def add_headers(model: Model, context: Context, options: StreamOptions, endpoint: Endpoint) -> Endpoint:
    """Give the endpoint with the dialect's headers. What the user says of the version wins; betas are added to the user's."""
    headers = dict(endpoint.headers)
    headers.setdefault("anthropic-version", _VERSION)
    rules, limit = rules_of(model, options, endpoint), limit_of(model, options, endpoint)
    if context.tools and rules.interleaves_by_beta and is_on(rules.thinking(level_of(model, options), limit)):
        named = [name.strip() for name in headers.get(_BETA, "").split(",") if name.strip()]
        headers[_BETA] = ",".join(dict.fromkeys([*named, _INTERLEAVED]))
    return Endpoint(endpoint.url, tuple(headers.items()))
