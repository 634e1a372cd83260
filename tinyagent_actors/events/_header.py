"""The header of every event: when, where, and because of what."""

from __future__ import annotations

from typing import ClassVar

import attrs


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened. Built once, by the bus; frozen.

    "Who called whom" is a query over `cause`: the `seq` of the event that led to this one.
    """

    type: ClassVar[str] = "event"

    seq: int
    """Counts the events of a system (without one: of an `Agent`) from 1."""
    wall_time: float
    """Seconds since the epoch, UTC."""
    monotonic_time: float
    """Seconds on Trio's clock."""
    path: str
    """Path of the actor it is about; ``/`` without a system."""
    run: int | None = None
    """The agent's run, counted from 1."""
    turn: int | None = None
    """The turn of that run, counted from 1."""
    cause: int | None = None


@attrs.frozen
class Gap:
    """Told to a subscriber in place of events it lost: `count` events that matched, the first and last by `seq`."""

    type: ClassVar[str] = "gap"

    first: int
    last: int
    count: int
