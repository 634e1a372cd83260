"""Price: what a model costs."""

from __future__ import annotations

from decimal import Decimal

import attrs


@attrs.frozen
class Price:
    """USD per million tokens, exact. None is unknown; 0 is free."""

    input: Decimal | None = None
    """Prompt tokens that were not cached."""
    output: Decimal | None = None
    """Reasoning included."""
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    """Where a provider has several lifetimes, the shortest one's: the five minutes of Anthropic."""
    tokens: int = 0
    """It holds for a call whose whole prompt has more than so many tokens."""
    above: tuple[Price, ...] = ()
    """Prices of longer prompts, by rising `tokens`. Each stands for itself: what is absent there is unknown there."""
    cache_write_1h: Decimal | None = None
    """Of what is kept for an hour."""

    def for_prompt(self, tokens: int) -> Price:
        """Give the price of a call whose prompt has so many tokens, cached ones included."""
        return next((longer for longer in reversed(self.above) if tokens > longer.tokens), self)

    def for_lifetimes(self, lifetimes: frozenset[str]) -> Price:
        """Give the price of a call whose marks for the cache ask for these lifetimes (`ttl`; Anthropic's are ``5m`` and ``1h``).

        A call tells only how much was written, so of one with several lifetimes the price of writing is unknown.
        """
        if not lifetimes - {"5m"}:
            return self
        written = self.cache_write_1h if lifetimes == {"1h"} else None
        above = tuple(longer.for_lifetimes(lifetimes) for longer in self.above)
        return attrs.evolve(self, cache_write=written, above=above)
