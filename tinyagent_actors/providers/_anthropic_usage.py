"""Usage as `anthropic-messages` tells it: the input tokens exclude what the cache counters count."""

from __future__ import annotations

from tinyagent_actors.providers._items import UsageCounters
from tinyagent_actors.providers._json_profile import Json, amount, counter


def read_usage(usage: dict[str, Json]) -> dict[str, int | float | None]:
    """Give the counters of a `usage` object by the names of `UsageTally`; `prompt` is without what was cached."""
    creation = usage.get("cache_creation")
    written = counter(usage.get("cache_creation_input_tokens"))
    if written is None and isinstance(creation, dict):
        parts = [counter(creation.get(f"ephemeral_{age}_input_tokens")) for age in ("5m", "1h")]
        told = [part for part in parts if part is not None]
        written = sum(told) if told else None
    details = usage.get("output_tokens_details")
    return {
        "prompt": counter(usage.get("input_tokens")),
        "completion": counter(usage.get("output_tokens")),
        "cached": counter(usage.get("cache_read_input_tokens")),
        "written": written,
        "reasoning": counter(details.get("thinking_tokens")) if isinstance(details, dict) else None,
        "cost": amount(usage.get("cost")),
    }


def with_cached(counters: UsageCounters) -> UsageCounters:
    """Give counters whose prompt is all of the prompt, as the item has it."""
    prompt, completion, total, cached, written, reasoning, cost = counters
    told = [part for part in (prompt, cached, written) if part is not None]
    return sum(told) if told else None, completion, total, cached, written, reasoning, cost
