"""Reading a data file of models: TOML in, checked settings out. The form is told at the head of `models.toml`."""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, get_args

import attrs

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.providers._anthropic_rules import ThinkingControl
from tinyagent_actors.providers._model_facts import Kind
from tinyagent_actors.providers._price import Price
from tinyagent_actors.providers._provider_rules import EFFORTS, Replay, ThinkingStyle

Settings: TypeAlias = Mapping[str, Any]
"""Fields of `ModelFacts`, of `ProviderRules` and of what other dialects ask for, by name; only those that were set."""

_HIGHEST_PRICE: Final = 1_000_000
"""USD per million tokens."""
_PRICES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


class _WrongError(Exception):
    """A value does not fit; its text says why, and the fields below which it stands come before it."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.path = list(path)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _WrongError(f"must be a text that is not empty, is {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _WrongError(f"must be an array of texts, is {value!r}")
    return tuple(map(_text, value))


def _lower(value: object) -> tuple[str, ...]:
    return tuple(text.lower() for text in _texts(value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"must be true or false, is {value!r}")
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 1:
        raise _WrongError(f"must be a whole number above 0, is {value!r}")
    return value


def _date(value: object) -> datetime.date:
    if type(value) is not datetime.date:
        raise _WrongError(f"must be a date, is {value!r}")
    return value


def _one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in words:
            raise _WrongError(f"must be one of {', '.join(words)}, is {value!r}")
        return str(value)

    return check


def _some_of(*words: str) -> Callable[[object], tuple[str, ...]]:
    check = _one_of(*words)
    return lambda value: tuple(map(check, _texts(value)))


def _pattern(value: object) -> re.Pattern[str]:
    try:
        return re.compile(_text(value))
    except re.error as error:
        raise _WrongError(f"is not a regular expression: {error}") from None


def _amount(value: object) -> Decimal:
    if type(value) not in (int, Decimal) or not math.isfinite(value) or not 0 <= value <= _HIGHEST_PRICE:  # type: ignore[arg-type,operator]  # a number by now
        raise _WrongError(f"must be USD per million tokens, from 0 to {_HIGHEST_PRICE}, is {value!s}")
    return Decimal(value)  # type: ignore[arg-type]  # a number by now


def _price(value: object) -> Price:
    table = _members(value, {**dict.fromkeys(_PRICES, _amount), "above": _above})
    return Price(**table)


def _above(value: object) -> tuple[Price, ...]:
    if not isinstance(value, list):
        raise _WrongError(f"must be an array of prices with 'tokens', is {value!r}")
    tiers = []
    for index, entry in enumerate(value):
        with _Below(f"[{index}]"):
            tiers.append(Price(**_members(entry, {**dict.fromkeys(_PRICES, _amount), "tokens": _count})))
            if not tiers[-1].tokens:
                raise _WrongError("is missing", "tokens")
    return tuple(sorted(tiers, key=lambda tier: tier.tokens))


@attrs.define
class _Below:
    """Puts the name of a field before the path of what is wrong below it."""

    name: str

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _: object, error: object, __: object) -> None:
        if isinstance(error, _WrongError):
            error.path.insert(0, self.name)


def _members(value: object, checks: Mapping[str, Callable[[object], Any]]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError(f"must be a table, is {value!r}")
    checked = {}
    for name, member in value.items():
        with _Below(name):
            if name not in checks:
                raise _WrongError(f"no such field; known are {', '.join(sorted(checks))}")
            checked[name] = checks[name](member)
    return checked


_SETTINGS: Final[dict[str, Callable[[object], Any]]] = {
    "api": _text,
    "base_url": _text,
    "context_window": _count,
    "max_tokens": _count,
    "reasoning": _flag,
    "kinds": _some_of(*get_args(Kind)),
    "price": _price,
    "max_tokens_field": _one_of("max_tokens", "max_completion_tokens"),
    "system_role": _one_of("system", "developer"),
    "refuses_temperature": _flag,
    "thinking_style": _one_of(*get_args(ThinkingStyle)),
    "efforts": _some_of(*EFFORTS),
    "effort_with_tools": _one_of(*EFFORTS),
    "replays_reasoning": _one_of(*get_args(Replay)),
    "names_results": _flag,
    "bridges_results": _flag,
    "short_ids": _flag,
    "think_tags": _flag,
    "rest_is_reasoning": _flag,
    "splits_thinking": _flag,
    "chooses_thinking": _flag,
    "thinks": _flag,
    "streams_calls": _flag,
    "keeps_thinking": _flag,
    "has_efforts": _flag,
    "thinking_control": _one_of(*get_args(ThinkingControl)),
    "highest_effort": _one_of(*EFFORTS),
    "takes_prefill": _flag,
    "interleaves_by_beta": _flag,
    "refuses_sampling": _flag,
    "summarizes_thinking": _flag,
}
_RULE: Final = {"name": _text, "hosts": _lower, "providers": _lower, "models": _pattern, **_SETTINGS}
_ROW: Final = {
    "provider": _text,
    "id": _text,
    "aliases": _texts,
    "source": _text,
    "date": _date,
    "note": _text,
    "replace": _flag,
    **_SETTINGS,
}


@attrs.frozen
class Rule:
    """Settings for all that match."""

    name: str
    hosts: tuple[str, ...]
    providers: tuple[str, ...]
    models: re.Pattern[str] | None
    settings: Settings

    def matches(self, provider: str, model_id: str, host: str) -> bool:
        """Whether it holds; all three in lower case."""
        if (self.hosts or self.providers) and provider not in self.providers and not is_at(host, self.hosts):
            return False
        if self.models is None:
            return True
        whole = "/" in self.models.pattern
        return self.models.match(model_id if whole else model_id.rpartition("/")[2]) is not None


@attrs.frozen(eq=False)
class Layer:
    """One file."""

    hosts: Mapping[str, str]
    rules: tuple[Rule, ...]
    rows: Mapping[tuple[str, str], Settings]
    """By provider and id, both in lower case; a row stands under each of its ids."""


def is_at(host: str, places: tuple[str, ...]) -> bool:
    """Whether a host is one of these, or ends in one that begins with a dot."""
    return any(host.endswith(place) if place.startswith(".") else host == place for place in places)


def parse_layer(text: str, name: str) -> Layer:
    """Read the text of a file.

    Args:
        text: TOML.
        name: What errors call the file.

    Raises:
        ValueShapeError: It is no TOML, or something in it does not fit; the row and the field are named.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueShapeError(name, f"is not TOML: {error}") from None
    try:
        return _layer(document)
    except _WrongError as wrong:
        path = "".join(part if part.startswith("[") else f".{part}" for part in wrong.path).lstrip(".")
        raise ValueShapeError(f"{name}: {path}", str(wrong)) from None


