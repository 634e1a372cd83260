"""`cost_of`: from tokens and prices to USD. Pure."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from tinyagent_actors.messages import Cost, Usage
from tinyagent_actors.providers._price import Price

_PER: Final = 1_000_000


def cost_of(usage: Usage, price: Price | None) -> Cost | None:
    """Give what a call cost by a price, or None where a price that it needs is not known.

    The arithmetic is exact, in fractions. Each of the five numbers is rounded once, when it becomes a float, to the
    nearest one (a tie to the even one); `total` is the exact sum rounded, not the sum of what was rounded.

    Args:
        usage: Tokens. Kinds of which there are none need no price.
        price: In USD per million tokens; None where nothing is known.

    Example:
        >>> cost_of(Usage(input=1000, output=10), Price(input=Decimal("2.5"), output=Decimal("15"))).total
        0.00265
    """
    if price is None:
        return None
    price = price.for_prompt(usage.input + usage.cache_read + usage.cache_write)
    uncached, output = _part(usage.input, price.input), _part(usage.output, price.output)
    read, written = _part(usage.cache_read, price.cache_read), _part(usage.cache_write, price.cache_write)
    if uncached is None or output is None or read is None or written is None:
        return None
    return Cost(float(uncached), float(output), float(read), float(written), float(uncached + output + read + written))


def _part(tokens: int, per_million: Decimal | None) -> Fraction | None:
    if tokens == 0:
        return Fraction()
    return None if per_million is None else Fraction(per_million) * tokens / _PER
