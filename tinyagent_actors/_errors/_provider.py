"""ProviderError: what a provider of models did wrong."""

from __future__ import annotations

from typing import Literal

import attrs

from tinyagent_actors._errors._root import RestartPolicy, TinyAgentError

ErrorKind = Literal[
    "truncated",
    "timeout",
    "connection_error",
    "provider_error",
    "rate_limited",
    "overloaded",
    "auth",
    "protocol_error",
    "malformed_event",
    "empty_response",
    "content_filter",
    "refusal",
    "redirect",
    "event_too_large",
    "context_overflow",
]

_KIND_RESTARTS: dict[str, RestartPolicy] = {
    "auth": "never",
    "refusal": "never",
    "content_filter": "never",
    "redirect": "never",
    "context_overflow": "compact",
    "malformed_event": "backoff",
    "protocol_error": "backoff",
    "event_too_large": "never",
}


@attrs.define(slots=False, eq=False)
class ProviderError(TinyAgentError):
    """What a provider did wrong: a value on `AssistantMessage.error`, an exception where a caller wants one.

    Two of them are equal when their fields are. `retry_after` is in seconds. `message` never holds a credential.
    """

    kind: ErrorKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    retryable: bool = False

    @property
    def restart_policy(self) -> RestartPolicy:  # type: ignore[override]  # by kind, so not a class variable here
        """How a supervisor treats an agent that died of it."""
        return _KIND_RESTARTS.get(self.kind, "backoff" if self.retryable else "never")

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        return f"{self.kind}{status}: {self.message}"
