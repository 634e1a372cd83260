"""The clock of whoever asks travels with the ask."""

from __future__ import annotations

import trio

from tests._kernel import settle, start
from tinyagent_actors import ActorContext, ActorRef, PipedValue, open_system
from tinyagent_actors.actors import Clock, current_clock


class Looking:
    """An actor that notes the clock of each ask, while it has it in hand and after it has answered."""

    def __init__(self) -> None:
        self.seen: list[Clock | None] = []
        self.gate = trio.Event()
        self.gate.set()

    async def __call__(self, ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            slot = ctx.defer_reply()
            self.seen.append(slot.clock)
            await self.gate.wait()
            slot.reply(None)
            self.seen.append(slot.clock)


async def test_the_clock_of_the_asker_travels() -> None:
    """T22: whoever is asked can hold the clock that waits for the answer, as long as it waits."""
    looking, clock = Looking(), Clock("tool", 10)
    async with open_system() as system:
        ref = await start(system, looking)
        await ref.ask("no clock")
        token = current_clock.set(clock)
        await ref.ask("with one")
        current_clock.reset(token)

    assert looking.seen == [None, None, clock, None]


async def test_an_asker_that_went_away_waits_no_more() -> None:
    """T22: a cancelled ask has no clock any more."""
    looking = Looking()
    looking.gate = trio.Event()
    slots: list[Clock | None] = []
    async with open_system() as system:
        ref = await start(system, looking)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                current_clock.set(Clock("tool", 10))
                nursery.start_soon(ref.ask, "go")
                current_clock.set(None)
                await settle()
                slots.append(looking.seen[0])
                scope.cancel()
        looking.gate.set()
        await settle()

    assert slots[0] is not None
    assert looking.seen[1] is None


async def test_an_actor_between_hands_the_clock_on() -> None:
    """T22: an actor that asks on behalf of what it was asked passes on the clock that waits for it; told, or once it has answered, none."""
    looking, clock = Looking(), Clock("tool", 10)

    async def between(ctx: ActorContext, ref: ActorRef) -> None:
        async for _ in ctx.messages():
            await ref.ask("for you")
            ctx.reply(None)
            await ref.ask("for me")

    async with open_system() as system:
        ref = await start(system, looking)
        middle = await start(system, between, ref, name="between")
        token = current_clock.set(clock)
        await middle.ask("go")
        current_clock.reset(token)
        await middle.tell("go")
        await settle()

    assert looking.seen[::2] == [clock, None, None, None]


async def test_a_background_task_waits_for_nobody() -> None:
    """T22: what a background task asks holds nobody's clock: its actor goes on."""
    looking = Looking()

    async def busy(ctx: ActorContext, ref: ActorRef) -> None:
        async for message in ctx.messages():
            if not isinstance(message, PipedValue):
                token = current_clock.set(Clock("tool", 10))
                ctx.pipe_to_self(ref.ask, "beside")
                current_clock.reset(token)

    async with open_system() as system:
        ref = await start(system, looking)
        await (await start(system, busy, ref, name="busy")).tell("go")
        await settle()

    assert looking.seen == [None, None]
