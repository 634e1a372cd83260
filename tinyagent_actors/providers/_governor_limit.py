"""InFlightLimit: how many calls at once a provider takes, found out by asking. Pure.

Two numbers. The **limit** is what may be in flight in all. It is not known before the provider has refused something; until then
only the cap holds. Each refusal halves what was in flight (never below one), each window of calls accepted at the limit adds one:
additive increase, multiplicative decrease, the one linear rule under which callers that do not know of each other come to
even shares of what there is (Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance",
1989), as TCP has it (RFC 5681: half of the flight size, here that of the call that was refused; the limit grows by one a window, only while it is
what holds calls back, as RFC 7661 asks). Where it was refused last the provider's limit probably still is, so that step is taken `CAUTION` times as
slowly (as CUBIC, RFC 9438, flattens towards its last maximum): a limit of five would else be found anew with every twelfth call.

The **window** is how many may be under way whose answer has not begun: those are what a refusal can still hit. Whatever the
provider's limit is, stepping over it costs at most one window of wasted calls. It is `WINDOW` at first; after a pause it is one, and
each call that gets through adds one: the first after a pause is a probe, and the rest do not come as a herd.

A burst of refusals tells one thing once. Those of calls that were sent before the latest cut change nothing (RFC 6582).
"""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

WINDOW: Final = 8
"""Calls under way whose answer has not begun."""
CAUTION: Final = 8
"""Windows accepted below the number that was refused last before it is tried again."""


@attrs.define(eq=False)
class InFlightLimit:
    """The numbers, and the two things that change them."""

    cap: float = inf
    """What the user has fixed."""
    window: float = WINDOW
    """Infinite for endpoints without a credential, such as a local server with a queue of its own, until they refuse."""
    _limit: float = attrs.field(default=inf, init=False)
    _refused_at: float = attrs.field(default=inf, init=False)
    """How many were in flight at the latest refusal; infinite once as many were accepted."""

    @property
    def limit(self) -> float:
        """Calls that may be in flight: a whole number, at least 1; infinite while nothing is known or fixed."""
        limit = min(self._limit, self.cap)
        return limit if limit == inf else max(1, int(limit))

    def call_was_accepted(self, flight: int, *, was_full: bool) -> None:
        """Note that an answer began.

        Args:
            flight: How many calls were in flight when it was sent, with it.
            was_full: Whether as many are in flight as may be, or somebody waits.
        """
        if flight >= self._refused_at:
            self._refused_at = inf
        if was_full and self._limit < self.cap:
            is_near = int(self._limit) + 1 >= self._refused_at
            self._limit += 1 / self._limit / (CAUTION if is_near else 1)

    def call_was_accepted_beside(self, accepted: int) -> None:
        """Note that so many are being served that were sent before the latest refusal, so that it came too early in a burst to tell."""
        if accepted >= self._refused_at:
            self._refused_at = accepted + 1
        self._limit = max(self._limit, accepted / 2)

    def call_got_through(self) -> None:
        """Note that a call was not refused, so that one more may be tried at a time."""
        if self.window < WINDOW:
            self.window += 1

    def call_was_refused(self, flight: int) -> None:
        """Note a refusal that is news, of a call that was one of so many."""
        self._refused_at = flight
        self._limit = max(1.0, min(self._limit, flight) / 2)
        self.window = 1
