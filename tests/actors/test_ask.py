"""Asks: one answer, or a typed error; never the wrong answer, never a wait without end."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import crash, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorDiedError,
    ActorRef,
    ActorStoppedError,
    DeadLetterEvent,
    MailboxFullError,
    NotAnsweredError,
    ReplySlot,
    open_system,
)


async def slow(ctx: ActorContext, seen: list[object] | None = None) -> None:
    """Take two seconds for each message."""
    async for message in ctx.messages():
        if seen is not None:
            seen.append(message)
        await trio.sleep(2)
        ctx.reply(message)


async def gated(ctx: ActorContext, gate: trio.Event, seen: list[object]) -> None:
    """Handle the first message when the gate opens."""
    async for message in ctx.messages():
        seen.append(message)
        await gate.wait()
        ctx.reply(message)


async def test_an_ask_is_answered() -> None:
    """An ask gives what the actor replied."""
    async with open_system() as system:
        ref = await start(system)

        assert await ref.ask(5) == 5


async def test_many_askers_get_their_own_answers_in_turn() -> None:
    """Fairness: asks are answered in the order they were made, each to its asker."""
    answered: list[int] = []

    async def one(ref: ActorRef, number: int) -> None:
        assert await ref.ask(number) == number
        answered.append(number)

    async with open_system() as system:
        ref = await start(system, mailbox_capacity=3)
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(one, ref, number)
                await settle()

    assert answered == list(range(20))


async def test_a_crash_fails_the_ask_in_hand_at_once() -> None:
    """S59: with the cause, and not after a timeout; the actor's other messages are not touched."""
    async with open_system() as system:
        ref = await start(system)
        with trio.fail_after(5), pytest.raises(ActorDiedError) as caught:
            await ref.ask(ValueError("poison"))

        assert str(caught.value.cause) == "ValueError: poison"
        assert await ref.ask("next") == "next"


