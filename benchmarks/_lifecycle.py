"""The life of an actor against the life of a bare task: start and stop, memory while idle, and how both grow with their number.

CPU time, as in `_mailbox`. Growth is a quotient of quotients: what one costs among 100,000 over what one costs among 10,000,
ours over the same of bare tasks, since Trio itself is a little worse than linear. The garbage collector is off while a
time is taken, in both: what it costs depends on all that the process holds, not on what is measured.
"""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import trio
import trio.testing

from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStartedEvent,
    ActorStoppedEvent,
    ChildSpec,
    Down,
    SupervisorRef,
    block,
    open_system,
    supervisor,
)

Timed: TypeAlias = Callable[[int], Awaitable[float]]

ROUNDS = 5
PAIRS = 5_000
IDLE = 5_000
FEW = 10_000
MANY = 100_000
RESTARTS = 2_000


async def idle(ctx: ActorContext) -> None:
    """Wait for messages; there are none."""
    async for message in ctx.messages():
        if message == "crash":
            raise ValueError(message)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Take the CPU time of the block; it stands in the list afterwards."""
    taken: list[float] = []
    gc.collect()
    gc.disable()
    began = time.process_time()
    try:
        yield taken
        taken.append(time.process_time() - began)
    finally:
        gc.enable()


async def start_and_stop(pairs: int = PAIRS) -> float:
    """Start a supervised actor and stop it, one after the other, while a subscriber reads both of its events."""
    seen = 0
    async with open_system() as system:
        pool: SupervisorRef = await system.start_child(supervisor("pool"))
        async with system.subscribe("pool/*", policy=block(4 * pairs)) as events:
            with _timed() as taken:
                for number in range(pairs):
                    ref = await pool.start_child(ChildSpec(str(number), idle, restart="temporary"))
                    await ref.stop()
                while (event := events.next_nowait()) is not None:
                    seen += isinstance(event, ActorStartedEvent | ActorStoppedEvent)
    assert seen == 2 * pairs, seen
    return taken[0] / pairs


async def bare_start_and_stop(pairs: int = PAIRS) -> float:
    """Start a task and have it end: `nursery.start`, an Event that says stop, an Event that says done."""

    async def run(
        stop: trio.Event, done: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        await stop.wait()
        done.set()

    async with trio.open_nursery() as nursery:
        with _timed() as taken:
            for _ in range(pairs):
                stop, done = trio.Event(), trio.Event()
                await nursery.start(run, stop, done)
                stop.set()
                await done.wait()
    return taken[0] / pairs


async def live_together(number: int) -> float:
    """Start that many actors, then stop them all in order."""
    specs = [ChildSpec(str(each), idle) for each in range(number)]
    with _timed() as taken:
        async with open_system(shutdown=600) as system:
            await system.start_child(supervisor("pool", children=specs))
    return taken[0] / number


async def bare_live_together(number: int) -> float:
    """Start that many tasks, then end them all."""

    async def run(stop: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await stop.wait()

    stops = [trio.Event() for _ in range(number)]
    with _timed() as taken:
        async with trio.open_nursery() as nursery:
            for stop in stops:
                await nursery.start(run, stop)
            for stop in reversed(stops):
                stop.set()
    return taken[0] / number


async def fan_out(number: int) -> float:
    """Tell that many watchers of the end of one actor."""
    heard = 0
    all_heard = trio.Event()

    async def watch(ctx: ActorContext, watched: ActorRef) -> None:
        nonlocal heard
        watched.monitor()
        async for message in ctx.messages():
            heard += isinstance(message, Down)
            if heard == number:
                all_heard.set()

    async with open_system(shutdown=600) as system:
        watched: ActorRef = await system.start_child(ChildSpec("watched", idle))
        specs = [ChildSpec(str(each), watch, args=(watched,)) for each in range(number)]
        await system.start_child(supervisor("pool", children=specs))
        with _timed() as taken:
            await watched.stop()
            await all_heard.wait()
    return taken[0] / number


async def bare_fan_out(number: int) -> float:
    """Wake that many tasks that wait for one Event."""
    heard = 0
    all_heard, ended = trio.Event(), trio.Event()

    async def watch() -> None:
        nonlocal heard
        await ended.wait()
        heard += 1
        if heard == number:
            all_heard.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        with _timed() as taken:
            ended.set()
            await all_heard.wait()
        nursery.cancel_scope.cancel()
    return taken[0] / number


async def restart_among(number: int) -> float:
    """Crash one of that many actors, again and again; what one restart costs."""
    specs = [ChildSpec(str(each), idle) for each in range(number)]
    async with open_system(shutdown=600) as system:
        pool: SupervisorRef = await system.start_child(supervisor("pool", children=specs, max_restarts=RESTARTS))
        name = str(number // 2)
        with _timed() as taken:
            for _ in range(RESTARTS):
                ref: ActorRef = pool.child(name)
                await ref.tell("crash")
                await ref.wait_stopped()
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
    return taken[0] / RESTARTS


async def bare_restart_among(number: int) -> float:
    """End one of that many tasks and start another in its place, again and again."""

    async def run(stop: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await stop.wait()

    stops = [trio.Event() for _ in range(number)]
    async with trio.open_nursery() as nursery:
        for stop in stops:
            await nursery.start(run, stop)
        mine = trio.Event()
        await nursery.start(run, mine)
        with _timed() as taken:
            for _ in range(RESTARTS):
                mine.set()
                await trio.lowlevel.checkpoint()
                mine = trio.Event()
                await nursery.start(run, mine)
        nursery.cancel_scope.cancel()
    return taken[0] / RESTARTS


def rate_ratio() -> float:
    """How many times as many starts and stops a second as of bare tasks."""
    taken = [(trio.run(bare_start_and_stop), trio.run(start_and_stop)) for _ in range(ROUNDS)]
    return statistics.median(theirs for theirs, _ in taken) / statistics.median(mine for _, mine in taken)


def idle_bytes() -> float:
    """What an idle function actor takes, its task and its place in its supervisor included."""
    return trio.run(_idle_bytes)


async def _idle_bytes() -> float:
    specs = [ChildSpec(str(each), idle) for each in range(IDLE)]
    async with open_system() as system:
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            await system.start_child(supervisor("pool", children=specs))
            gc.collect()
            return (tracemalloc.get_traced_memory()[0] - before) / IDLE
        finally:
            tracemalloc.stop()


def growth(ours: Timed, reference: Timed) -> float:
    """How much worse than bare tasks it grows from `FEW` to `MANY`; 1.0: alike."""
    taken = [[trio.run(timed, number) for timed in (ours, reference) for number in (FEW, MANY)] for _ in range(ROUNDS)]
    few, many, bare_few, bare_many = (statistics.median(column) for column in zip(*taken, strict=True))
    return float((many / few) / (bare_many / bare_few))
