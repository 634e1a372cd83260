"""The context: messages, order, stops, what an incarnation may and may not."""

from __future__ import annotations

import contextvars
import itertools

import pytest
import trio
import trio.testing

from tests._kernel import child, crash, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStartedEvent,
    ActorStoppedError,
    CancelCause,
    open_system,
    supervisor,
)
from tinyagent_actors.actors import MessageIterator
from tinyagent_actors.events import SubscriberFailedEvent


async def test_messages_come_in_order_and_end_at_the_stop() -> None:
    """S62: FIFO; the iteration ends, so that the actor can put things away, and `stopping` says by whom."""
    seen: list[object] = []

    async def tidy(ctx: ActorContext) -> None:
        seen.extend([message async for message in ctx.messages()])
        assert ctx.stopping is not None
        seen.append(ctx.stopping.why)

    async with open_system() as system:
        ref = await start(system, tidy)
        for number in range(10):
            await ref.tell(number)
        await settle()
        await ref.stop("that is all")

    assert seen == [*range(10), "that is all"]


async def test_only_its_own_task_may_pull() -> None:
    """A task beside it is told so, whether messages lie there or not."""
    refused: list[str] = []

    async def shared(ctx: ActorContext) -> None:
        ctx.started()
        async with trio.open_nursery() as nursery:
            await settle()
            nursery.start_soon(pull, ctx)
        async for message in ctx.messages():
            ctx.reply(message)

    async def pull(ctx: ActorContext) -> None:
        with pytest.raises(RuntimeError, match="only the task of"):
            await ctx.messages().__anext__()
        refused.append(ctx.path)

    async with open_system() as system:
        ref = await start(system, shared)
        await ref.tell("lies there")

        assert await ref.ask("still mine") == "still mine"
    assert refused == ["/actor"]


async def test_a_task_beside_it_may_not_go_on_with_a_row_either() -> None:
    """Also with the actor's own iterator, and in the middle of a row; what the actor has in hand stays in hand."""
    refused: list[str] = []

    async def shared(ctx: ActorContext) -> None:
        messages = ctx.messages()
        async for message in messages:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pull, messages)
            ctx.reply(message)

    async def pull(messages: MessageIterator) -> None:
        with pytest.raises(RuntimeError, match="only the task of"):
            await messages.__anext__()
        refused.append("refused")

    async with open_system() as system:
        ref = await start(system, shared)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.tell, "first")
            nursery.start_soon(ref.tell, "second")

        assert await ref.ask("still mine") == "still mine"
    assert refused == ["refused"] * 3


