"""The mailbox: two lanes, bounds, fairness, cancellation, closing, order."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import HostileError, settle
from tinyagent_actors import ActorStoppedError, CancelCause, MailboxFullError, ReplySlot
from tinyagent_actors.actors import DeadLetters, Envelope, EventBus, Mailbox, MailboxStatistics, Pacer

CAUSE = CancelCause("a test", "it says so", "stop")


def make(**options: Any) -> Mailbox:
    return Mailbox("/box", DeadLetters(EventBus()), Pacer(), **options)


def drain(mailbox: Mailbox) -> list[Any]:
    taken = []
    while (item := mailbox.take_work()) is not None:
        taken.append(item[0] if isinstance(item, tuple) else item.message)
    return taken


def ask(mailbox: Mailbox, message: object) -> Envelope:
    return Envelope(message, None, ReplySlot("/box", float("inf"), mailbox._dead_letters))


async def park(mailbox: Mailbox, nursery: trio.Nursery, *messages: object) -> None:
    for message in messages:
        nursery.start_soon(mailbox.put, (message, None))
        await settle()


async def test_a_sender_waits_for_room_and_keeps_its_place() -> None:
    """S61: a full mailbox blocks the sender; its message enters when one is taken, in order."""
    mailbox = make(capacity=2)
    async with trio.open_nursery() as nursery:
        assert mailbox.offer((0, None))
        assert mailbox.offer((1, None))
        assert not mailbox.offer((2, None))
        await park(mailbox, nursery, 2, 3)

        assert drain(mailbox) == [0, 1, 2, 3]


async def test_nobody_overtakes_a_sender_that_waits() -> None:
    """Fairness: of a hundred waiting senders each gets in in its turn, and one that comes later waits behind them."""
    mailbox = make(capacity=1)
    mailbox.offer(("first", None))
    async with trio.open_nursery() as nursery:
        await park(mailbox, nursery, *range(100))
        taken = [mailbox.take_work()]

        assert not mailbox.offer(("late", None))
        taken += [mailbox.take_work() for _ in range(100)]
        assert [item[0] for item in taken if isinstance(item, tuple)] == ["first", *range(100)]


async def test_a_cancelled_sender_has_not_sent() -> None:
    """A cancelled `put` takes its message back, and the others keep their places."""
    mailbox = make(capacity=1)
    mailbox.offer(("first", None))
    async with trio.open_nursery() as nursery:
        await park(mailbox, nursery, "before")
        with trio.move_on_after(0) as scope:
            await mailbox.put(("cancelled", None))
        await park(mailbox, nursery, "after")

        assert scope.cancelled_caught
        assert drain(mailbox) == ["first", "before", "after"]


async def test_a_cancel_that_comes_after_the_message_went_in_does_not_undo_it() -> None:
    """Taken in and cancelled in one tick: the message is in once, and the sender goes on."""
    mailbox = make(capacity=1)
    mailbox.offer(("first", None))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await park(mailbox, nursery, "second")
            mailbox.take_work()
            scope.cancel()

    assert drain(mailbox) == ["second"]
    assert mailbox.statistics().waiting == 0


async def test_control_comes_before_work_and_is_not_bounded_by_it() -> None:
    """S61: control messages pass a full work lane and are read first."""
    mailbox = make(capacity=1)
    mailbox.offer(("work", None))
    for number in range(100):
        mailbox.post(number)

    assert [mailbox.take_control() for _ in range(101)] == [*range(100), None]
    assert drain(mailbox) == ["work"]


@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", [1, 2]), ("drop_newest", [0, 1])])
async def test_policies_that_drop(policy: Any, kept: list[int]) -> None:
    """S61: drop_oldest makes room, drop_newest gives none; both count and make dead letters; a dropped ask fails."""
    mailbox = make(capacity=2, policy=policy)
    envelopes = [ask(mailbox, number) for number in range(3)]
    for envelope in envelopes:
        mailbox.offer(envelope)

    assert mailbox.statistics().dropped == 1
    assert mailbox._dead_letters.count == 1
    assert drain(mailbox) == kept
    (dropped,) = {0, 1, 2} - set(kept)
    with pytest.raises(MailboxFullError):
        await envelopes[dropped].slot.wait()


async def test_the_policy_reject_raises() -> None:
    """S61: reject tells the sender at once, with the capacity; nothing is a dead letter."""
    mailbox = make(capacity=1, policy="reject")
    mailbox.offer((0, None))
    with pytest.raises(MailboxFullError) as caught:
        mailbox.offer((1, None))

    assert (caught.value.path, caught.value.capacity) == ("/box", 1)
    assert mailbox._dead_letters.count == 0


async def test_offer_nowait_raises_where_offer_would_wait() -> None:
    """S61: without waiting, a full mailbox of the policy `block` raises too."""
    mailbox = make(capacity=1)
    mailbox.offer_nowait((0, None))
    with pytest.raises(MailboxFullError):
        mailbox.offer_nowait((1, None))


async def test_closing_makes_dead_letters_and_wakes_senders() -> None:
    """S67: what lies unread, and what waits to come in, are dead letters; asks fail; nobody waits for ever."""
    mailbox = make(capacity=1)
    unread, parked = ask(mailbox, "unread"), ask(mailbox, "parked")
    mailbox.offer(unread)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, parked)
        await settle()
        await park(mailbox, nursery, "told")
        mailbox.close()

    assert mailbox._dead_letters.count == 3
    for envelope in (unread, parked):
        with pytest.raises(ActorStoppedError):
            await envelope.slot.wait()


async def test_a_closed_mailbox_takes_nothing() -> None:
    """S67: what comes later is a dead letter, an ask fails at once, control vanishes; closing twice changes nothing."""
    mailbox = make()
    mailbox.close()
    mailbox.close()
    late = ask(mailbox, "late")

    assert mailbox.offer(("late", None))
    assert mailbox.offer(late)
    mailbox.post("control")
    assert mailbox.statistics() == MailboxStatistics(0, 0, 0, 0, 0, 64)
    assert mailbox._dead_letters.count == 2
    with pytest.raises(ActorStoppedError):
        await late.slot.wait()


async def test_a_stopping_mailbox_takes_no_more_work_but_control() -> None:
    """S40: from the stop on, work that comes is a dead letter; the first cause stays."""
    mailbox = make()
    mailbox.offer(("before", None))
    mailbox.request_stop(CAUSE)
    mailbox.request_stop(CancelCause("another", "too late", "stop"))
    mailbox.offer(("after", None))
    mailbox.post("control")

    assert mailbox.stopping is CAUSE
    assert (drain(mailbox), mailbox.take_control()) == (["before"], "control")
    assert mailbox._dead_letters.count == 1


@pytest.mark.parametrize("wake", ["offer", "post", "request_stop", "close"])
async def test_whatever_comes_wakes_the_reader(wake: str) -> None:
    """A parked reader wakes for work, control, a stop and the end."""
    mailbox = make()
    acts = {
        "offer": lambda: mailbox.offer((1, None)),
        "post": lambda: mailbox.post(1),
        "request_stop": lambda: mailbox.request_stop(CAUSE),
        "close": mailbox.close,
    }
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await settle()
        acts[wake]()
        with trio.fail_after(5):
            await settle()

    assert mailbox.reader is None


async def test_a_cancelled_reader_loses_nothing() -> None:
    """T26: the pop comes after the wake-up; cancelling the wait leaves the message where it is."""
    mailbox = make()
    with trio.move_on_after(0):
        await mailbox.wait()
    mailbox.offer(("kept", None))

    assert drain(mailbox) == ["kept"]


async def test_a_reader_does_not_park_over_unread_control() -> None:
    """What was posted while it was busy is read before it waits."""
    mailbox = make()
    mailbox.post("control")
    with trio.fail_after(5):
        await mailbox.wait()

    assert mailbox.take_control() == "control"


async def test_two_readers_are_refused() -> None:
    """One task reads; a second one is told so."""
    mailbox = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await settle()
        with pytest.raises(RuntimeError, match="two tasks"):
            await mailbox.wait()
        mailbox.request_stop(CAUSE)


async def test_a_given_up_reader_cannot_unpark_its_successor() -> None:
    """S32: one that was given up wakes, and its late cancel leaves the next incarnation's wake-up alone."""
    mailbox = make()
    old = trio.CancelScope()

    async def read(scope: trio.CancelScope) -> None:
        with scope:
            await mailbox.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, old)
        await settle()
        mailbox.renew()
        nursery.start_soon(read, trio.CancelScope())
        await settle()
        old.cancel()
        await settle()
        mailbox.offer(("for the successor", None))
        with trio.fail_after(5):
            await settle()

    assert drain(mailbox) == ["for the successor"]


