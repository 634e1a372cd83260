"""Names: one owner at a time, free when the owner has ended, and never a way to one that is gone."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Literal

import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, crash, obedient, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorStoppedError,
    AlreadyRegisteredError,
    ChildNotFoundError,
    Down,
    Exit,
    NotRegisteredError,
    SpecError,
    StartFailedError,
    System,
    open_system,
    supervisor,
)


def owner_of(system: System, name: str) -> ActorRef | None:
    try:
        return system.whereis(name)
    except NotRegisteredError:
        return None


async def test_a_name_has_one_owner() -> None:
    """S57: a second registration is refused, naming the owner, also one by the owner himself; freed, it can be taken."""
    async with open_system() as system:
        a, b = await start(system, name="a"), await start(system, name="b")
        system.register("db", a)
        for ref in (a, b):
            with pytest.raises(AlreadyRegisteredError) as caught:
                system.register("db", ref)
            assert (caught.value.name, caught.value.path, caught.value.owner) == ("db", "/a", a)

        assert system.whereis("db") == a
        assert system.unregister("db")
        assert not system.unregister("db")
        system.register("db", b)
        assert system.whereis("db") == b


def test_the_error_can_be_pickled() -> None:
    """S57: with its facts; a ref stays in its process."""
    error = AlreadyRegisteredError("db", "/a", object())

    assert pickle.loads(pickle.dumps(error)) == error  # noqa: S301  # what was dumped here
    assert str(error) == "the name 'db' is that of /a"


@pytest.mark.parametrize("end", ["return", "crash", "kill", "stop"])
async def test_an_end_frees_the_name(end: str) -> None:
    """S57: however the owner ends, all its names are free when anybody hears of it."""
    async with open_system() as system:
        ref = await start(system, restart="temporary")
        for name in ("one", "two"):
            system.register(name, ref)
        match end:
            case "return":
                await ref.tell("return")
            case "crash":
                await ref.tell(ValueError("boom"))
            case "kill":
                ref.kill()
            case _:
                await ref.stop()
        await ref.wait_stopped()

        assert [owner_of(system, name) for name in ("one", "two")] == [None, None]
        assert len(system.runtime.registry) == 0
        with pytest.raises(ActorStoppedError):
            system.register("one", ref)


async def test_a_name_is_free_before_a_monitor_hears_of_the_end() -> None:
    """S56: whoever gets the `Down`, or the event, finds the name free."""
    found: list[object] = []

    async def watch(ctx: ActorContext, ref: ActorRef) -> None:
        ref.monitor()
        async for message in ctx.messages():
            assert isinstance(message, Down)
            ctx.register("db")
            found.append(ctx.whereis("db"))

    async with open_system() as system:
        ref = await start(system, name="owner", register="db", restart="temporary")
        watcher = await start(system, watch, ref, name="watch")
        await crash(ref)
        await settle()

        assert found == [watcher]


async def test_a_name_taken_by_an_outsider_fails_the_start_of_a_child() -> None:
    """S55: the start fails with who has it as its cause; the supervisor goes on, and can start the child when the name is free."""
    async with open_system() as system:
        outsider = await start(system, name="outsider")
        system.register("db", outsider)
        team = await system.start_child(supervisor("team", children=[child("other")]))
        with pytest.raises(StartFailedError) as caught:
            await team.start_child(child("db", register="db"))

        assert isinstance(caught.value.cause, AlreadyRegisteredError)
        assert caught.value.cause.path == "/outsider"
        assert [info.name for info in team.which_children()] == ["other"]
        assert await team.child("other").ask("still here") == "still here"
        system.unregister("db")
        ref = await team.start_child(child("db", register="db"))
        assert system.whereis("db") == ref


async def test_a_static_child_whose_name_is_taken_fails_its_supervisor() -> None:
    """S55, S13: the start of the supervisor fails, and nothing of it is left."""
    async with open_system() as system:
        await start(system, name="outsider", register="db")
        with pytest.raises(StartFailedError):
            await system.start_child(supervisor("team", children=[child("a"), child("db", register="db")]))

        assert [info.name for info in system.which_children()] == ["outsider"]


async def test_each_incarnation_takes_the_name_anew() -> None:
    """S56: after a restart the name leads to the new incarnation; nobody ever finds one that has ended."""
    found: list[ActorRef | None] = []

    class Spy(trio.abc.Instrument):
        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            found.append(owner_of(system, "db"))
            assert found[-1] is None or found[-1].living is not None

    async with open_system() as system:
        first = await start(system, register="db")
        spy = Spy()
        trio.lowlevel.add_instrument(spy)
        await crash(first)
        await settle()
        trio.lowlevel.remove_instrument(spy)

        assert system.whereis("db") == system.child("actor")
        assert {ref and ref.incarnation for ref in found} == {1, None, 2}


async def test_a_lookup_during_a_restart_fails_typed_or_waits() -> None:
    """S56: while nobody has the name `whereis` raises, `wait_registered` and `via` wait for whoever takes it."""
    gate = trio.Event()
    answers: list[object] = []

    async def slow_start(ctx: ActorContext) -> None:
        if ctx.ref.incarnation > 1:
            ctx.unregister("db")
            await gate.wait()
            ctx.register("db")
        await obedient(ctx)

    async def ask(system: System) -> None:
        answers.append(await system.via("db").ask("hello"))

    async with open_system() as system:
        first = await start(system, slow_start, register="db")
        await crash(first)
        await settle()
        with pytest.raises(NotRegisteredError):
            system.whereis("db")
        with pytest.raises(NotRegisteredError):
            system.via("db").tell_nowait("lost")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, system)
            await settle()
            assert answers == []
            gate.set()
            assert (await system.wait_registered("db")).incarnation == 2

    assert answers == ["hello"]


async def test_an_outsider_that_takes_the_name_in_between_wins() -> None:
    """S55, S56: then the restart has failed, which counts, and is tried again; the outsider keeps the name."""
    async with open_system() as system, system.subscribe("**") as events:
        outsider = await start(system, name="outsider")

        def take_the_name(_exit: Exit) -> Literal["default"]:
            with suppress(AlreadyRegisteredError):
                system.register("db", outsider)
            return "default"

        db = child("db", register="db", classify=take_the_name)
        team = await system.start_child(supervisor("team", max_restarts=5, restart="temporary", children=[db]))
        await team.child("db").tell(ValueError("boom"))
        await team.wait_gone()

        assert system.whereis("db") == outsider
        crashes = told(events, ActorCrashedEvent)
        assert [type(event.error).__name__ for event in crashes if event.path == "/team/db"][1:] == [
            "AlreadyRegisteredError"
        ] * 5


@pytest.mark.parametrize("seed", range(3))
async def test_a_thousand_registrations_of_one_name(seed: int, autojump_clock: trio.testing.MockClock) -> None:
    """S57: of 1,000 concurrent tries each moment has one owner at most, and it is he whom the error names; his end frees the name like `unregister`."""
    random = Random(seed)  # noqa: S311  # no secret
    owners: list[ActorRef] = []
    outcomes: Counter[str] = Counter()

    async def want(ctx: ActorContext) -> None:
        ctx.started()
        for turn in range(10):
            await trio.sleep(random.random() * 10)
            try:
                ctx.register("crown")
            except AlreadyRegisteredError as error:
                outcomes["refused" if [error.owner] == owners else "wrong"] += 1
                continue
            owners.append(ctx.ref)
            outcomes["had" if len(owners) == 1 else "shared"] += 1
            await trio.sleep(random.random() / 10)
            outcomes["kept" if ctx.whereis("crown") == ctx.ref else "lost"] += 1
            owners.remove(ctx.ref)
            if turn < 5:
                ctx.unregister("crown")
            else:
                return  # its end frees it

    async with open_system() as system:
        refs = [await start(system, want, name=str(number), restart="temporary") for number in range(100)]
        for ref in refs:
            await ref.wait_gone()

        assert set(outcomes) == {"refused", "had", "kept"}
        assert outcomes["had"] == outcomes["kept"] > 100
        assert len(system.runtime.registry) == 0


async def test_one_that_was_given_up_has_no_names(autojump_clock: trio.testing.MockClock) -> None:
    """S32, S57: its names are free, and it can take no others, though its task still runs."""
    stuck = Stuck()
    errors: list[BaseException] = []

    async def haunted(ctx: ActorContext) -> None:
        await stuck(ctx)
        try:
            ctx.register("late")
        except ActorStoppedError as error:
            errors.append(error)

    async with open_system() as system:
        ref = await start(system, haunted, restart="temporary", register="db")
        ref.kill()
        await ref.wait_stopped()
        assert owner_of(system, "db") is None
        stuck.released.set()
        await settle()

    assert [type(error) for error in errors] == [ActorStoppedError]


async def test_an_actor_frees_only_its_own_names() -> None:
    """S57: `ctx.unregister` leaves another's name alone."""
    freed: list[bool] = []

    async def meddler(ctx: ActorContext) -> None:
        ctx.register("mine")
        freed.extend(ctx.unregister(name) for name in ("yours", "mine", "nobody's"))
        ctx.started()

    async with open_system() as system:
        owner = await start(system, name="owner", register="yours")
        await start(system, meddler, name="meddler", restart="temporary")

        assert freed == [False, True, False]
        assert system.whereis("yours") == owner


