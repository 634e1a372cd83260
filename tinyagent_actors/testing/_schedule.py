"""The same test under many orders of tasks: what a race needs to show itself, and to show itself again.

Each run has a clock of its own that jumps to the next deadline when all is quiet, and an order of tasks that is a function
of its seed. A run that has come to a standstill is at its virtual deadline at once, so that a deadlock is a failing seed
and not a test that hangs.

A seed replays its run as long as nothing but Trio decides what comes next: no thread, process or socket, no
`random.SystemRandom`, no order of a set of objects. The module `random` is seeded with the run.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar

import trio
import trio.testing

from tinyagent_actors.testing._trio_schedule import seeded_schedule

ArgsT = ParamSpec("ArgsT")
ResultT = TypeVar("ResultT")

SEED_VARIABLE: Final = "TINYAGENT_SEED"
"""The environment variable that names the one seed to be replayed."""
DEFAULT_SEEDS: Final = 200
VIRTUAL_DEADLINE: Final = 100_000.0
"""Seconds of virtual time that one run may take."""


def run_seed(async_fn: Callable[..., Awaitable[ResultT]], *args: Any, seed: int) -> ResultT:
    """Run an async function under virtual time, with the order of tasks that belongs to `seed`.

    Returns:
        What it returned.

    Raises:
        RuntimeError: This Trio has no deterministic schedule, or a `trio.run` goes on already.
        trio.TooSlowError: It came to a standstill: a deadlock.
    """

    async def main() -> ResultT:
        with trio.fail_after(VIRTUAL_DEADLINE):
            return await async_fn(*args)

    state = random.getstate()
    random.seed(seed)
    try:
        with seeded_schedule(seed):
            return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        random.setstate(state)


def run_seeds(
    async_fn: Callable[..., Awaitable[object]], *args: Any, seeds: int | Iterable[int] = DEFAULT_SEEDS
) -> None:
    """Run an async function under many orders of tasks, one after the other, until one fails.

    What it raises is raised on, with a note that names the seed. Where the environment variable ``TINYAGENT_SEED`` is set,
    only that seed is run.

    Args:
        async_fn: What to run. It must make anew whatever it changes.
        *args: Its arguments.
        seeds: How many, from 0; or which.
    """
    replayed = os.environ.get(SEED_VARIABLE)
    chosen = range(seeds) if isinstance(seeds, int) else seeds
    for seed in chosen if replayed is None else (int(replayed),):
        try:
            run_seed(async_fn, *args, seed=seed)
        except BaseException as error:
            name = getattr(getattr(async_fn, "func", async_fn), "__qualname__", repr(async_fn))
            error.add_note(f"{name} failed under seed {seed}; to replay it: {SEED_VARIABLE}={seed}")
            raise


def deterministic(
    *, seeds: int | Iterable[int] = DEFAULT_SEEDS
) -> Callable[[Callable[ArgsT, Awaitable[object]]], Callable[ArgsT, None]]:
    """Make a test of an async test function: it runs it under many orders of tasks, as `run_seeds`.

    The result is a plain function: no async fixture reaches it, and its clock is its own.

    Args:
        seeds: How many, from 0; or which.

    Example:
        ::

            @deterministic(seeds=200)
            async def test_two_writers() -> None:
                async with open_system() as system: ...
    """

    def decorate(test: Callable[ArgsT, Awaitable[object]]) -> Callable[ArgsT, None]:
        @functools.wraps(test)
        def run_under_seeds(*args: ArgsT.args, **kwargs: ArgsT.kwargs) -> None:
            run_seeds(functools.partial(test, *args, **kwargs), seeds=seeds)

        return run_under_seeds

    return decorate
