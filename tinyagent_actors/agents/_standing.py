"""Standing: whoever waits for agents that work beside it has its clock stand while what it waits for stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from tinyagent_actors.actors import Clock, Pause, current_clock


@contextmanager
def standing_with(clocks: Collection[Clock], *, needs_all: bool) -> Iterator[None]:
    """Have the clock of this task, and all above it, stand while nothing that it waits for can come. However the block is left.

    Args:
        clocks: One for each that is waited for.
        needs_all: Whether all have to come, so that one that stands holds the wait; else it takes all of them.
    """
    own = current_clock.get()
    pauses: list[Pause] = []

    def move() -> None:
        stand = [clock.is_paused for clock in clocks]
        if any(stand) if needs_all else stand and all(stand):
            if own is not None and not pauses:
                pauses.append(own.pause())
        elif pauses:
            pauses.pop().end()

    for clock in clocks:
        clock.follow(move)
    move()
    try:
        yield
    finally:
        for clock in clocks:
            clock.unfollow(move)
        for pause in pauses:
            pause.end()
