"""One JSON for both decoders: RFC 8259, and what `docs/explanation/engine-boundary.md` adds to it.

`parse_exact` keeps the text of numbers, so that `canonical` can give them back as they stood.
"""

from __future__ import annotations

import json
import math
import re
from json.encoder import encode_basestring
from typing import Final, NoReturn, TypeAlias, TypeGuard

from tinyagent_actors.providers._framing import BLANKS
from tinyagent_actors.providers._surrogates import settle

MAX_DEPTH: Final = 127
MAX_COUNTER: Final = 2**53
NESTED_BYTES: Final = 2 * (MAX_DEPTH + 1)
"""The shortest text that is nested too deep."""

_TOKENS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)


class NumberText(str):
    """A number as it stood in its source."""

    __slots__ = ()


Json: TypeAlias = "dict[str, Json] | list[Json] | str | NumberText | bool | None"
"""A value that `parse_exact` gave."""


class MalformedJsonError(ValueError):
    """The text is not JSON by the profile."""


def parse_exact(data: bytes | str) -> Json:
    """Parse a text by the profile; numbers stay texts.

    Raises:
        MalformedJsonError: It is not JSON by the profile.
    """
    text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).strip(BLANKS.decode())
    if is_too_deep(text):
        raise MalformedJsonError
    try:
        value: Json = _DECODER.decode(text)
    except ValueError:
        raise MalformedJsonError from None
    return value


def _number(text: str) -> NumberText:
    if math.isinf(float(text)):
        raise MalformedJsonError
    return NumberText(text)


def _refuse(_: str) -> NoReturn:
    raise MalformedJsonError


_DECODER: Final = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_refuse)


def is_too_deep(text: str) -> bool:
    """Whether a text, if it is JSON at all, is nested deeper than the profile allows."""
    if len(text) < NESTED_BYTES or text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _TOKENS.finditer(text):
        mark = match.group()[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def canonical(value: Json) -> str:
    """Give the canonical text of a value."""
    pieces: list[str] = []
    _write(value, pieces)
    return "".join(pieces)


def _write(value: Json, pieces: list[str]) -> None:
    if isinstance(value, dict):
        mark = "{"
        for name, member in value.items():
            pieces.append(f"{mark}{json_string(name)}:")
            _write(member, pieces)
            mark = ","
        pieces.append("}" if value else "{}")
    elif isinstance(value, list):
        mark = "["
        for member in value:
            pieces.append(mark)
            _write(member, pieces)
            mark = ","
        pieces.append("]" if value else "[]")
    elif value is None:
        pieces.append("null")
    elif isinstance(value, bool):
        pieces.append("true" if value else "false")
    else:
        pieces.append(str(value) if isinstance(value, NumberText) else json_string(value))


def json_string(text: str) -> str:
    """Give a text as a JSON string."""
    return encode_basestring(settle(text))


def is_text(value: Json) -> TypeGuard[str]:
    """Whether the value is a string, and not a number's text."""
    return type(value) is str


def counter(value: Json) -> int | None:
    """Give a whole number of at least 0 and at most 2^53; anything else is not told."""
    if not isinstance(value, NumberText):
        return None
    if value.lstrip("-").isdigit():
        number = int(value)
        return number if 0 <= number <= MAX_COUNTER else None
    real = float(value)
    return int(real) if 0 <= real <= MAX_COUNTER and real.is_integer() else None


def amount(value: Json) -> float | None:
    """Give a number that is not below 0; anything else is not told."""
    return float(value) if isinstance(value, NumberText) and float(value) >= 0 else None


def is_zero(value: Json) -> bool:
    """Whether the value is a number and that number is 0."""
    return isinstance(value, NumberText) and float(value) == 0
