"""The stash: messages put aside until the actor can use them."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import settle, start, told
from tinyagent_actors import ActorContext, ActorRef, ActorStoppedError, DeadLetterEvent, StashFullError, open_system
from tinyagent_actors.actors import DeadLetters, Envelope, EventBus, Mailbox, Pacer, ReplySlot


async def opens_later(ctx: ActorContext, seen: list[Any] | None = None) -> None:
    """Put everything aside until it is opened; then answer, and keep what came."""
    is_open = False
    async for message in ctx.messages():
        if message == "open":
            ctx.unstash_all()
            is_open = True
        elif isinstance(message, BaseException):
            raise message
        elif is_open or message == "now":
            if seen is not None:
                seen.append(message)
            ctx.reply(message)
        else:
            ctx.stash()


async def test_what_was_stashed_is_read_next_and_in_order() -> None:
    """S62: before what has been queued meanwhile; FIFO for each sender is kept."""
    seen: list[Any] = []
    async with open_system() as system:
        ref = await start(system, opens_later, seen)
        for message in (1, 2, "now", 3, "open", 4, 5):
            await ref.tell(message)
        await settle()

    assert seen == ["now", 1, 2, 3, 4, 5]


async def test_an_ask_is_stashed_with_its_reply_slot(autojump_clock: trio.testing.MockClock) -> None:
    """S62: it is answered when it is read again, not failed; an asker who has left is passed by."""
    answers: list[Any] = []

    async def ask(ref: ActorRef, message: object, seconds: float) -> None:
        with trio.move_on_after(seconds):
            answers.append(await ref.ask(message))

    seen: list[Any] = []
    async with open_system() as system:
        ref = await start(system, opens_later, seen)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref, "kept", 10)
            nursery.start_soon(ask, ref, "withdrawn", 1)
            await trio.sleep(5)
            await ref.tell("open")

    assert (answers, seen) == (["kept"], ["kept"])


async def test_a_crash_gives_the_stash_back() -> None:
    """S62: in order, before the queue; the next incarnation reads it, asks included; only the message in hand is lost."""
    seen: list[Any] = []
    answers: list[Any] = []

    async def ask(ref: ActorRef) -> None:
        with trio.move_on_after(5):
            answers.append(await ref.ask("asked"))

    async with open_system() as system, system.subscribe("*") as events:
        ref = await start(system, opens_later, seen)
        await ref.tell(1)
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref)
            await settle()
            for message in (2, ValueError("boom"), 3, "open", 4):
                ref.tell_nowait(message)
        await settle()

        assert [event.message_type for event in told(events, DeadLetterEvent)] == ["ValueError"]
    assert (seen, answers) == ([1, "asked", 2, 3, 4], ["asked"])


async def test_the_final_stop_buries_the_stash() -> None:
    """S62: what is stashed then is a dead letter each, and its asks fail."""
    failed: list[str] = []

    async def ask(ref: ActorRef) -> None:
        with pytest.raises(ActorStoppedError) as caught:
            await ref.ask("asked")
        failed.append(type(caught.value).__name__)

    async with open_system() as system:
        ref = await start(system, opens_later)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref)
            await ref.tell("told")
            await settle()
            await ref.stop()

        assert (failed, system.runtime.dead_letters.count) == (["ActorStoppedError"], 2)


async def test_what_is_put_back_too_late_is_buried() -> None:
    """S62: into a mailbox that was closed before the incarnation ended: dead letters, and its asks fail; nothing is lost in silence."""
    letters = DeadLetters(EventBus())
    mailbox = Mailbox("/a", letters, Pacer())
    slot = ReplySlot("/a", float("inf"), letters)
    mailbox.close()
    mailbox.put_first([("told", None), Envelope("asked", None, slot)])

    assert letters.count == 2
    assert slot.is_answered
    assert mailbox.statistics().depth == 0


async def test_the_stash_is_bounded() -> None:
    """S61: as many as the mailbox may hold; withdrawn asks make room; the error is the actor's to handle, or its end."""
    full: list[object] = []

    async def hoards(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            try:
                ctx.stash()
            except StashFullError as error:
                full.append(error.capacity)

    async with open_system() as system:
        ref = await start(system, hoards, mailbox_capacity=2)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ref.ask, "withdrawn")
                await settle()
                scope.cancel()
        for number in range(3):
            await ref.tell(number)
        await settle()

    assert full == [2]


async def test_only_work_that_is_in_hand_and_unanswered_is_stashed() -> None:
    """Not nothing, not twice, not a timer's message, not an ask that was answered or deferred."""
    refused: list[object] = []

    def try_it(ctx: ActorContext, what: object) -> None:
        try:
            ctx.stash()
        except RuntimeError:
            refused.append(what)

    async def tries(ctx: ActorContext) -> None:
        ctx.started()
        try_it(ctx, "nothing")
        ctx.send_after(0, "timer")
        slot = None
        async for message in ctx.messages():
            match message:
                case "answered":
                    ctx.reply(None)
                case "deferred":
                    slot = ctx.defer_reply()
                case "twice":
                    ctx.stash()
            try_it(ctx, message)
            if slot is not None:
                slot.reply(None)

    async with open_system() as system:
        ref = await start(system, tries)
        await ref.ask("answered")
        await ref.ask("deferred")
        await ref.tell("twice")
        await settle()

    assert refused == ["nothing", "timer", "answered", "deferred", "twice"]


async def test_unstashing_above_the_bound_lets_nobody_in_before() -> None:
    """S61, S62: senders that wait come after what was stashed; none is lost, whatever the mailbox holds by then."""
    seen: list[Any] = []
    async with open_system() as system:
        ref = await start(system, opens_later, seen, mailbox_capacity=2)
        for number in (1, 2):
            await ref.tell(number)
        await settle()
        async with trio.open_nursery() as nursery:
            await ref.tell("open")
            await ref.tell(3)
            nursery.start_soon(ref.tell, 4)
        await settle()
        ref.tell_nowait(5)
        await settle()

    assert seen == [1, 2, 3, 4, 5]
