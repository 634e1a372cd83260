//! Counting: what a stream told of its usage so far.

use crate::item::Counters;

/// Take counters into what is known. Those that tell only zeros are a placeholder and change nothing.
pub(super) fn take_counters(known: &mut Counters, told: &Counters) {
    let is_anything =
        counters(told).into_iter().flatten().any(|counter| counter > 0) || told.cost.is_some_and(|cost| cost > 0.0);
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