async def test_a_path_finds_who_stands_there() -> None:
    """S56: by an absolute path as by a name, also from an actor; a child that restarts is reached by its mailbox."""
    found: list[object] = []

    async def curious(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            found.append(ctx.whereis("/team/a"))
            await ctx.via("/team/a").tell("silent")
            ctx.reply(await ctx.via("/team/a").ask("hello"))

    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("a")]))
        ref = await start(system, curious)

        assert await ref.ask("go") == "hello"
        assert found == [team.child("a")]
        with pytest.raises(ChildNotFoundError):
            system.whereis("/team/b")
        with pytest.raises(ChildNotFoundError):
            await system.via("/team/b").tell("lost")
        await team.child("a").stop()
        with pytest.raises(ActorStoppedError):
            system.whereis("/team/a")


async def test_a_path_leads_through_actors_to_their_own_children() -> None:
    """S56: what an actor has started itself stands below it, and is found there."""

    async def parent(ctx: ActorContext) -> None:
        await ctx.start_child(child("one"))
        await obedient(ctx)

    async with open_system() as system:
        await start(system, parent)

        assert system.whereis("/actor/one").path == "/actor/one"
        assert await system.via("/actor/one").ask("hello") == "hello"
        for path in ("/actor/two", "/actor/one/below"):
            with pytest.raises(ChildNotFoundError):
                system.whereis(path)