async def test_queued_asks_wait_for_the_next_incarnation() -> None:
    """S62: a crash fails only the ask in hand; the queued one is answered by the incarnation that follows."""
    gate = trio.Event()
    seen: list[object] = []

    async def fragile(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append(message)
            await gate.wait()
            if message == "poison":
                raise ValueError(message)
            ctx.reply(message)

    answers: list[object] = []

    async def ask(ref: ActorRef, message: object) -> None:
        try:
            answers.append(await ref.ask(message))
        except ActorDiedError:
            answers.append("died")

    async with open_system() as system:
        ref = await start(system, fragile)
        async with trio.open_nursery() as nursery:
            for message in ("poison", "queued"):
                nursery.start_soon(ask, ref, message)
                await settle()
            gate.set()

    assert (answers, seen) == (["died", "queued"], ["poison", "queued"])


async def test_queued_asks_fail_when_no_incarnation_will_come() -> None:
    """S59: a temporary actor that crashes fails what is queued too."""
    gate = trio.Event()

    async def fragile(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            await gate.wait()
            raise ValueError

    async def ask(ref: ActorRef, error: type[Exception]) -> None:
        with pytest.raises(error):
            await ref.ask("anything")

    async with open_system() as system:
        ref = await start(system, fragile, restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref, ActorDiedError)
            await settle()
            nursery.start_soon(ask, ref, ActorStoppedError)
            await settle()
            gate.set()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_an_end_from_outside_fails_the_ask_in_hand(end: str, autojump_clock: trio.testing.MockClock) -> None:
    """S59: whoever ends the actor before it has answered, the asker is told at once."""
    gate = trio.Event()

    async def ask(ref: ActorRef) -> None:
        with pytest.raises(ActorDiedError) as caught:
            await ref.ask("anything")
        assert caught.value.reason == "killed"

    async with open_system() as system:
        ref = await start(system, gated, gate, [], restart="temporary", shutdown=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref)
            await settle()
            if end == "kill":
                ref.kill()
            else:
                await ref.stop()


async def test_a_normal_return_without_an_answer() -> None:
    """A return acknowledges the message in hand: NotAnsweredError, not silence."""
    async with open_system() as system:
        ref = await start(system, restart="temporary")
        with pytest.raises(NotAnsweredError):
            await ref.ask("return")


async def test_an_actor_that_moves_on_fails_the_ask() -> None:
    """Moving on without a reply is NotAnsweredError, not silence."""
    async with open_system() as system:
        ref = await start(system)
        with pytest.raises(NotAnsweredError):
            await ref.ask("silent")


async def test_an_ask_that_was_answered_survives_a_crash_behind_the_answer() -> None:
    """The asker has its answer; the message is no dead letter."""

    async def hasty(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            ctx.reply(message)
            raise ValueError

    async with open_system() as system:
        ref = await start(system, hasty, restart="temporary")

        assert await ref.ask("quick") == "quick"
        await ref.wait_stopped()
        assert system.runtime.dead_letters.count == 0


async def test_a_late_reply_is_a_dead_letter(autojump_clock: trio.testing.MockClock) -> None:
    """S58: the reply to an ask whose asker went away is a dead letter, and never the answer to the next ask."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, slow)
        with trio.move_on_after(1):
            await ref.ask("first")

        assert await ref.ask("second") == "second"
        assert [event.reason for event in told(events, DeadLetterEvent)] == ["late_reply"]


async def test_a_second_reply_is_a_dead_letter() -> None:
    """S58: the first one counts."""

    async def talkative(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            ctx.reply(message)
            ctx.reply("again")

    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, talkative)

        assert await ref.ask("once") == "once"
        assert await ref.ask("twice") == "twice"
        await settle()
        assert [event.reason for event in told(events, DeadLetterEvent)] == ["second_reply"] * 2


async def test_a_withdrawn_ask_is_taken_out_unread(autojump_clock: trio.testing.MockClock) -> None:
    """S59: an ask that is cancelled while queued is not handled at all."""
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, slow, seen)
        await ref.tell("long")
        with trio.move_on_after(1):
            await ref.ask("withdrawn")
        assert ref.statistics().depth == 0
        await ref.ask("after")

    assert seen == ["long", "after"]


async def test_an_ask_that_is_withdrawn_in_the_tick_of_its_turn_is_not_read() -> None:
    """S59: between the asker's cancel and its cleanup the reader finds the ask in the queue, and passes it over."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, gated, gate, seen)
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                await ref.ask("withdrawn")

        async with trio.open_nursery() as nursery:
            await ref.tell("first")
            nursery.start_soon(ask)
            await settle()
            gate.set()
            scope.cancel()

        assert await ref.ask("last") == "last"
    assert seen == ["first", "last"]


async def test_a_cancelled_asker_at_a_full_mailbox_has_not_asked(autojump_clock: trio.testing.MockClock) -> None:
    """S61: it never got in; its place in the line is free again."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, gated, gate, seen, mailbox_capacity=1)
        for message in ("in hand", "queued"):
            await ref.tell(message)
            await settle()
        with trio.move_on_after(1):
            await ref.ask("too late")

        assert ref.statistics().waiting == 0
        gate.set()
        await settle()
        assert seen == ["in hand", "queued"]


@pytest.mark.parametrize("policy", ["reject", "drop_newest"])
async def test_a_full_mailbox_refuses_an_ask(policy: str) -> None:
    """S61: whatever the policy does with a tell, an asker is never left waiting for an answer that cannot come."""
    gate = trio.Event()
    async with open_system() as system:
        ref = await start(system, gated, gate, [], mailbox_capacity=1, mailbox_policy=policy)
        for message in ("in hand", "queued"):
            await ref.tell(message)
            await settle()
        with pytest.raises(MailboxFullError):
            await ref.ask("no room")
        gate.set()


async def test_an_ask_to_nobody_fails_at_once() -> None:
    """S67: of one that is gone, and of one that goes."""
    async with open_system() as system:
        ref = await start(system)
        await ref.stop()
        with pytest.raises(ActorStoppedError):
            await ref.ask("anybody?")


async def test_asking_is_a_cancellation_point() -> None:
    """A cancelled scope asks nothing."""
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, gated, trio.Event(), seen)
        with trio.CancelScope() as scope:
            scope.cancel()
            await ref.ask("not asked")
        await settle()

    assert scope.cancelled_caught
    assert seen == []


async def deferring(ctx: ActorContext, slots: list[ReplySlot]) -> None:
    """Defer every answer."""
    async for message in ctx.messages():
        if isinstance(message, Exception):
            raise message
        slots.append(ctx.defer_reply())


async def test_a_deferred_reply_is_given_later() -> None:
    """The actor goes on with other messages; the answer comes from any task."""
    slots: list[ReplySlot] = []
    answers: list[object] = []

    async def ask(ref: ActorRef, number: int) -> None:
        answers.append(await ref.ask(number))

    async with open_system() as system:
        ref = await start(system, deferring, slots)
        async with trio.open_nursery() as nursery:
            for number in range(2):
                nursery.start_soon(ask, ref, number)
                await settle()
            assert slots[1].reply("second")
            await settle()
            assert slots[0].reply("first")

    assert answers == ["second", "first"]


@pytest.mark.parametrize("end", ["crash", "stop"])
async def test_deferred_replies_fail_with_their_incarnation(end: str) -> None:
    """S59: an answer that was promised and cannot come any more is an error at once."""
    slots: list[ReplySlot] = []
    wanted = ActorDiedError if end == "crash" else ActorStoppedError

    async def ask(ref: ActorRef) -> None:
        with pytest.raises(ActorStoppedError) as caught:
            await ref.ask("promise")
        assert type(caught.value) is wanted

    async with open_system() as system:
        ref = await start(system, deferring, slots)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, ref)
                await settle()
                await (crash(ref) if end == "crash" else ref.stop())

        assert not slots[0].reply("too late")


async def test_what_was_deferred_and_answered_is_forgotten() -> None:
    """Ten thousand deferred answers leave no pile behind."""

    async def prompt(ctx: ActorContext, contexts: list[ActorContext]) -> None:
        contexts.append(ctx)
        async for message in ctx.messages():
            ctx.defer_reply().reply(message)

    contexts: list[ActorContext] = []
    async with open_system() as system:
        ref = await start(system, prompt, contexts)
        for number in range(1_000):
            await ref.ask(number)

        assert len(contexts[0]._deferred or ()) <= 65


async def test_there_is_nothing_to_defer_of_a_tell() -> None:
    """`defer_reply` says so; `take_reply` gives None; `reply` is ignored."""
    found: list[object] = []

    async def curious(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            found.append(ctx.take_reply())
            ctx.reply("ignored")
            with pytest.raises(RuntimeError, match="no ask in hand"):
                ctx.defer_reply()

    async with open_system() as system:
        ref = await start(system, curious)
        await ref.tell("told")
        await settle()

    assert found == [None]


async def test_an_asker_that_is_killed_withdraws() -> None:
    """S59: its ask, its edge and its place in the mailbox go with it."""
    gate = trio.Event()
    seen: list[object] = []

    async def asking(ctx: ActorContext, target: ActorRef) -> None:
        async for message in ctx.messages():
            await target.ask(message)

    async with open_system() as system:
        target = await start(system, gated, gate, seen, name="target")
        asker = await start(system, asking, target, restart="temporary")
        await target.tell("first")
        await asker.tell("second")
        await settle()
        asker.kill()
        await asker.wait_stopped()
        gate.set()
        await settle()

        assert len(system.runtime.wait_graph) == 0
    assert seen == ["first"]


async def test_the_message_in_hand_at_a_crash_is_a_dead_letter() -> None:
    """S62: it is not delivered again, and not lost in silence: told with the crash as its cause."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system)
        await crash(ref)
        await settle()
        letters = told(events, DeadLetterEvent)

        assert [(letter.reason, letter.message_type) for letter in letters] == [("crashed_in_hand", "ValueError")]
        assert system.child("actor", ActorRef).incarnation == 2


async def test_a_reply_slot_says_what_it_is() -> None:
    """Answered, withdrawn and refused are told by return values; `on_withdraw` is called at once if that has happened."""
    async with open_system() as system:
        slot = ReplySlot("/a", float("inf"), system.runtime.dead_letters)
        called: list[str] = []
        slot.on_withdraw(lambda: called.append("then"))
        slot.withdraw()
        slot.withdraw()
        slot.on_withdraw(lambda: called.append("at once"))

        assert called == ["then", "at once"]
        assert not slot.resolve("quietly")
        assert system.runtime.dead_letters.count == 0
        assert not slot.reply("aloud")
        assert (system.runtime.dead_letters.count, slot.is_answered) == (1, False)
