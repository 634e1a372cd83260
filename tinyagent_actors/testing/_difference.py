"""What differs between a request that was recorded and one that was asked. Pure; both without their credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from tinyagent_actors.providers._cassette import CassetteRequest

MAX_LINES: Final = 20
_SHOWN: Final = 120
_ABSENT: Final = object()


def differences(recorded: CassetteRequest, asked: CassetteRequest) -> list[str]:
    """Give what differs, a line each, the whole of it however much that is."""
    found = [
        f"{name}: recorded {one!r}, asked {other!r}"
        for name, one, other in (
            ("method", recorded.method, asked.method),
            ("path", recorded.path, asked.path),
            ("query", recorded.query, asked.query),
        )
        if one != other
    ]
    return found + list(_compare("body", recorded.body, asked.body)) if recorded.has_body else found


def shown(found: list[str]) -> str:
    """Give the first lines of a difference, and how many are left out."""
    rest = len(found) - MAX_LINES
    lines = [f"  {line}" for line in found[:MAX_LINES]]
    return "\n".join([*lines, f"  and {rest} more"] if rest > 0 else lines)


def _compare(path: str, recorded: Any, asked: Any) -> Iterator[str]:
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for name in (*recorded, *(name for name in asked if name not in recorded)):
            yield from _compare(f"{path}.{name}", recorded.get(name, _ABSENT), asked.get(name, _ABSENT))
    elif isinstance(recorded, list) and isinstance(asked, list):
        for at in range(max(len(recorded), len(asked))):
            one, other = (side[at] if at < len(side) else _ABSENT for side in (recorded, asked))
            yield from _compare(f"{path}[{at}]", one, other)
    elif _text(recorded) != _text(asked):
        yield f"{path}: recorded {_excerpt(recorded, asked)}, asked {_excerpt(asked, recorded)}"


def _text(value: Any) -> str:
    return "nothing" if value is _ABSENT else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _excerpt(value: Any, other: Any) -> str:
    """Give a value as text; of a long one the part where it begins to differ."""
    text, against = _text(value), _text(other)
    if len(text) <= _SHOWN:
        return text
    same = next((at for at, (one, two) in enumerate(zip(text, against, strict=False)) if one != two), 0)
    begin = max(0, min(same - 20, len(text) - _SHOWN))
    return f"{'...' if begin else ''}{text[begin : begin + _SHOWN]}{'...' if begin + _SHOWN < len(text) else ''}"
