"""What a supervisor decides, as total functions of values; no task, no clock, no state of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import attrs

from tinyagent_actors._errors import RestartPolicy, SpecError
from tinyagent_actors.actors import Backoff, Exit, RestartType, check_seconds

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one", "dynamic"]
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
AUTO_SHUTDOWNS: Final[tuple[AutoShutdown, ...]] = get_args(AutoShutdown)

_MOST_DOUBLINGS: Final = 1_000
"""More would leave the range of floats."""

MemberT = TypeVar("MemberT")


def is_restarted(restart: RestartType, exit: Exit, policy: RestartPolicy) -> bool:  # noqa: A002  # the field term
    """Whether a child that ended by itself is started again (S04, S05, S06).

    `policy` is how its error wants to be treated: what can never succeed is not tried again, whatever the type. Neither
    is what `stop()` ended, nor what ends the whole system (S49).
    """
    if restart == "temporary" or policy == "never" or exit.is_meant or exit.fatal is not None:
        return False
    return restart == "permanent" or exit.is_abnormal


def is_counted(exit: Exit, policy: RestartPolicy) -> bool:  # noqa: A002  # the field term
    """Whether a restart after this exit counts toward the restart intensity (S63).

    Not if it ran, and its error asks for a back-off: what failed because of others (a provider that is down) says nothing of the
    child, may befall all children at once, and is bounded by the back-off. A start that fails counts, whatever it failed of (S22).

    Not if a message that is delivered again was in hand: the crash at its first delivery was counted, and what follows has a
    bound of its own (`redeliver`), so one poison message costs one restart of the intensity, however often it is tried.
    """
    return exit.deliveries == 1 and (policy != "backoff" or not exit.started)


def restarts_groups(strategy: Strategy) -> bool:
    """Whether the restart of one child may concern others."""
    return strategy in ("one_for_all", "rest_for_one")


def ends_all(auto_shutdown: AutoShutdown, *, is_significant: bool, are_others_left: bool) -> bool:
    """Whether a supervisor ends because a child has ended by itself and is not restarted (S41, S42, S43).

    Args:
        auto_shutdown: When significant children end their supervisor.
        is_significant: Whether the child was one.
        are_others_left: Whether another significant child has not ended.
    """
    if not is_significant or auto_shutdown == "never":
        return False
    return auto_shutdown == "any_significant" or not are_others_left


def group_of(strategy: Strategy, children: Sequence[MemberT], failed: MemberT) -> Sequence[MemberT]:
    """Give whom the restart of `failed` concerns, itself included, in start order (S01, S02, S03)."""
    if strategy == "one_for_all":
        return children
    place = children.index(failed)
    return children[place:] if strategy == "rest_for_one" else children[place : place + 1]


def is_restarted_along(restart: RestartType, *, is_alive: bool) -> bool:
    """Whether a child is started again because one of its group is: not if it is temporary (S07), nor if it had ended before.

    What was stopped by order, or had done its work, is not brought back by the crash of a sibling. (OTP does bring it back.)
    """
    return is_alive and restart != "temporary"


def backoff_seconds(backoff: Backoff, failures: int, random: float) -> float:
    """Give how long a child waits for its restart (S27).

    Args:
        backoff: The rule.
        failures: How often it failed in a row before this time.
        random: A number from 0 to 1, which nobody foresees.

    Example:
        >>> [backoff_seconds(Backoff(1, 10, jitter=0), failures, 0.5) for failures in range(6)]
        [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    """
    seconds = min(backoff.min_seconds * 2.0 ** min(failures, _MOST_DOUBLINGS), backoff.max_seconds)
    return seconds * (1 + backoff.jitter * random)


@attrs.define(eq=False)
class RestartWindow:
    """How often children were restarted lately: a sliding window over times, not a counter (S20)."""

    max_restarts: int
    max_seconds: float
    _times: deque[float] = attrs.field(factory=deque, init=False)

    def allows(self, now: float) -> bool:
        """Enter a restart at `now`; False if it is one more than `max_restarts` within `max_seconds`."""
        self._times.append(now)
        while self._times and now - self._times[0] > self.max_seconds:
            self._times.popleft()
        return len(self._times) <= self.max_restarts


def check_max_children(max_children: object) -> None:
    """Refuse a bound that is none.

    Raises:
        SpecError: It is neither None nor a whole number of at least 0.
    """
    if max_children is None:
        return
    if isinstance(max_children, bool) or not isinstance(max_children, int) or max_children < 0:
        raise SpecError("max_children", f"must be a whole number of at least 0 or None, is {max_children!r}")


def check_intensity(max_restarts: object, max_seconds: object) -> None:
    """Refuse an intensity that is none.

    Raises:
        SpecError: `max_restarts` is no whole number of at least 0, or `max_seconds` no number of seconds above 0.
    """
    if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
        raise SpecError("max_restarts", f"must be a whole number of at least 0, is {max_restarts!r}")
    check_seconds("max_seconds", max_seconds)
    if max_seconds == 0:
        raise SpecError("max_seconds", "must be more than 0")
