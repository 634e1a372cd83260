"""GovernorStatistics: how a governor stands."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class GovernorStatistics:
    """How the calls with one key to one host stand, now."""

    governor: str
    """The host, with the number of the key where there are several: ``api.openai.com``, ``api.openai.com#2``."""
    limit: int | None
    """Calls that may be in flight at once; None: none is known, and none was fixed."""
    in_flight: int
    queue: tuple[str, ...]
    """Who waits, by path, those first that have waited longest."""
    pause: float
    """Seconds until anybody may ask again; 0: there is no pause."""
    granted: int
    """Places that were given so far: requests, but for those that were cancelled at that moment."""
    refused: int
    """Calls that the provider would not serve, so far."""
