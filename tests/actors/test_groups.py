"""Groups and topics: who is a member, and what a message to all of them costs."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import crash, deaf, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStoppedError,
    DeadLetterEvent,
    Publication,
    SpecError,
    open_system,
)


async def collect(ctx: ActorContext, seen: list[tuple[str, object]], *groups: str) -> None:
    """Join, and keep what comes."""
    for group in groups:
        ctx.join(group)
    async for message in ctx.messages():
        if isinstance(message, Exception):
            raise message
        seen.append((ctx.name, message))


async def test_a_message_to_a_group_reaches_every_member_once() -> None:
    """S61: in the order they joined; a member of two groups that match has it once; who left has it not."""
    seen: list[tuple[str, object]] = []
    async with open_system() as system:
        a = await start(system, collect, seen, "news/sport", "news", name="a")
        b = await start(system, collect, seen, "news/sport", name="b")
        c = await start(system, collect, seen, "weather", name="c")
        system.join("weather", b)
        assert system.members("news/**") == (a, b)
        assert (system.members("weather"), system.members("nobody")) == ((c, b), ())

        assert system.publish("news/**", "goal") == Publication(2, 0)
        await settle()
        assert system.leave("weather", b)
        assert not system.leave("weather", b)
        assert system.publish("weather", "rain") == Publication(1, 0)
        assert system.publish("nobody", "lost") == Publication(0, 0)
        await settle()

    assert sorted(seen) == [("a", "goal"), ("b", "goal"), ("c", "rain")]


async def test_a_member_that_is_slow_costs_nobody_anything(autojump_clock: trio.testing.MockClock) -> None:
    """S61, S64: publishing never waits; a full member loses the message, counted, with a dead letter; the others have it."""
    async with open_system() as system, system.subscribe("*") as events:
        for policy in ("block", "reject", "drop_newest", "drop_oldest"):
            ref = await start(system, deaf, name=policy, mailbox_capacity=2, mailbox_policy=policy)
            system.join("all", ref)
        quick = await start(system, name="quick")
        system.join("all", quick)
        told(events)
        published = [system.publish("all", number) for number in range(3)]

        assert published == [Publication(5, 0), Publication(5, 0), Publication(1, 4)]
        assert [ref.statistics().dropped for ref in system.members("all")] == [1, 1, 1, 1, 0]
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["dropped"] * 4


@pytest.mark.parametrize("end", ["crash", "stop"])
async def test_a_membership_ends_with_its_incarnation(end: str) -> None:
    """S57: the group forgets who has ended; the next incarnation is a member only if it joins; the group goes with the last."""
    async with open_system() as system:
        once, always = await start(system, name="once"), await start(system, collect, [], "all", name="always")
        system.join("all", once)
        for ref in (once, always):
            await (crash(ref) if end == "crash" else ref.stop())
        await settle()

        assert system.members("all") == (() if end == "stop" else (system.child("always"),))
        with pytest.raises(ActorStoppedError):
            system.join("all", once)
        assert not system.leave("all", once)
        if end == "stop":
            assert system.runtime.groups._groups == system.runtime.groups._joined == {}


async def test_joining_twice_is_joining() -> None:
    """S51: a member stays one, and leaves once."""
    async with open_system() as system:
        ref = await start(system)
        for _ in range(2):
            system.join("all", ref)

        assert system.publish("all", "once").sent == 1
        assert system.leave("all", ref)
        assert system.members("all") == ()


async def test_a_member_that_stops_gets_no_more() -> None:
    """S40: between its stop and its end it is passed over; the message is no dead letter."""
    gate = trio.Event()

    async def busy(ctx: ActorContext) -> None:
        ctx.join("all")
        async for _ in ctx.messages():
            await gate.wait()

    async with open_system() as system:
        ref = await start(system, busy)
        await ref.tell("work")
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await settle()
            assert system.publish("all", "late") == Publication(0, 0)
            gate.set()

        assert system.runtime.dead_letters.count == 0


async def test_an_actor_publishes_and_hears_itself() -> None:
    """S61: the publisher is a member like any; the message's cause is its current event."""
    seen: list[object] = []

    async def speaker(ctx: ActorContext) -> None:
        ctx.join("all")
        async for message in ctx.messages():
            seen.append(message)
            if message == "speak":
                assert ctx.publish("all", "hear").sent == 1
                assert ctx.members("all") == (ctx.ref,)
                assert ctx.leave("all")

    async with open_system() as system:
        ref: ActorRef = await start(system, speaker)
        await ref.tell("speak")
        await settle()

    assert seen == ["speak", "hear"]


@pytest.mark.parametrize("wrong", ["", "a//b", "/a", "a/*", 3])
async def test_what_is_no_group_is_refused(wrong: Any) -> None:
    """S18: nobody joins it."""
    async with open_system() as system:
        ref = await start(system)
        with pytest.raises(SpecError, match="group"):
            system.join(wrong, ref)


async def test_a_pattern_that_is_none_is_refused() -> None:
    """S18: as for subscriptions."""
    async with open_system() as system:
        with pytest.raises(SpecError, match="pattern"):
            system.publish("a**", "lost")
