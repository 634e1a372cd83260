"""The mailbox against Trio's channels: one sender delivered end to end, and asks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from tinyagent_actors import ActorContext, ChildSpec, open_system

Timed: TypeAlias = Callable[[], Awaitable[float]]

ROUNDS = 7
MESSAGES = 40_000
ASKS = 10_000


async def _reader(ctx: ActorContext) -> None:
    async for message in ctx.messages():
        ctx.reply(message)


async def _tells() -> float:
    async with open_system() as system:
        ref = await system.start_child(ChildSpec("reader", _reader))
        began = time.perf_counter()
        for number in range(MESSAGES):
            await ref.tell(number)
        await ref.ask("last")
        return time.perf_counter() - began


async def _sends() -> float:
    sender, receiver = trio.open_memory_channel[int](64)

    async def read() -> None:
        async for _ in receiver:
            pass

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        async with sender:
            for number in range(MESSAGES):
                await sender.send(number)
    return time.perf_counter() - began


async def _asks() -> float:
    async with open_system() as system:
        ref = await system.start_child(ChildSpec("reader", _reader))
        began = time.perf_counter()
        for number in range(ASKS):
            await ref.ask(number)
        return time.perf_counter() - began


async def _round_trips() -> float:
    there, here = trio.open_memory_channel[int](1)
    back, again = trio.open_memory_channel[int](1)

    async def answer() -> None:
        async for message in here:
            await back.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        began = time.perf_counter()
        for number in range(ASKS):
            await there.send(number)
            await again.receive()
        taken = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    return taken


def _throughput_ratio(ours: Timed, reference: Timed) -> float:
    taken = [(trio.run(ours), trio.run(reference)) for _ in range(ROUNDS)]
    return statistics.median(theirs for _, theirs in taken) / statistics.median(mine for mine, _ in taken)


def tell_ratio() -> float:
    """How many times as many messages a second as `send` on a channel of capacity 64."""
    return _throughput_ratio(_tells, _sends)


def ask_ratio() -> float:
    """How many times as many asks a second as round trips over two channels of capacity 1."""
    return _throughput_ratio(_asks, _round_trips)