async def test_who_waits_for_a_name_and_is_cancelled_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """S57: neither an entry for the name nor a place in a line; and waiting is a checkpoint though somebody has it."""
    async with open_system() as system:
        for _ in range(3):
            with trio.move_on_after(1) as scope:
                await system.wait_registered("nobody")
            assert scope.cancelled_caught
        assert system.runtime.registry._waiting == {}
        await start(system, register="somebody")
        with trio.testing.assert_checkpoints():
            await system.wait_registered("somebody")


@pytest.mark.parametrize("wrong", ["", "a/b", "/a", "a\n", 3, None])
async def test_what_is_no_name_is_refused(wrong: Any) -> None:
    """S18: by `register`, and by the spec, which names its field."""
    async with open_system() as system:
        ref = await start(system)
        with pytest.raises(SpecError, match="name"):
            system.register(wrong, ref)
    if wrong is not None:
        with pytest.raises(SpecError, match="register"):
            child("a", register=wrong)


@pytest.mark.parametrize("look", [lambda system: system.whereis("a"), lambda system: system.via("a").tell_nowait(1)])
async def test_systems_do_not_share_names(look: Callable[[System], object]) -> None:
    """S57: a name is unique in its system."""
    async with open_system("one") as one, open_system("two") as two:
        await start(one, register="a")
        with pytest.raises(NotRegisteredError):
            look(two)
        await start(two, register="a")
        look(two)
