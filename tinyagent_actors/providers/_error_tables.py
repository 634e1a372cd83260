"""Words and codes of providers: what a finish reason, a status, an error's code or text means. Data and look-ups only."""

from __future__ import annotations

import re
from typing import Final

from tinyagent_actors._errors import ErrorKind
from tinyagent_actors.messages import StopReason

_STOP_REASONS: Final[dict[str, StopReason]] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_context_window_exceeded", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call"), "tool_use"),
    **dict.fromkeys(
        ("content_filter", "sensitive", "safety", "recitation", "prohibited_content", "blocklist"), "content_filter"
    ),
    "refusal": "refusal",
    "pause_turn": "pause_turn",
}

FINISH_ERRORS: Final[dict[str, tuple[ErrorKind, bool]]] = {
    **dict.fromkeys(("error", "network_error", "abort", "aborted", "cancelled", "timeout"), ("provider_error", True)),
    "insufficient_system_resource": ("overloaded", True),
    **dict.fromkeys(("malformed_function_call", "unexpected_tool_call"), ("provider_error", False)),
}
"""Finish reasons that are errors: kind, and whether a second try may help."""


def stop_reason_of(raw: str | None) -> StopReason:
    """Give the stop reason of a provider's word; what is in no table is `stop`."""
    return _STOP_REASONS.get((raw or "").lower(), "stop")


_WORDS: Final[tuple[tuple[re.Pattern[str], ErrorKind, bool], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, retryable)  # type: ignore[misc]  # the kinds are literals
    for pattern, kind, retryable in (
        (r"insufficient_quota|billing.*|.*spend_limit.*", "rate_limited", False),
        (r"rate_limit.*|RESOURCE_EXHAUSTED|too_many_requests", "rate_limited", True),
        (r"overloaded.*|UNAVAILABLE|service_unavailable.*|engine_overloaded.*", "overloaded", True),
        (r"authentication.*|permission.*|invalid_api_key|UNAUTHENTICATED", "auth", False),
        (r"content_filter|ResponsibleAIPolicyViolation|content_policy_violation", "content_filter", False),
        (
            r"context_length_exceeded|exceed_context_size_error|string_above_max_length",
            "context_overflow",
            False,
        ),
        (r"timeout.*", "timeout", True),
        (r"server_error|api_error|internal.*", "provider_error", True),
        (r"invalid_request_error|not_found.*|request_too_large", "provider_error", False),
    )
)

_OVERFLOW: Final = re.compile(
    "|".join(  # noqa: FLY002  # a text per line
        [
            r"prompt is too long",
            r"input is too long for requested model",
            r"exceeds the context window",
            r"input token count.*exceeds the maximum",
            r"maximum prompt length is \d+",
            r"reduce the length of the messages",
            r"maximum context length is \d+ tokens",
            r"exceeds the limit of \d+",
            r"exceeds the available context size",
            r"greater than the context length",
            r"context window exceeds limit",
            r"context[_ ]length[_ ]exceeded",
            r"too many tokens",
            r"token limit exceeded",
            r"tokens in request more than max tokens allowed",
            r"context size has been exceeded",
            r"exceeded (this )?model.s? (maximum )?context",
            r"prompt exceeds max length",
        ]
    ),
    re.IGNORECASE | re.DOTALL,
)
_QUOTA: Final = re.compile(
    r"insufficient_quota|insufficient[ _]balance|insufficient credits|exceeded your current quota|billing|spend[ _]limit",
    re.IGNORECASE,
)
_POLICY: Final = re.compile(
    r"content_filter|ResponsibleAIPolicyViolation|content_policy_violation|flagged|blocked by content filtering",
    re.IGNORECASE,
)


def kind_of_word(word: str) -> tuple[ErrorKind, bool] | None:
    """Give kind and retryability of an error's type, code or status word; None if it is in no table."""
    for pattern, kind, retryable in _WORDS:
        if pattern.fullmatch(word):
            return kind, retryable
    return None


def is_overflow(text: str) -> bool:
    """Whether a text says that the context is too long for the model."""
    return _OVERFLOW.search(text) is not None


def is_quota(text: str) -> bool:
    """Whether a text speaks of quota, billing, balance or plan: waiting does not help."""
    return _QUOTA.search(text) is not None


def is_policy(text: str) -> bool:
    """Whether a text speaks of content policy."""
    return _POLICY.search(text) is not None


def kind_of_status(status: int) -> tuple[ErrorKind, bool]:
    """Give kind and retryability of an HTTP status by itself."""
    match status:
        case 401 | 403 | 434:  # 434 is z.ai's: no permission for this API
            return "auth", False
        case 402:
            return "rate_limited", False
        case 408:
            return "timeout", True
        case 409 | 425:
            return "provider_error", True
        case 429:
            return "rate_limited", True
        case 503 | 529:
            return "overloaded", True
        case _ if 300 <= status < 400:  # noqa: PLR2004  # the range of redirects
            return "redirect", False
        case _:
            return "provider_error", status >= 500  # noqa: PLR2004  # the range of a server's own faults
