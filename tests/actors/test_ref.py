"""Refs: values that reach a child through all its incarnations; tell, stop, kill, waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, crash, deaf, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    ActorStoppedEvent,
    DeadLetterEvent,
    Exit,
    MailboxFullError,
    SupervisorRef,
    open_system,
    supervisor,
)
from tinyagent_actors.actors import MailboxStatistics


async def collect(ctx: ActorContext, seen: list[object]) -> None:
    """Keep what comes."""
    seen.extend([message async for message in ctx.messages()])


async def test_refs_tell_incarnations_apart() -> None:
    """S67: equal only with the same incarnation; any of them reaches the child."""
    async with open_system() as system:
        ref = await start(system)
        same = system.child("actor", ActorRef)
        await crash(ref)
        await settle()
        again = system.child("actor", ActorRef)

        assert (ref, hash(ref)) == (same, hash(same))
        assert again != ref
        assert ref != "actor"
        assert (ref.incarnation, again.incarnation, again.uid) == (1, 2, ref.uid)
        assert await ref.ask("both") == await again.ask("both")


async def test_a_child_that_takes_a_name_has_a_uid_of_its_own() -> None:
    """S67: a ref to the one that is gone neither equals nor reaches the one that has its name now."""
    async with open_system() as system:
        old = await start(system, restart="temporary")
        await old.stop()
        new = await start(system)
        await old.tell("nobody there")

        assert old != new
        assert old.uid != new.uid
        assert system.runtime.dead_letters.count == 1


async def test_tells_to_one_that_is_gone_are_dead_letters() -> None:
    """S67: never an exception in the sender's loop."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system)
        await ref.stop()
        await ref.tell("anybody?")
        ref.tell_nowait("anybody?")

        assert [event.reason for event in told(events, DeadLetterEvent)] == ["stopped", "stopped"]


async def test_what_is_queued_at_the_stop_is_a_dead_letter() -> None:
    """S40: stop outranks queued messages; none is lost in silence."""
    gate, seen = trio.Event(), []

    async def gated(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            seen.append(message)
            await gate.wait()

    async with open_system() as system:
        ref = await start(system, gated)
        for number in range(3):
            await ref.tell(number)
            await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await settle()
            await ref.tell("after the stop")
            gate.set()

        assert seen == [0]
        assert system.runtime.dead_letters.count == 3


async def test_a_tell_waits_for_room(autojump_clock: trio.testing.MockClock) -> None:
    """S61: to a full mailbox it waits; cancelled, it was not sent; `tell_nowait` raises."""
    async with open_system() as system:
        ref = await start(system, deaf, mailbox_capacity=1, restart="temporary")
        await ref.tell("fits")
        with pytest.raises(MailboxFullError):
            ref.tell_nowait("does not")
        with trio.move_on_after(1) as scope:
            await ref.tell("does not")

        assert scope.cancelled_caught
        assert ref.statistics() == MailboxStatistics(1, 0, 1, 0, 0, 1)


async def test_a_sender_that_waits_is_released_when_the_actor_goes() -> None:
    """S61, S67: its message is a dead letter, and it goes on."""
    async with open_system() as system:
        ref = await start(system, deaf, mailbox_capacity=1, restart="temporary")
        await ref.tell("fits")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.tell, "waits")
            await settle()
            ref.kill()
            with trio.fail_after(5):
                await ref.wait_gone()

        assert system.runtime.dead_letters.count == 2


async def test_a_tell_is_a_cancellation_point() -> None:
    """In a cancelled scope nothing is sent, room or not."""
    seen: list[object] = []
    async with open_system() as system:
        ref = await start(system, collect, seen)
        with trio.CancelScope() as scope:
            scope.cancel()
            await ref.tell("not sent")
        await settle()

    assert scope.cancelled_caught
    assert seen == []


async def test_a_tell_with_room_does_not_switch_but_the_64th_does() -> None:
    """A loop of tells cannot starve others: the 64th in a row is a full checkpoint, and again each 64th."""
    switched: list[int] = []
    async with open_system() as system:
        ref = await start(system, deaf, mailbox_capacity=1000, shutdown="kill")
        task = trio.lowlevel.current_task()
        for number in range(1, 129):
            before = task._schedule_points
            await ref.tell(number)
            if task._schedule_points > before:
                switched.append(number)

    assert switched == [64, 128]