def _layer(document: dict[str, Any]) -> Layer:
    known = {"sources": dict, "hosts": dict, "rules": list, "models": list}
    for name, value in document.items():
        with _Below(name):
            if name not in known:
                raise _WrongError(f"no such table; known are {', '.join(known)}")
            if not isinstance(value, known[name]):
                raise _WrongError(f"must be {'a table' if known[name] is dict else 'an array of tables'}")
    with _Below("hosts"):
        hosts = document.get("hosts", {})
        _members(hosts, dict.fromkeys(hosts, _text))
    with _Below("rules"):
        rules = tuple(_rule(index, table) for index, table in enumerate(document.get("rules", ())))
    with _Below("models"):
        rows = _rows(document.get("models", ()))
    return Layer({host.lower(): provider.lower() for host, provider in hosts.items()}, rules, rows)


def _rule(index: int, table: object) -> Rule:
    with _Below(_title(index, table, "name")):
        settings = _members(table, _RULE)
        name, hosts = settings.pop("name", ""), settings.pop("hosts", ())
        return Rule(name, hosts, settings.pop("providers", ()), settings.pop("models", None), settings)


def _rows(tables: list[object]) -> dict[tuple[str, str], Settings]:
    rows: dict[tuple[str, str], Settings] = {}
    for index, table in enumerate(tables):
        with _Below(_title(index, table, "provider", "id")):
            settings = _members(table, _ROW)
            for name in ("provider", "id"):
                if name not in settings:
                    raise _WrongError("is missing", name)
            for one in (settings["id"], *settings.get("aliases", ())):
                key = (settings["provider"].lower(), one.lower())
                if key in rows:
                    raise _WrongError(f"{one!r} stands here twice")
                rows[key] = settings
    return rows


def _title(index: int, table: object, *names: str) -> str:
    """Give what an error calls a rule or a row: its place, and what it says of itself."""
    said = [str(table[name]) for name in names if name in table] if isinstance(table, dict) else []
    return f"[{index}] ({' '.join(said)})" if said else f"[{index}]"
