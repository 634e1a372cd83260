"""The mailbox against Trio's channels: one sender delivered end to end, and asks; and how fair it is to many senders.

What is measured is CPU time: nothing here waits for anything but its own process, so that is the wall of an idle machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from tinyagent_actors import ActorContext, ActorRef, ChildSpec, open_system

Timed: TypeAlias = Callable[[], Awaitable[float]]

ROUNDS = 7
MESSAGES = 40_000
ASKS = 10_000
SENDERS = 100
TURNS = 100


async def _reader(ctx: ActorContext) -> None:
    async for message in ctx.messages():
        ctx.reply(message)


async def _tells() -> float:
    async with open_system() as system:
        ref = await system.start_child(ChildSpec("reader", _reader))
        began = time.process_time()
        for number in range(MESSAGES):
            await ref.tell(number)
        await ref.ask("last")
        return time.process_time() - began


async def _sends() -> float:
    sender, receiver = trio.open_memory_channel[int](64)

    async def read() -> None:
        async for _ in receiver:
            pass

    began = time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        async with sender:
            for number in range(MESSAGES):
                await sender.send(number)
    return time.process_time() - began


async def _asks() -> float:
    async with open_system() as system:
        ref = await system.start_child(ChildSpec("reader", _reader))
        began = time.process_time()
        for number in range(ASKS):
            await ref.ask(number)
        return time.process_time() - began


async def _round_trips() -> float:
    there, here = trio.open_memory_channel[int](1)
    back, again = trio.open_memory_channel[int](1)

    async def answer() -> None:
        async for message in here:
            await back.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        began = time.process_time()
        for number in range(ASKS):
            await there.send(number)
            await again.receive()
        taken = time.process_time() - began
        nursery.cancel_scope.cancel()
    return taken


async def _calls() -> float:
    """A request that carries an Event of its own, over one channel: what one would write without two channels."""
    there, here = trio.open_memory_channel[tuple[int, trio.Event, list[int]]](1)

    async def answer() -> None:
        async for message, answered, place in here:
            place.append(message)
            answered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        began = time.process_time()
        for number in range(ASKS):
            answered = trio.Event()
            place: list[int] = []
            await there.send((number, answered, place))
            await answered.wait()
            place.pop()
        taken = time.process_time() - began
        nursery.cancel_scope.cancel()
    return taken


async def _longest_absence() -> float:
    """Let many senders tell as fast as they can; give the most deliveries between two of one sender."""
    turns: list[int] = []

    async def note(ctx: ActorContext) -> None:
        async for sender in ctx.messages():
            turns.append(sender)
            if len(turns) == SENDERS * TURNS:
                return

    async def tell(ref: ActorRef, sender: int) -> None:
        while True:
            await ref.tell(sender)

    async with open_system() as system:
        ref = await system.start_child(ChildSpec("reader", note, restart="temporary"))
        async with trio.open_nursery() as nursery:
            for sender in range(SENDERS):
                nursery.start_soon(tell, ref, sender)
            await ref.wait_stopped()
            nursery.cancel_scope.cancel()
    latest: dict[int, int] = {}
    longest = 0
    for place, sender in enumerate(turns):
        longest = max(longest, place - latest.get(sender, 0))
        latest[sender] = place
    ends = [len(turns) - latest.get(sender, 0) for sender in range(SENDERS)]
    return max(longest, *ends)


def _throughput_ratio(ours: Timed, reference: Timed) -> float:
    taken = [(trio.run(ours), trio.run(reference)) for _ in range(ROUNDS)]
    return statistics.median(theirs for _, theirs in taken) / statistics.median(mine for mine, _ in taken)


def tell_ratio() -> float:
    """How many times as many messages a second as `send` on a channel of capacity 64."""
    return _throughput_ratio(_tells, _sends)


def ask_ratio() -> float:
    """How many times as many asks a second as round trips over two channels of capacity 1."""
    return _throughput_ratio(_asks, _round_trips)


def call_ratio() -> float:
    """How many times as many asks a second as requests over a channel, each with a fresh Event for its answer."""
    return _throughput_ratio(_asks, _calls)


def longest_absence() -> float:
    """The most deliveries between two turns of one of many senders into one mailbox, over the mean: their number."""
    return statistics.median(trio.run(_longest_absence) for _ in range(ROUNDS)) / SENDERS
