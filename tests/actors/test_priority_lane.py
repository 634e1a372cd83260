"""Priorities within work: what is urgent is read first; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests._kernel import HostileError, child, settle, start, told
from tinyagent_actors import ActorContext, MailboxFullError, SpecError, open_system
from tinyagent_actors.actors import MailboxStatistics
from tinyagent_actors.events import SubscriberFailedEvent


def first_letter(message: Any) -> int:
    """Give the priority of a message such as ``2b``."""
    return int(message[0])


async def collect(ctx: ActorContext, gate: trio.Event, seen: list[object]) -> None:
    """Keep what comes once the gate is open; crash over what says so."""
    async for message in ctx.messages():
        await gate.wait()
        seen.append(message)
        if message.endswith("!") and ctx.deliveries == 1:
            raise ValueError
        ctx.reply(message)


async def delivered(*messages: str, **options: Any) -> list[object]:
    """Send all behind one that is in hand; give what comes, that one left out."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, collect, gate, seen, mailbox_priority=first_letter, **options)
        await ref.tell("0 in hand")
        await settle()
        for message in messages:
            await ref.tell(message)
        gate.set()
        await settle()
    return seen[1:]


async def test_what_is_urgent_is_read_first_and_in_order() -> None:
    """S61: of what lies unread the lowest priority comes first; within one priority what was sent first."""
    assert await delivered("2a", "1a", "2b", "1b", "0a") == ["0a", "1a", "1b", "2a", "2b"]


async def test_a_lane_with_priorities_has_the_same_bound() -> None:
    """S61: a full one rejects, urgent or not; and its statistics are those of any mailbox."""
    gate = trio.Event()
    async with open_system() as system:
        options = {"mailbox_priority": first_letter, "mailbox_capacity": 2, "mailbox_policy": "reject"}
        ref = await start(system, collect, gate, [], **options)
        for message in ("0 in hand", "2a", "1a"):
            await ref.tell(message)
            await settle()
        with pytest.raises(MailboxFullError):
            await ref.tell("0a")

        assert ref.statistics() == MailboxStatistics(2, 0, 2, 0, 1, 2)
        gate.set()


@pytest.mark.parametrize(
    ("policy", "kept"), [("drop_oldest", ["1a", "2b"]), ("drop_newest", ["2a", "2b"])], ids=["oldest", "newest"]
)
async def test_policies_that_drop_go_by_priority(policy: str, kept: list[str]) -> None:
    """S61: drop_oldest drops the oldest of what is least urgent, be it the newcomer; drop_newest the newcomer."""
    options: dict[str, Any] = {"mailbox_capacity": 2, "mailbox_policy": policy}

    assert await delivered("2a", "2b", "1a", "3a", **options) == kept


async def test_senders_that_wait_come_in_as_they_came() -> None:
    """S61: a message has its priority in the mailbox, not before it: nobody overtakes a sender that waits."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, collect, gate, seen, mailbox_priority=first_letter, mailbox_capacity=1)
        async with trio.open_nursery() as nursery:
            for message in ("0 in hand", "3a", "2a", "1a"):
                nursery.start_soon(ref.tell, message)
                await settle()
            gate.set()
        await settle()

    assert seen == ["0 in hand", "3a", "2a", "1a"]


async def test_what_comes_again_comes_first_whatever_its_priority() -> None:
    """S62: a message that was in hand at a crash is delivered again before what is more urgent."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, collect, gate, seen, mailbox_priority=first_letter, redeliver=1)
        for message in ("9!", "0a"):
            await ref.tell(message)
            await settle()
        gate.set()
        await settle()

    assert seen == ["9!", "9!", "0a"]


async def test_a_withdrawn_ask_is_taken_out() -> None:
    """S59: wherever in the lane it lies."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, collect, gate, seen, mailbox_priority=first_letter)
        await ref.tell("0 in hand")
        await settle()
        async with trio.open_nursery() as nursery:
            for message in ("2a", "1a", "2b"):
                nursery.start_soon(ref.ask, message)
                await settle()
            nursery.cancel_scope.cancel()
        await ref.tell("3a")

        assert ref.statistics().depth == 1
        gate.set()
        await settle()
    assert seen == ["0 in hand", "3a"]


@pytest.mark.parametrize("failing", [lambda _: 1 / 0, lambda _: "urgent", lambda _: str(HostileError())])
async def test_a_function_that_fails_hurts_nobody(failing: Any) -> None:
    """S31: a message for which it raises, or gives no whole number, is an ordinary one; the failure is told once."""
    gate = trio.Event()
    seen: list[object] = []
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, collect, gate, seen, mailbox_priority=failing)
        for message in ("a", "b", "c"):
            await ref.tell(message)
        gate.set()
        await settle()
        failures = told(events, SubscriberFailedEvent)

    assert seen == ["a", "b", "c"]
    assert [event.subscriber for event in failures] == ["mailbox_priority of /actor"]


def test_a_priority_that_is_no_function_is_refused() -> None:
    """S18: the field is named."""
    with pytest.raises(SpecError, match="mailbox_priority"):
        child("a", mailbox_priority=3)
