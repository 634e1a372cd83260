"""What the numbers in the errors of MiniMax and of GLM mean. Data and look-ups only.

They overlap (1000 is a fault there, a wrong key here), so each counts only for its own vendor; but a `base_resp` is MiniMax's
wherever it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from tinyagent_actors._errors import ErrorKind
from tinyagent_actors.messages import Model
from tinyagent_actors.providers._error_tables import is_overflow

Verdict: TypeAlias = tuple[ErrorKind, bool]
"""Kind, and whether a second try may help."""

_QUOTA: Final[Verdict] = ("rate_limited", False)
_BUSY: Final[Verdict] = ("rate_limited", True)
_FAULT: Final[Verdict] = ("provider_error", True)
_WRONG: Final[Verdict] = ("provider_error", False)
_POLICY: Final[Verdict] = ("content_filter", False)
_NO_KEY: Final[Verdict] = ("auth", False)
_TOO_LONG: Final[Verdict] = ("context_overflow", False)

MINIMAX_CODES: Final[dict[int, Verdict]] = {
    **dict.fromkeys((1000, 1024, 1033), _FAULT),
    1001: ("timeout", True),
    **dict.fromkeys((1002, 1041, 1039), _BUSY),
    **dict.fromkeys((1004, 2049), _NO_KEY),
    **dict.fromkeys((1008, 1028, 1030, 2056, 2061), _QUOTA),
    **dict.fromkeys((1026, 1027), _POLICY),
    **dict.fromkeys((1042, 2013), _WRONG),
}
"""`base_resp.status_code`. Any other that is not 0 is the request's fault."""

GLM_CODES: Final[dict[int, Verdict]] = {
    **dict.fromkeys(range(1000, 1005), _NO_KEY),
    **dict.fromkeys(range(1110, 1122), _NO_KEY),
    1113: _QUOTA,
    **dict.fromkeys(range(1210, 1216), _WRONG),
    1220: _NO_KEY,
    **dict.fromkeys((1230, 1234), _FAULT),
    1261: _TOO_LONG,
    **dict.fromkeys((1300, 1301), _POLICY),
    **dict.fromkeys((1302, 1303), _BUSY),
    1305: ("overloaded", True),
    **dict.fromkeys((1304, 1308, 1310, 1313), _QUOTA),
}
"""`error.code`, a string on the wire."""

_OVERFLOWS: Final = frozenset({1039, 1042, 2013, 1210})
"""Codes, three of MiniMax and one of GLM, that mean a conversation too long where the text says so."""
_TOO_MANY: Final = 429
"""With this status such a text speaks of tokens a minute."""
_CODE_IN_TEXT: Final = re.compile(r"\((\d{4})\)\s*$")
"""MiniMax's errors in OpenAI's shape have the code only here: ``insufficient balance (1008)``."""


def vendor_of(model: Model) -> str:
    """Give whose numbers an error of this model would hold: ``minimax``, ``zai``, or "" where numbers mean nothing."""
    for vendor in ("minimax", "zai"):
        if model.api == f"{vendor}-completions" or model.provider.partition("-")[0] == vendor:
            return vendor
    return ""


def verdict_of(vendor: str, error: Mapping[str, Any], message: str, status: int | None) -> Verdict | None:
    """Give what the vendor's number in an error means; None if it holds none that is known."""
    if vendor == "minimax" or "status_msg" in error:
        return _minimax(error, message, status)
    if vendor == "zai":
        return _by_table(GLM_CODES, _whole(error.get("code")), message, status)
    return None


def _minimax(error: Mapping[str, Any], message: str, status: int | None) -> Verdict | None:
    code = _whole(error.get("status_code"))
    if code:
        return _by_table(MINIMAX_CODES, code, message, status) or _WRONG
    found = _CODE_IN_TEXT.search(message)
    return _by_table(MINIMAX_CODES, int(found[1]), message, status) if found else None


def _by_table(table: Mapping[int, Verdict], code: int | None, message: str, status: int | None) -> Verdict | None:
    if code in _OVERFLOWS and status != _TOO_MANY and is_overflow(message):
        return _TOO_LONG
    return None if code is None else table.get(code)


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None