async def test_the_next_incarnation_finds_the_work_and_not_the_control() -> None:
    """S62: queued work survives a restart; control was meant for the incarnation that ended."""
    mailbox = make()
    mailbox.offer(("work", None))
    mailbox.post("control")
    mailbox.renew()

    assert (mailbox.take_control(), drain(mailbox)) == (None, ["work"])


async def test_taking_out_goes_by_identity() -> None:
    """S51: a control message is taken out of the lane without asking any message whether it is equal."""
    mailbox = make()
    hostile, wanted = HostileError(), HostileError()
    for message in (hostile, wanted, hostile):
        mailbox.post(message)
    mailbox.unpost(wanted)
    mailbox.unpost(wanted)

    assert [mailbox.take_control() is hostile for _ in range(2)] == [True, True]
    assert mailbox.take_control() is None


async def test_a_withdrawn_ask_makes_room() -> None:
    """S58: it leaves the queue, and the sender that waited longest comes in."""
    mailbox = make(capacity=2)
    withdrawn, stranger = ask(mailbox, "withdrawn"), ask(mailbox, "stranger")
    mailbox.offer(withdrawn)
    mailbox.offer(("stays", None))
    async with trio.open_nursery() as nursery:
        await park(mailbox, nursery, "waits")

        assert mailbox.withdraw(withdrawn)
        assert not mailbox.withdraw(withdrawn)
        assert not mailbox.withdraw(stranger)
        with trio.fail_after(5):
            await settle()

    assert drain(mailbox) == ["stays", "waits"]


async def test_statistics() -> None:
    """Depths of both lanes, the peak, waiting senders, drops and the bound, all exact."""
    mailbox = make(capacity=2)
    async with trio.open_nursery() as nursery:
        for number in range(2):
            mailbox.offer((number, None))
        await park(mailbox, nursery, 2, 3)
        mailbox.post("control")
        assert mailbox.statistics() == MailboxStatistics(2, 1, 2, 2, 0, 2)

        drain(mailbox)
        mailbox.take_control()
        assert mailbox.statistics() == MailboxStatistics(0, 0, 2, 0, 0, 2)


async def test_a_million_messages_to_a_stopped_actor_cost_no_memory() -> None:
    """S67: they are counted, and told at most ten times a second; nothing is kept."""
    mailbox = make()
    bus = mailbox._dead_letters._bus
    mailbox.close()
    for number in range(20_000):
        mailbox.offer((number, None))

    assert mailbox._dead_letters.count == 20_000
    assert bus.events < 200
    assert len(mailbox.work) == 0
