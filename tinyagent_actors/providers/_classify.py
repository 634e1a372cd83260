"""From what a provider said went wrong to a `ProviderError`. The body decides before the status."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from tinyagent_actors._errors import ProviderError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.providers._error_tables import (
    FINISH_ERRORS,
    is_overflow,
    is_policy,
    is_quota,
    kind_of_status,
    kind_of_word,
)
from tinyagent_actors.providers._vendor_codes import verdict_of

_LONGEST: Final = 500
_LONGEST_ID: Final = 80
_FIRST_STATUS: Final = 400
_LAST_STATUS: Final = 599
_TOO_MANY: Final = 429
_OVERFLOW_STATUSES: Final = (400, 413)


def classify_response(status: int, headers: Iterable[tuple[str, str]], body: bytes, vendor: str = "") -> ProviderError:
    """Give the error of a response whose status is not 200; `vendor` says whose numbers it may hold."""
    named = {name.lower(): value for name, value in headers}
    said = _first_object(_parse(body))
    error = (said.get("error") or said.get("base_resp") or said) if isinstance(said, Mapping) else said
    found = _classify(error, status, vendor)
    if found is None:
        kind, retryable = kind_of_status(status)
        found = ProviderError(kind, _message(error, body, status), status, retryable=retryable)
    should_retry = named.get("x-should-retry", "").strip().lower()
    if should_retry in ("true", "false"):
        found = attrs.evolve(found, retryable=should_retry == "true")
    request = named.get("request-id") or (said.get("request_id") if isinstance(said, Mapping) else None)
    if isinstance(request, str) and request.isprintable():
        found = attrs.evolve(found, message=f"{found.message} (request {request[:_LONGEST_ID]})")
    return attrs.evolve(found, retry_after=retry_after_of(named))


def classify_in_band(text: str, vendor: str = "") -> ProviderError:
    """Give the error that came inside a stream, from the canonical JSON of it; `vendor` says whose numbers it may hold."""
    error = _first_object(_parse(text.encode()))
    if isinstance(error, Mapping) and isinstance(error.get("error"), str | Mapping):
        error = error["error"]
    found = _classify(error, None, vendor)
    return found or ProviderError("provider_error", _message(error, text.encode(), None), retryable=True)


def error_of_finish(finish: str | None) -> ProviderError | None:
    """Give the error that a finish reason is; None if it is none."""
    found = FINISH_ERRORS.get((finish or "").lower())
    if found is None:
        return None
    return ProviderError(found[0], f"the provider broke off: {finish}", retryable=found[1])


def retry_after_of(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Give the seconds a response asks to wait, rounded up; None if it asks for nothing that can be read.

    What is told in milliseconds is rounded up to one of those, and goes before what is told in seconds.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return math.ceil(in_ms) / 1000
    raw = headers.get("retry-after")
    seconds = _number(raw)
    if seconds is None and raw is not None:
        try:
            seconds = email.utils.parsedate_to_datetime(raw).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return None if seconds is None else float(math.ceil(max(0.0, seconds)))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _first_object(value: Any) -> Any:
    if isinstance(value, list):
        return next((item for item in value if isinstance(item, Mapping)), None)
    return value


def _classify(error: Any, status: int | None, vendor: str) -> ProviderError | None:
    """Judge an error by what it says; None if it says nothing that is in a table."""
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, Mapping):
        return None
    message = _message(error, b"", status)
    words = [str(error[name]) for name in ("type", "code", "status") if isinstance(error.get(name), str | int)]
    details = error.get("details")
    if isinstance(details, Mapping) and isinstance(details.get("error_code"), str):
        words.insert(0, details["error_code"])
    said = " ".join((*words, message))
    code = status if status is not None else _status_of(error)
    verdict = verdict_of(vendor, error, message, code)
    if verdict is not None:
        return ProviderError(verdict[0], message, code, retryable=verdict[1])
    metadata = error.get("metadata")
    if is_policy(said) or (isinstance(metadata, Mapping) and metadata.get("reasons")):
        return ProviderError("content_filter", message, status)
    if is_quota(said):
        return ProviderError("rate_limited", message, status)
    if code != _TOO_MANY and (code is None or code in _OVERFLOW_STATUSES or code >= 500) and is_overflow(said):  # noqa: PLR2004  # a server's own fault
        return ProviderError("context_overflow", message, status)
    if status is not None:
        return None
    if code is not None:
        kind, retryable = kind_of_status(code)
        return ProviderError(kind, message, code, retryable=retryable)
    for word in words:
        found = kind_of_word(word)
        if found is not None:
            return ProviderError(found[0], message, retryable=found[1])
    return None


def _status_of(error: Mapping[str, Any]) -> int | None:
    for name in ("code", "http_code", "status"):
        value = error.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and _FIRST_STATUS <= value <= _LAST_STATUS:
            return value
    return None


def _message(error: Any, body: bytes, status: int | None) -> str:
    text = ""
    if isinstance(error, str):
        text = error
    elif isinstance(error, Mapping):
        text = next(
            (error[name] for name in ("message", "status_msg", "detail") if isinstance(error.get(name), str)), ""
        )
    text = text or body.decode("utf-8", "replace").strip() or (f"status {status}" if status else "no reason given")
    return redact_text(text)[:_LONGEST]
