//! Usage as this dialect tells it: the input tokens exclude what the cache counters count.

use crate::item::Counters;
use crate::json::{Object, Value};

/// Give the counters of a `usage` object; `prompt` is without what was cached.
pub(super) fn read(usage: &Object<'_>) -> Counters {
    let creation = usage.object("cache_creation");
    let parts = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];
    let parts = parts.map(|name| creation.and_then(|creation| creation.counter(name)));
    Counters {
        prompt: usage.counter("input_tokens"),
        completion: usage.counter("output_tokens"),
        total: None,
        cached: usage.counter("cache_read_input_tokens"),
        written: usage.counter("cache_creation_input_tokens").or_else(|| sum(&parts)),
        reasoning: usage
            .object("output_tokens_details")
            .and_then(|details| details.counter("thinking_tokens")),
        cost: usage.get("cost").and_then(Value::amount),
    }
}

/// Give counters whose prompt is all of the prompt, as the item has it.
pub(super) fn with_cached(known: &Counters) -> Counters {
    Counters {
        prompt: sum(&[known.prompt, known.cached, known.written]),
        ..*known
    }
}

/// Add what was told, if anything was.
fn sum(parts: &[Option<u64>]) -> Option<u64> {
    let told = parts.iter().flatten().copied();
    told.reduce(|sum, part| sum + part)
}
