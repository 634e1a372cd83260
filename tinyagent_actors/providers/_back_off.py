"""How long to wait before the next attempt. Pure; used for the pause of a governor and for the back-off of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_WAIT: Final = 0.5
"""Seconds after the first failure where the provider does not say when to come back; each further one doubles it."""
LONGEST_WAIT: Final = 60.0
"""What doubling stops at."""
JITTER: Final = 0.25
"""The most that is added at random, as a fraction of the wait."""
MOST_JITTER: Final = 5.0
"""Seconds that are added at most."""

_DOUBLINGS: Final = 16


def wait_after(failures: int, told: float | None) -> float:
    """Give the seconds to wait after so many failures in a row.

    Args:
        failures: From 1.
        told: What the provider asked for. None, or a time that is past already, leaves it to the doubling: a server that
            refuses and says "come back at once" must not be asked in a loop.
    """
    return told or min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, _DOUBLINGS))


def with_jitter(seconds: float, random: Callable[[], float]) -> float:
    """Add a part at random, never take any away: nobody comes back too early, and not all at once."""
    return seconds + random() * min(JITTER * seconds, MOST_JITTER)
