"""Redaction: secrets out of texts and structures before they reach a log, a trace or an exception.

Two rules, both on by default. By *name*: a member whose name says that it holds a credential (``authorization``,
``api_key``, ``x-api-key``, ``password``, ``token`` ...) loses its value. By *shape*: texts that look like a known kind
of key lose that part. What is not a secret keeps its length and place, so that a log stays useful.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

REDACTED: Final = "[redacted]"

_NAMES: Final = re.compile(
    r"^(proxy[-_]?)?authorization$|(^|[-_.])(api[-_]?key|apikey|secret|password|passwd|credential|credentials|cookie|"
    r"access[-_]?token|auth[-_]?token|refresh[-_]?token|id[-_]?token|bearer|private[-_]?key)s?$|^(token|set-cookie|key)$",
    re.IGNORECASE,
)
_SHAPES: Final = re.compile(
    r"(?i:\b(bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:sk|pk|rk|gsk|xai|csk|cpk)[-_][A-Za-z0-9_-]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bAKIA[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_URL_USERINFO: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]*(?::[^/\s@]*)?@", re.IGNORECASE)
_MARKS: Final = ("-", "_", "@", "earer", "asic", "EARER", "ASIC", "AIza", "AKIA")


def redact_text(text: str) -> str:
    """Give `text` with everything in it that looks like a credential replaced."""
    if not any(mark in text for mark in _MARKS):
        return text
    text = _SHAPES.sub(lambda match: f"{match.group(1)} {REDACTED}" if match.group(1) else REDACTED, text)
    return _URL_USERINFO.sub(rf"\1{REDACTED}@", text) if "@" in text else text


def is_secret_name(name: str) -> bool:
    """Whether a member or header of that name holds a credential."""
    return _NAMES.search(name) is not None


def redact(value: Any) -> Any:
    """Give a copy of a JSON-like structure without credentials: by the name of a member, and by the shape of a text."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: REDACTED if isinstance(key, str) and item is not None and is_secret_name(key) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
