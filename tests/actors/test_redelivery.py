"""Messages in hand at a crash: delivered again where the spec says so, and parked when that does not help."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from tests._kernel import child, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorDiedError,
    ActorRef,
    DeadLetterEvent,
    Down,
    Exit,
    SpecError,
    SupervisorGaveUpEvent,
    open_system,
    supervisor,
)
from tinyagent_actors.supervision._decisions import is_counted


@attrs.define(eq=False)
class Fragile:
    """An actor that crashes over what is poison, the first `times` times, and tells what it was given."""

    times: float = float("inf")
    gate: trio.Event = attrs.field(factory=trio.Event)
    seen: list[tuple[Any, int]] = attrs.field(factory=list)

    async def __call__(self, ctx: ActorContext) -> None:
        """Handle what comes once the gate is open."""
        async for message in ctx.messages():
            await self.gate.wait()
            self.seen.append((message, ctx.deliveries))
            if message == "poison" and ctx.deliveries <= self.times:
                raise ValueError(message)
            ctx.reply(message)


async def send(ref: ActorRef, actor: Fragile, *messages: object) -> None:
    """Send all before the first is handled, then let everything happen."""
    for message in messages:
        await ref.tell(message)
    actor.gate.set()
    await settle()


async def test_a_message_in_hand_at_a_crash_comes_again_first() -> None:
    """S62: with `redeliver` message k is delivered again, marked as that, before k+1..n, which follow in order; nothing is lost."""
    actor = Fragile(times=1)
    async with open_system() as system:
        ref = await start(system, actor, redeliver=1)
        await send(ref, actor, 1, "poison", 2, 3)

        assert actor.seen == [(1, 1), ("poison", 1), ("poison", 2), (2, 1), (3, 1)]
        assert system.runtime.dead_letters.count == 0


async def test_senders_keep_their_order_over_a_redelivery() -> None:
    """S62: what two senders have sent, and what they wait to send into a full mailbox, comes in each one's order behind what comes again."""
    actor = Fragile(times=2)

    async def sender(ref: ActorRef, name: str) -> None:
        for number in range(5):
            await ref.tell((name, number))

    async with open_system() as system:
        ref = await start(system, actor, redeliver=2, mailbox_capacity=2)
        await ref.tell("poison")
        await settle()
        async with trio.open_nursery() as nursery:
            for name in "ab":
                nursery.start_soon(sender, ref, name)
            await settle()
            assert ref.statistics().depth == 2
            actor.gate.set()
        await settle()

        messages = [message for message, _ in actor.seen]
        assert messages[:3] == ["poison"] * 3
        for name in "ab":
            assert [message for message in messages if message[0] == name] == [(name, number) for number in range(5)]


async def test_what_comes_back_takes_nobodys_room() -> None:
    """S61, S62: it comes back over the bound of a full mailbox, and the bound holds again as soon as it is taken."""
    actor = Fragile(times=1)
    async with open_system() as system:
        ref = await start(system, actor, redeliver=1, mailbox_capacity=2)
        await ref.tell("poison")
        await settle()
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(ref.tell, number)
                await settle()
            gate, actor.gate = actor.gate, trio.Event()
            gate.set()
            await settle()

            assert actor.seen == [("poison", 1)]
            assert (ref.statistics().depth, ref.statistics().waiting) == (2, 2)
            actor.gate.set()
        await settle()
        assert [message for message, _ in actor.seen] == ["poison", "poison", 0, 1, 2, 3]


async def test_a_poison_message_is_parked() -> None:
    """S63: after n more deliveries it is a dead letter, `parked`, whose cause is the last crash; the actor goes on with the next message."""
    actor = Fragile()
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, actor, redeliver=2)
        await send(ref, actor, "poison", "next")
        seen = told(events, ActorCrashedEvent, DeadLetterEvent)

        assert actor.seen == [("poison", 1), ("poison", 2), ("poison", 3), ("next", 1)]
        assert [event.type for event in seen] == ["actor_crashed"] * 3 + ["dead_letter"]
        assert (seen[3].reason, seen[3].cause) == ("parked", seen[2].seq)


async def test_the_loop_of_a_poison_message_costs_one_restart_of_the_intensity() -> None:
    """S63: ten deliveries under an intensity of two do not make the supervisor give up; three messages of the kind do."""
    actor = Fragile()
    async with open_system() as system, system.subscribe() as events:
        spec = supervisor("team", max_restarts=2, children=[child("a", actor, redeliver=9)], restart="temporary")
        team = await system.start_child(spec)
        ref = team.child("a")
        await send(ref, actor, "poison", "poison", "fine")

        assert team.child("a").incarnation == 21
        assert actor.seen[-1] == ("fine", 1)
        assert told(events, SupervisorGaveUpEvent) == []
        await send(ref, actor, "poison")
        assert len(told(events, SupervisorGaveUpEvent)) == 1


@pytest.mark.parametrize(("deliveries", "counts"), [(1, True), (2, False), (9, False)])
def test_which_restarts_count(deliveries: int, counts: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """S63: that is decided in one place: the first crash over a message counts, those over its redeliveries do not."""
    assert is_counted(Exit("error", ValueError(), deliveries=deliveries), "default") is counts


async def test_a_kill_counts_as_a_delivery() -> None:
    """S62, S63: a message whose handler is killed in mid-handling comes again, and is parked like any other."""
    actor = Fragile(times=0)
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, actor, redeliver=1)
        await ref.tell("slow")
        for _ in range(2):
            await settle()
            ref.kill()
        await settle()
        actor.gate.set()
        await send(ref, actor, "next")

        assert actor.seen == [("next", 1)]
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["parked"]


async def test_an_ask_in_hand_is_not_delivered_again() -> None:
    """S59, S62: it fails at once, so nobody waits for a second try; whoever asked may ask again."""
    actor = Fragile()
    actor.gate.set()
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, actor, redeliver=5)
        with pytest.raises(ActorDiedError):
            await ref.ask("poison")
        assert await ref.ask("next") == "next"

        assert actor.seen == [("poison", 1), ("next", 1)]
        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["crashed_in_hand"]


async def test_what_was_kept_for_an_incarnation_that_never_came_is_a_dead_letter() -> None:
    """S62: a temporary actor comes not again; its message in hand is lost to the crash, what was queued to the end."""
    actor = Fragile()
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, actor, redeliver=3, restart="temporary")
        await send(ref, actor, "poison", "next")

        assert [letter.reason for letter in told(events, DeadLetterEvent)] == ["crashed_in_hand", "stopped"]


async def test_the_exit_says_which_delivery_it_was() -> None:
    """S63: whoever decides on an exit, a monitor or `classify`, sees that the same message was in hand before."""
    actor = Fragile()
    seen: list[int] = []
    downs: list[int] = []

    def classify(exit: Exit) -> Any:  # noqa: A002  # the field term
        seen.append(exit.deliveries)
        return "never" if exit.deliveries == 3 else "default"

    async def watch(ctx: ActorContext, ref: ActorRef) -> None:
        ref.monitor()
        downs.extend([down.exit.deliveries async for down in ctx.messages() if isinstance(down, Down)])

    async with open_system() as system:
        ref = await start(system, actor, redeliver=9, classify=classify)
        await start(system, watch, ref, name="watch")
        await send(ref, actor, "poison")

    assert (seen, downs) == ([1, 2, 3], [1])


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "1", None])
def test_a_wrong_redeliver_is_refused(wrong: Any) -> None:
    """S18: the field is named."""
    with pytest.raises(SpecError, match="redeliver"):
        child("a", redeliver=wrong)