async def test_a_tell_that_waited_begins_a_new_row() -> None:
    """It let others run: the 63 tells after it need not."""
    switched: list[int] = []
    async with open_system() as system:
        ref = await start(system, deaf, mailbox_capacity=40, shutdown="kill")
        take_work = ref.address.mailbox.take_work
        task = trio.lowlevel.current_task()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(free_later, take_work)
            for number in range(41):
                await ref.tell(number)
        for number in range(62):
            before = task._schedule_points
            take_work()
            await ref.tell(number)
            if task._schedule_points > before:
                switched.append(number)

    assert switched == []


async def free_later(take_work: Callable[[], object]) -> None:
    """Make room when whoever fills a mailbox waits."""
    await settle()
    take_work()


async def test_tells_to_nobody_do_not_starve_others() -> None:
    """Fairness: a loop that tells one that is gone lets others run as well."""
    ran = trio.Event()

    async def other() -> None:
        ran.set()

    async with open_system() as system:
        ref = await start(system)
        await ref.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(128):
                await ref.tell("nobody")

            assert ran.is_set()


async def test_stop_lets_the_handler_finish() -> None:
    """S40: the message in hand is handled to its end; the exit is `shutdown`, by whom and why."""
    gate, done = trio.Event(), []

    async def worker(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            await gate.wait()
            done.append(message)

    async with open_system() as system:
        ref = await start(system, worker)
        await ref.tell(1)
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop, "enough")
            await settle()
            gate.set()
        ended = await ref.wait_stopped()

        assert done == [1]
        assert ended.reason == "shutdown"
        assert ended.cause is not None
        assert (ended.cause.by, ended.cause.why, ended.cause.source) == ("outside", "enough", "stop")
        assert await states(system) == {"actor": "stopped"}


async def test_stop_is_meant() -> None:
    """S40: a permanent actor that was stopped stays stopped; stopping it again returns at once."""
    async with open_system() as system:
        ref = await start(system, restart="permanent")
        await ref.stop()
        with trio.fail_after(5):
            await ref.stop()

        assert await states(system) == {"actor": "stopped"}


async def test_cancelling_a_stop_does_not_take_it_back() -> None:
    """The wait ends, the stop goes on."""
    gate = trio.Event()

    async def slow(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            await gate.wait()

    async with open_system() as system:
        ref = await start(system, slow)
        await ref.tell("hold it")
        await settle()
        with trio.move_on_after(0):
            await ref.stop()
        gate.set()
        with trio.fail_after(5):
            await ref.wait_gone()


async def test_kill_cancels_in_the_middle_and_restarts() -> None:
    """S40: the handler is cancelled mid-await; it is an abnormal exit, so the restart type applies; the message is a dead letter."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, deaf_to("hold"), restart="transient")
        await ref.tell("hold")
        await settle()
        ref.kill("a test")
        ended = await ref.wait_stopped()
        await settle()

        assert (ended.reason, ended.cause and ended.cause.why) == ("killed", "a test")
        assert system.child("actor", ActorRef).incarnation == 2
        assert [event.reason for event in told(events, DeadLetterEvent)] == ["crashed_in_hand"]


def deaf_to(word: str) -> object:
    """Give an actor that hangs in the handling of `word`."""

    async def actor(ctx: ActorContext) -> None:
        async for message in ctx.messages():
            if message == word:
                await trio.sleep_forever()
            ctx.reply(message)

    return actor


async def test_killing_what_is_gone_changes_nothing() -> None:
    """Neither an error nor an event."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system)
        await ref.stop()
        told(events)
        ref.kill()
        await settle()

        assert told(events) == []


async def test_waits_are_per_incarnation_and_per_child() -> None:
    """`wait_stopped` is for this incarnation and may come late; `wait_gone` for the child."""
    ended: list[Exit] = []

    async def wait(ref: ActorRef) -> None:
        ended.append(await ref.wait_stopped())

    async with open_system() as system:
        ref = await start(system)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, ref)
            await settle()
            await crash(ref)
        with trio.move_on_after(0) as scope:
            await ref.wait_gone()
        await wait(ref)
        await ref.stop()
        await ref.wait_gone()

        assert scope.cancelled_caught
        assert [one.reason for one in ended] == ["error", "error"]
        assert (await system.child("actor", ActorRef).wait_stopped()).reason == "noproc"


