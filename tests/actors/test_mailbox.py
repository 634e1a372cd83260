"""The mailbox: two lanes, bounds, fairness, cancellation."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyagent_actors._errors import ActorStoppedError, MailboxFullError
from tinyagent_actors.actors import CancelCause, DeadLetters, Envelope, EventBus, Mailbox, Pacer, ReplySlot

CAUSE = CancelCause("a test", "it says so", "stop")


def make(**options: Any) -> Mailbox:
    return Mailbox("/box", DeadLetters(EventBus()), Pacer(), **options)


def drain(mailbox: Mailbox) -> list[Any]:
    taken = []
    while (item := mailbox.take_work()) is not None:
        taken.append(item[0] if isinstance(item, tuple) else item.message)
    return taken


async def test_a_sender_waits_for_room_and_keeps_its_place() -> None:
    """S61: a full mailbox blocks the sender; its message enters when one is taken, in order."""
    mailbox = make(capacity=2)
    async with trio.open_nursery() as nursery:
        for number in range(4):
            if not mailbox.offer((number, None)):
                nursery.start_soon(mailbox.put, (number, None))
                await trio.testing.wait_all_tasks_blocked()

        assert mailbox.statistics().waiting == 2
        assert drain(mailbox) == [0, 1, 2, 3]


async def test_a_cancelled_sender_has_not_sent() -> None:
    """A cancelled `put` takes its message back, and the others keep their places."""
    mailbox = make(capacity=1)
    mailbox.offer(("first", None))
    with trio.move_on_after(0) as scope:
        await mailbox.put(("cancelled", None))

    assert scope.cancelled_caught
    assert drain(mailbox) == ["first"]
    assert mailbox.statistics().waiting == 0


async def test_control_comes_before_work_and_is_not_bounded_by_it() -> None:
    """S61: control messages pass a full work lane and are read first."""
    mailbox = make(capacity=1)
    mailbox.offer(("work", None))
    for number in range(100):
        mailbox.post(number)

    assert [mailbox.take_control() for _ in range(100)] == list(range(100))
    assert drain(mailbox) == ["work"]


@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", [1, 2]), ("drop_newest", [0, 1])])
async def test_policies_that_drop(policy: Any, kept: list[int]) -> None:
    """S61: drop_oldest makes room, drop_newest gives none; both count and make dead letters."""
    mailbox = make(capacity=2, policy=policy)
    for number in range(3):
        mailbox.offer((number, None))

    assert mailbox.statistics().dropped == 1
    assert mailbox._dead_letters.count == 1
    assert drain(mailbox) == kept


async def test_the_policy_reject_raises() -> None:
    """S61: reject tells the sender at once, with the capacity."""
    mailbox = make(capacity=1, policy="reject")
    mailbox.offer((0, None))
    with pytest.raises(MailboxFullError) as caught:
        mailbox.offer((1, None))

    assert caught.value.capacity == 1


async def test_closing_makes_dead_letters_and_wakes_senders() -> None:
    """What lies unread, and what waits to come in, are dead letters; asks fail; nobody waits for ever."""
    mailbox = make(capacity=1)
    slot = ReplySlot("/box", float("inf"), mailbox._dead_letters)
    mailbox.offer(Envelope("ask", None, slot))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, ("waiting", None))
        await trio.testing.wait_all_tasks_blocked()
        mailbox.close()

    assert mailbox._dead_letters.count == 2
    with pytest.raises(ActorStoppedError):
        await slot.wait()


async def test_a_cancelled_reader_loses_nothing() -> None:
    """T26: the pop comes after the wake-up; cancelling the wait leaves the message where it is."""
    mailbox = make()
    with trio.move_on_after(0):
        await mailbox.wait()
    mailbox.offer(("kept", None))

    assert drain(mailbox) == ["kept"]


async def test_two_readers_are_refused() -> None:
    """One task reads; a second one is told so."""
    mailbox = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="two tasks"):
            await mailbox.wait()
        mailbox.request_stop(CAUSE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["tell", "take", "cancel"])), max_size=60))
def test_order_of_each_sender_is_kept(steps: list[tuple[int, str]]) -> None:
    """S62: whatever blocks, is taken or is cancelled in between, each sender's messages come in the order it sent them."""

    async def main() -> None:
        mailbox = make(capacity=2)
        taken: list[tuple[int, int]] = []
        count = 0
        scopes: list[trio.CancelScope] = []

        async def put(item: tuple[int, int]) -> None:
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await mailbox.put((item, None))

        async with trio.open_nursery() as nursery:
            for sender, step in steps:
                if step == "tell":
                    count += 1
                    if not mailbox.offer(((sender, count), None)):
                        nursery.start_soon(put, (sender, count))
                elif step == "take":
                    item = mailbox.take_work()
                    taken += [item[0]] if isinstance(item, tuple) else []
                elif scopes:
                    scopes.pop().cancel()
                await trio.testing.wait_all_tasks_blocked()
            taken += drain(mailbox)
            nursery.cancel_scope.cancel()
        for sender in range(4):
            own = [number for who, number in taken if who == sender]
            assert own == sorted(own)

    trio.run(main)
