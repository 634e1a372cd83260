//! Usage as this dialect tells it.

use crate::item::Counters;
use crate::json::{Object, Value};

/// Give the counters of a `usage` object.
pub(super) fn read(usage: &Object<'_>) -> Counters {
    let counter = |name| usage.counter(name);
    let inside = |object: &str, name| usage.object(object).and_then(|inner| inner.counter(name));
    Counters {
        prompt: counter("prompt_tokens"),
        completion: counter("completion_tokens"),
        total: counter("total_tokens"),
        cached: inside("prompt_tokens_details", "cached_tokens")
            .or_else(|| counter("prompt_cache_hit_tokens"))
            .or_else(|| counter("cached_tokens"))
            .or_else(|| counter("cache_read_input_tokens")),
        written: inside("prompt_tokens_details", "cache_write_tokens")
            .or_else(|| counter("cache_creation_input_tokens")),
        reasoning: inside("completion_tokens_details", "reasoning_tokens").or_else(|| counter("reasoning_tokens")),
        cost: usage.get("cost").and_then(Value::amount),
    }
}