async def test_stop_from_inside_never_returns() -> None:
    """S39: an actor that stops itself is cancelled, exits `shutdown` and stays ended; so does one that stops its team."""

    async def suicidal(ctx: ActorContext, targets: list[ActorRef]) -> None:
        async for _ in ctx.messages():
            await (targets[0] if targets else ctx.ref).stop()
            raise AssertionError("must not return")

    async with open_system() as system, system.subscribe("**") as events:
        alone = await start(system, suicidal, [])
        await alone.tell("go")
        with trio.fail_after(5):
            await alone.wait_gone()
        assert (await alone.wait_stopped()).reason == "shutdown"

        targets: list[ActorRef] = []
        inner = supervisor("inner", children=[child("x", suicidal, targets)], max_restarts=0)
        team = await system.start_child(supervisor("team", children=[inner, child("last")], max_restarts=0))
        targets.append(team)
        await team.child("inner").child("x").tell("go")
        with trio.fail_after(5):
            await team.wait_gone()
        ends = {event.path: event.reason for event in told(events, ActorStoppedEvent)}

        assert ends == dict.fromkeys(["/actor", "/team", "/team/inner", "/team/inner/x", "/team/last"], "shutdown")


async def test_a_task_of_an_actor_that_has_ended_may_stop_it() -> None:
    """S39: only a living handler is cancelled; a task that outlived its actor waits as others do."""

    async def leaves_a_task(ctx: ActorContext, returned: list[str]) -> None:
        async def later() -> None:
            await trio.lowlevel.checkpoint()
            await ctx.cell.wait_ended()
            await ctx.ref.stop()
            returned.append("returned")

        ctx.runtime.start_detached(later, name="later")
        ctx.started()

    returned: list[str] = []
    async with open_system() as system:
        await start(system, leaves_a_task, returned, restart="temporary")
        with trio.fail_after(5):
            await settle()

    assert returned == ["returned"]


async def test_a_suicide_that_does_not_end_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """S39, S32: who stops himself and swallows the cancel holds nobody."""
    stuck = Stuck()

    async def stubborn(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            try:
                await ctx.ref.stop()
            finally:
                await stuck(ctx)

    async with open_system() as system:
        ref = await start(system, stubborn)
        await ref.tell("go")
        with trio.fail_after(20):
            await ref.wait_gone()

        assert system.leftovers().names == ("actor /actor",)
        stuck.released.set()
        await settle()


async def test_children_have_the_type_that_was_asked_for() -> None:
    """`child(name, type)` is typed and checked."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))

        assert isinstance(system.child("team", SupervisorRef), SupervisorRef)
        assert team.child("a", ActorRef) == system.child("/team/a")
        with pytest.raises(TypeError, match="not by a SupervisorRef"):
            team.child("a", SupervisorRef)


async def test_a_ref_shows_who_it_is() -> None:
    """Path, uid and incarnation; nothing else."""
    async with open_system() as system:
        ref = await start(system)

        assert repr(ref) == f"ActorRef(path='/actor', uid={ref.uid}, incarnation=1)"


async def test_stopping_the_namesake_in_another_system_is_no_end_of_ones_own() -> None:
    """S39: who stops an actor of another system stands outside of it, whatever the paths are."""

    async def stops(ctx: ActorContext) -> None:
        async for other in ctx.messages():
            await other.stop()
            ctx.reply("stopped")

    async with open_system("one") as one, open_system("two") as two:
        here, there = await start(one, stops), await start(two)
        with trio.fail_after(5):
            assert await here.ask(there) == "stopped"

        assert await states(two) == {"actor": "stopped"}


async def test_the_parameters_of_a_ref_are_for_type_checkers() -> None:
    """S67: a subscripted class of refs is as good as the plain one, in a spec and where a child is looked up."""
    async with open_system() as system:
        spec = child("a", ref_type=ActorRef[int, str])
        ref = await system.start_child(spec)

        assert spec.ref_type is ActorRef
        assert type(ref) is ActorRef
        assert system.child("a", ActorRef[int, str]) == ref
