"""`to_json`: the JSON of a request, fit for any receiver whatever stands in the history.

Text that no receiver can take (a lone surrogate, NUL) becomes U+FFFD, a number that JSON does not know (NaN, an infinity)
null. What has no form in JSON at all is refused, with the path of the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tinyagent_actors._errors import SpecError

_DEEPEST: Final = 200
"""Levels of one value; receivers refuse what is deeper, and so would the encoder."""


def to_json(value: Any, path: str = "request") -> bytes:
    """Give the JSON of a value; it is cleaned only if it has to be.

    Args:
        value: Of JSON's kinds, and mappings and tuples.
        path: What errors call it.

    Raises:
        SpecError: Something in it has no form in JSON, or it is nested too deeply.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:  # a lone surrogate, a mapping that is no dict, a large number, or what cannot be written at all
        return _dump(clean(value, path))
    return _dump(clean(value, path)) if b"\\u0000" in text else text


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def clean(value: Any, path: str = "value", depth: int = 0) -> Any:
    """Give a JSON value that any receiver can read.

    Raises:
        SpecError: Something in it has no form in JSON; its path is named.
    """
    if depth > _DEEPEST:
        raise SpecError(path, f"is nested more than {_DEEPEST} levels deep")
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {_clean_text(str(name)): clean(member, f"{path}.{name}", depth + 1) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [clean(member, f"{path}[{index}]", depth + 1) for index, member in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    raise SpecError(path, f"is of the type {type(value).__name__}, which has no form in JSON")


def _clean_text(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
