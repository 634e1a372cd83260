"""Counting: what a stream told of its usage so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from tinyagent_actors.providers._items import UsageCounters
from tinyagent_actors.providers._json_profile import Json, amount, counter

_SIMPLE: Final = {"prompt": "prompt_tokens", "completion": "completion_tokens", "total": "total_tokens"}


@attrs.define(eq=False)
class UsageTally:
    """The last word on each counter; None is "not told"."""

    _read: Callable[[dict[str, Json]], dict[str, int | float | None]] = attrs.field(factory=lambda: _told)
    """Gives the counters of a `usage` object by the names of these fields."""
    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None
    cost: float | None = None

    def take(self, usage: dict[str, Json]) -> None:
        """Take a `usage` object. One that tells only zeros is a placeholder and changes nothing."""
        told = {name: value for name, value in self._read(usage).items() if value is not None}
        if any(told.values()):
            for name, value in told.items():
                setattr(self, name, value)

    def counters(self) -> UsageCounters | None:
        """Give all of them, if anything was told."""
        told = (self.prompt, self.completion, self.total, self.cached, self.written, self.reasoning, self.cost)
        return None if all(value is None for value in told) else told


def _told(usage: dict[str, Json]) -> dict[str, int | float | None]:
    prompt_details = _members(usage.get("prompt_tokens_details"))
    completion_details = _members(usage.get("completion_tokens_details"))
    told: dict[str, int | float | None] = {name: counter(usage.get(member)) for name, member in _SIMPLE.items()}
    told["cached"] = _first(
        counter,
        prompt_details.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
        usage.get("cache_read_input_tokens"),
    )
    told["written"] = _first(
        counter, prompt_details.get("cache_write_tokens"), usage.get("cache_creation_input_tokens")
    )
    told["reasoning"] = _first(counter, completion_details.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    told["cost"] = amount(usage.get("cost"))
    return told


def _members(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _first(read: Callable[[Json], int | None], *values: Json) -> int | None:
    return next((told for told in map(read, values) if told is not None), None)
