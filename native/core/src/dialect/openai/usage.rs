//! Counting: what a stream told of its usage so far.

use crate::item::Counters;
use crate::json::{Object, Value};

/// Take a `usage` object into what is known. One that tells only zeros is a placeholder and changes nothing.
pub(super) fn take_usage(known: &mut Counters, usage: &Object<'_>) {
    let told = read(usage);
    let is_anything =
        counters(&told).into_iter().flatten().any(|counter| counter > 0) || told.cost.is_some_and(|cost| cost > 0.0);
    if is_anything {
        *known = Counters {
            prompt: told.prompt.or(known.prompt),
            completion: told.completion.or(known.completion),
            total: told.total.or(known.total),
            cached: told.cached.or(known.cached),
            written: told.written.or(known.written),
            reasoning: told.reasoning.or(known.reasoning),
            cost: told.cost.or(known.cost),
        };
    }
}

/// Whether anything was told.
pub(super) fn is_told(known: &Counters) -> bool {
    known.cost.is_some() || counters(known).into_iter().any(|counter| counter.is_some())
}

fn counters(all: &Counters) -> [Option<u64>; 6] {
    [
        all.prompt,
        all.completion,
        all.total,
        all.cached,
        all.written,
        all.reasoning,
    ]
}

fn read(usage: &Object<'_>) -> Counters {
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
