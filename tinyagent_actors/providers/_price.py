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
    """Where a provider has several lifetimes, the shortest."""
    tokens: int = 0
    """It holds for a call whose whole prompt has more than so many tokens."""
    above: tuple[Price, ...] = ()
    """Prices of longer prompts, by rising `tokens`. Each stands for itself: what is absent there is unknown there."""

    def for_prompt(self, tokens: int) -> Price:
        """Give the price of a call whose prompt has so many tokens, cached ones included."""
        return next((longer for longer in reversed(self.above) if tokens > longer.tokens), self)
