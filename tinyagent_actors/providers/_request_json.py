"""The JSON of a request: deterministic bytes that any receiver can read, whatever stands in a transcript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """Give the JSON of a value, fit for any receiver; it is cleaned only if it has to be."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # a lone surrogate, or a mapping that is no dict
        return orjson.dumps(clean(value))
    return orjson.dumps(clean(value)) if b"\\u0000" in text else text


def clean(value: Any) -> Any:
    """Give a JSON value that any receiver can read: lone surrogates and NUL replaced, NaN and infinities null."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {clean(str(name)): clean(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [clean(member) for member in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  # NaN is not itself
        return None
    return value