async def test_control_is_read_before_work() -> None:
    """S61: also control that came after it."""
    seen: list[object] = []
    gate = trio.Event()

    async def reader(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append(message)
            await gate.wait()

    async with open_system() as system:
        ref = await start(system, reader)
        for message in ("first", "work"):
            await ref.tell(message)
        await settle()
        ref.address.mailbox.post("control")
        gate.set()
        await settle()

    assert seen == ["first", "control", "work"]


async def test_an_actor_says_that_it_has_started() -> None:
    """`started(value)` is enough, once; the first pull and a return say it too."""

    async def explicit(ctx: ActorContext) -> None:
        ctx.started("a value")
        ctx.started("another")
        await trio.sleep_forever()

    async def returns(_ctx: ActorContext) -> None:
        await trio.lowlevel.checkpoint()

    async with open_system() as system:
        ref = await start(system, explicit, shutdown="kill")
        with trio.fail_after(5):
            await start(system, name="pulls")
            await start(system, returns, name="returns", restart="temporary")

        assert ref._cell is not None
        assert ref._cell.value == "a value"
        assert await states(system) == {"actor": "running", "pulls": "running"}


async def test_waiting_to_be_stopped() -> None:
    """`wait_stopping` returns at the stop, at once if that has come; cancelling it leaves nothing behind."""
    order: list[str] = []

    async def waits(ctx: ActorContext) -> None:
        ctx.started()
        with trio.move_on_after(0):
            await ctx.wait_stopping()
        order.append("cancelled")
        await ctx.wait_stopping()
        await ctx.wait_stopping()
        order.append("stopped")

    async with open_system() as system:
        ref = await start(system, waits)
        await settle()
        await ref.stop()

        assert order == ["cancelled", "stopped"]
        assert (await ref.wait_stopped()).reason == "shutdown"


async def test_a_backlog_does_not_starve_others() -> None:
    """Fairness: an actor's 64th receive in a row is a full checkpoint; Trio may run two rows side by side."""
    ran_after: list[int] = []
    received = 0

    async def busy(ctx: ActorContext) -> None:
        nonlocal received
        ctx.started()
        await gate.wait()
        async for _ in ctx.messages():
            received += 1

    async def watch() -> None:
        while received < 500:
            ran_after.append(received)
            await trio.lowlevel.checkpoint()

    gate = trio.Event()
    async with open_system() as system:
        ref = await start(system, busy, mailbox_capacity=500)
        for number in range(500):
            ref.tell_nowait(number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            gate.set()

    assert max(after - before for before, after in itertools.pairwise(ran_after)) <= 128


async def test_receiving_is_a_cancellation_point() -> None:
    """Also with a backlog: the pull after the cancel raises, and takes nothing out."""
    seen: list[object] = []

    async def leaves(ctx: ActorContext) -> None:
        with trio.CancelScope() as scope:
            async for message in ctx.messages():
                seen.append(message)
                scope.cancel()
        seen.append("left")
        seen.extend([message async for message in ctx.messages()])

    async with open_system() as system:
        ref = await start(system, leaves)
        for number in range(3):
            ref.tell_nowait(number)
        await settle()

    assert seen == [0, "left", 1, 2]


async def test_the_next_control_message_leaves_work_queued() -> None:
    """For an actor that is busy: work stays, the stop comes once as its cause."""
    seen: list[object] = []

    async def busy(ctx: ActorContext) -> None:
        ctx.started()
        with trio.move_on_after(0):
            await ctx.next_control()
        seen.extend([await ctx.next_control(), await ctx.next_control()])
        seen.append(ctx.cell.address.mailbox.statistics().depth)

    async with open_system() as system:
        ref = await start(system, busy)
        await ref.tell("work")
        ref.address.mailbox.post("control")
        await settle()
        await ref.stop()

    assert [seen[0], seen[2]] == ["control", 1]
    assert isinstance(seen[1], CancelCause)


async def test_a_given_up_incarnation_reads_nothing_of_its_successors(autojump_clock: trio.testing.MockClock) -> None:
    """S32: when it wakes after all, its messages have ended; work, control and replies are the successor's."""
    release = trio.Event()
    zombies: list[object] = []

    async def haunted(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            async for message in ctx.messages():
                ctx.reply(message)
            return
        ctx.started()
        with trio.CancelScope(shield=True):
            await release.wait()
            zombies.extend([message async for message in ctx.messages()])
            with pytest.raises(ActorStoppedError):
                await ctx.next_control()
            with pytest.raises(RuntimeError, match="that lives"):
                ctx.ref.monitor()
            ctx.reply("boo")
            zombies.append("ended")

    async with open_system() as system:
        ref = await start(system, haunted)
        ref.kill()
        await trio.sleep(10)
        assert system.child("actor", ActorRef).incarnation == 2
        release.set()
        await settle()

        assert zombies == ["ended"]
        assert await ref.ask("alive") == "alive"
        assert system.leftovers().total == 0


async def test_names_and_places() -> None:
    """The path tells the place in the tree, the name is its last part."""
    found: list[object] = []

    async def look(ctx: ActorContext) -> None:
        found.extend([ctx.path, ctx.name, ctx.ref.path, ctx.runtime is system.runtime])

    async with open_system() as system:
        await system.start_child(supervisor("team", children=[child("a", look, restart="temporary")]))

    assert found == ["/team/a", "a", "/team/a", True]


async def test_an_incarnation_starts_with_nothing_in_hand() -> None:
    """S62: what the one before it was asked does not stick to the next."""
    async with open_system() as system:
        ref = await start(system)
        await crash(ref)

        assert await ref.ask("fresh") == "fresh"


async def test_context_variables_of_the_requester_stay_out() -> None:
    """An actor's context is fresh: it holds our one variable, and none of whoever started it."""
    variable = contextvars.ContextVar("mine", default="unset")
    found: list[object] = []

    async def look(_ctx: ActorContext) -> None:
        found.append(variable.get())
        found.append(len(contextvars.copy_context()))

    variable.set("the requester's")
    async with open_system() as system:
        await start(system, look, restart="temporary")

    assert found == ["unset", 1]


async def test_a_deadline_does_not_outlive_its_ask() -> None:
    """An ask whose reply was deferred keeps its deadline while it is in hand; the next message has its own, or none."""
    deadlines: list[float] = []

    async def defers(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            slot = ctx.take_reply()
            deadlines.append(ctx.deadline)
            if slot is not None:
                slot.reply("later")

    async with open_system() as system:
        ref = await start(system, defers)
        with trio.fail_after(30):
            wanted = trio.current_effective_deadline()
            await ref.ask("deferred")
        await ref.tell("told")
        await settle()

    assert deadlines == [wanted, float("inf")]


async def test_one_that_was_given_up_while_it_waited_for_a_message_wakes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S32: its messages have ended, so it ends after all; it does not wait in its successor's place for ever."""

    async def sleeps(ctx: ActorContext) -> None:
        with trio.CancelScope(shield=ctx.ref.incarnation == 1):
            async for message in ctx.messages():
                ctx.reply(message)

    async with open_system() as system:
        ref = await start(system, sleeps)
        ref.kill()
        await trio.sleep(10)
        await settle()

        assert system.leftovers().total == 0
        assert await ref.ask("alive") == "alive"


async def test_a_stop_outranks_control_that_lies_unread() -> None:
    """S40: the messages end after the one in hand, whatever else has come."""
    seen: list[object] = []
    gate = trio.Event()

    async def reader(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append(message)
            await gate.wait()

    async with open_system() as system:
        ref = await start(system, reader)
        await ref.tell("in hand")
        await settle()
        ref.address.mailbox.post("control")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await settle()
            gate.set()

    assert seen == ["in hand"]


async def test_a_message_leads_to_what_is_done_for_it() -> None:
    """The sender's event is the cause of the first event of the handling; of a message from outside, the actor's own start is."""

    async def relay(ctx: ActorContext, target: ActorRef) -> None:
        async for message in ctx.messages():
            await target.tell(message)

    async def publishes(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == "ask":
                ctx.reply(None)
            ctx.cell.publish(SubscriberFailedEvent, subscriber=str(message), error=None)

    async with open_system() as system, system.subscribe("**") as events:
        target = await start(system, publishes, name="target")
        sender = await start(system, relay, target, name="sender")
        target_start, sender_start = (event.seq for event in told(events, ActorStartedEvent) if event.path != "/")
        await sender.tell("from an actor")
        await settle()
        await target.tell("from outside")
        await target.ask("ask")
        await settle()

        assert [(event.subscriber, event.cause) for event in told(events, SubscriberFailedEvent)] == [
            ("from an actor", sender_start),
            ("from outside", target_start),
            ("ask", target_start),
        ]
