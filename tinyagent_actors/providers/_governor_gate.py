"""Gate: who may ask now. The whole of a governor's judgement as a state machine: pure, with a clock that is passed in.

It knows no tasks. Calls come (`try_enter`, else `wait`), go away (`withdraw`), and say how they fared (`accept`, `refuse`, `give_back`);
after each of these, and at `next_time`, `decide` says who of those that wait gets a place, and who is told that it is
not worth waiting. Whoever drives it must do so at once: a place that was decided is in flight from then on.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Final, TypeAlias

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.providers._back_off import wait_after, with_jitter
from tinyagent_actors.providers._governor_limit import InFlightLimit
from tinyagent_actors.providers._governor_queue import FairQueue, Waiter

MAX_WAITING: Final = 4096
"""Calls that may wait at one governor; one more is an error."""
PATIENCE: Final = 1.0
"""Seconds after which a call that was not refused is taken to have got through. Providers refuse at once, and answer when they can."""
LONGEST_PAUSE: Final = 3600.0
"""Seconds after which a provider is asked again, whatever it said: one wrong header must not silence a program for days."""


@attrs.define(eq=False)
class Place:
    """Leave to have one call in flight. It is given back once."""

    epoch: int
    """How many cuts of the limit there were when it was given."""
    flight: int
    """How many calls were in flight then, with this one."""
    is_accepted: bool = False
    """Whether its answer has begun."""
    is_over: bool = False


Decision: TypeAlias = tuple[Waiter, Place | ProviderError]
"""Who waited, and what for: a place, or the reason why there will be none."""


@attrs.define(eq=False)
class Gate:
    """The state of one governor."""

    limit: InFlightLimit
    _random: Callable[[], float]
    max_waiting: int = MAX_WAITING
    queue: FairQueue = attrs.field(factory=FairQueue, init=False)
    in_flight: int = attrs.field(default=0, init=False)
    paused_until: float = attrs.field(default=-inf, init=False)
    pause_error: ProviderError | None = attrs.field(default=None, init=False)
    """The refusal that led to the pause."""
    granted: int = attrs.field(default=0, init=False)
    """Places given so far."""
    refused: int = attrs.field(default=0, init=False)
    """Calls refused so far."""
    refusals: int = attrs.field(default=0, init=False)
    """Pieces of news in a row, with no call accepted that was sent after the last one."""
    _told_until: float = attrs.field(default=-inf, init=False)
    """The end of the pause as the provider told it, or as the back-off has it: without jitter, and without `LONGEST_PAUSE`."""
    _accepted: int = attrs.field(default=0, init=False)
    """Calls in flight whose answer has begun."""
    _epoch: int = attrs.field(default=0, init=False)
    _tickets: int = attrs.field(default=0, init=False)
    _unproven: OrderedDict[Place, float] = attrs.field(factory=OrderedDict, init=False)
    """Places whose answer has not begun, oldest first, and since when."""
    _told_off: list[Decision] = attrs.field(factory=list, init=False)

    # Calls come and go.

    def try_enter(self, now: float) -> Place | None:
        """Give a place if there is one and nobody waits for it; the way of every call where nothing is short."""
        if len(self.queue) == 0 and self._has_room(now):
            return self._place(now)
        return None

    def wait(self, waiter: Waiter, now: float, *, again: bool = False) -> None:
        """Have a call wait; `again`: it had a place, and was refused.

        Raises:
            ProviderError: Too many wait, or a pause is longer than this call would wait.
        """
        if self.is_too_long(waiter, now):
            raise self._too_long(now)
        if len(self.queue) >= self.max_waiting:
            raise ProviderError(
                "overloaded", f"{self.max_waiting} calls wait for this provider already", retryable=True
            )
        if waiter.ticket == 0:
            self._tickets += 1
            waiter.ticket = self._tickets
        self.queue.add(waiter, again=again)

    def withdraw(self, waiter: Waiter) -> None:
        """Forget a call that waits."""
        self.queue.remove(waiter)

    # How they fared.

    def accept(self, place: Place) -> None:
        """Note that the answer to a call has begun."""
        if place.is_accepted or place.is_over:
            return
        place.is_accepted = True
        self._accepted += 1
        if place.epoch == self._epoch:
            self.refusals = 0
            was_full = len(self.queue) > 0 or self.in_flight >= self.limit.limit
            self.limit.call_was_accepted(place.flight, was_full=was_full)
        else:  # it was sent before the latest refusal, and tells nothing of the time after it
            self.limit.call_was_accepted_beside(self._accepted)
        self._prove(place)

    def give_back(self, place: Place) -> None:
        """Take a place back, however its call ended; doing so again changes nothing."""
        if not place.is_over:
            place.is_over = True
            self.in_flight -= 1
            self._accepted -= place.is_accepted
            self._unproven.pop(place, None)

    def refuse(self, place: Place, error: ProviderError, now: float) -> None:
        """Note that the provider would not serve a call: less at once from now on, and a pause for all. Takes the place back."""
        if place.is_over:
            return
        self.refused += 1
        is_news = place.epoch == self._epoch
        if is_news:
            self._epoch += 1
            self.refusals += 1
            self.limit.call_was_refused(max(place.flight, self._accepted + 1))
        self.give_back(place)
        if is_news or error.retry_after:
            self._pause(error, now)

    def _pause(self, error: ProviderError, now: float) -> None:
        seconds = wait_after(self.refusals or 1, error.retry_after)
        end = now + min(with_jitter(seconds, self._random), LONGEST_PAUSE)
        if end <= self.paused_until:
            return
        told = now + seconds
        self._told_until = max(self._told_until, told) if now < self.paused_until else told
        self.paused_until = end
        self.pause_error = error
        for waiter in [waiter for waiter in self.queue if self.is_too_long(waiter, now)]:
            self.queue.remove(waiter)
            self._told_off.append((waiter, self._too_long(now)))

    def is_too_long(self, waiter: Waiter, now: float) -> bool:
        """Whether there is a pause, and a call would rather have its error than wait for the end of it."""
        return now < self.paused_until and self._told_until - now > waiter.max_wait

    def _too_long(self, now: float) -> ProviderError:
        """Give the error of calls that would not wait as long as the pause lasts."""
        assert self.pause_error is not None  # there is a pause
        left = float(math.ceil(self._told_until - now))
        return attrs.evolve(self.pause_error, retry_after=left, retryable=True)

    # What follows.

    def decide(self, now: float) -> list[Decision]:
        """Give everybody whose waiting is over."""
        decided, self._told_off = self._told_off, []
        while len(self.queue) > 0 and self._has_room(now):
            decided.append((self.queue.pop(), self._place(now)))
        return decided

    def next_time(self, now: float) -> float:
        """Give when time alone will let somebody in, if nothing else happens; infinite: it will not.

        It is not after `now` where that time has come since the last `decide`.
        """
        if len(self.queue) == 0 or self.in_flight >= self.limit.limit:
            return inf
        if now < self.paused_until:
            return self.paused_until
        if len(self._unproven) < self.limit.window:
            return now
        return next(iter(self._unproven.values())) + PATIENCE

    def seconds_left(self, now: float) -> float:
        """Give how long the pause lasts; 0 without one."""
        return max(0.0, self.paused_until - now)

    def _has_room(self, now: float) -> bool:
        if now < self.paused_until or self.in_flight >= self.limit.limit:
            return False
        while len(self._unproven) >= self.limit.window:
            oldest, since = next(iter(self._unproven.items()))
            if now < since + PATIENCE:
                return False
            self._prove(oldest)
        return True

    def _place(self, now: float) -> Place:
        self.in_flight += 1
        place = Place(self._epoch, self.in_flight)
        self.granted += 1
        self._unproven[place] = now
        return place

    def _prove(self, place: Place) -> None:
        if self._unproven.pop(place, None) is not None and place.epoch == self._epoch:
            self.limit.call_got_through()
