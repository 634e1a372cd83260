"""Trio's order of tasks, made repeatable: its two private names, in this one place.

Tasks that can run in one tick run in an order that Trio leaves open. It has a switch that sorts them, then shuffles them by
a random generator of its own, and so makes the order a function of that generator's seed. Both names are private, so
whether this Trio has them is asked first, and what they were is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

_SWITCH = "_ALLOW_DETERMINISTIC_SCHEDULING"
_GENERATOR = "_r"


@contextmanager
def seeded_schedule(seed: int) -> Iterator[None]:
    """Make the order of tasks of a `trio.run` in this block a function of `seed`. Of one thread at a time.

    Raises:
        RuntimeError: This version of Trio has other names for what is needed.
    """
    module: Any = trio._core._run  # noqa: SLF001  # see above
    if not (hasattr(module, _SWITCH) and hasattr(getattr(module, _GENERATOR, None), "seed")):
        message = f"Trio {trio.__version__} has no deterministic schedule where tinyagent_actors.testing looks for it"
        raise RuntimeError(message)
    generator, was_on = getattr(module, _GENERATOR), getattr(module, _SWITCH)
    state = generator.getstate()
    setattr(module, _SWITCH, True)
    generator.seed(seed)
    try:
        yield
    finally:
        setattr(module, _SWITCH, was_on)
        generator.setstate(state)
