"""Children that an actor starts itself: below its path, gone before its end is told, or kept where its spec says so."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests._kernel import Stuck, child, crash, deaf, obedient, settle, start, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorDiedError,
    ActorRef,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    RestartIntensityExceededError,
    SpecError,
    StartFailedError,
    open_system,
)

KINDS = (ActorStartedEvent, ActorRestartedEvent, ActorStoppedEvent, ActorCrashedEvent)


@attrs.define(eq=False)
class Parent:
    """An actor that starts children when it begins, if it has none, and ends as it is told."""

    names: tuple[str, ...] = ("one", "two")
    options: dict[str, Any] = attrs.field(factory=dict)
    function: Any = obedient
    children: list[ActorRef] = attrs.field(factory=list)

    async def __call__(self, ctx: ActorContext) -> None:
        """Start them."""
        if ctx.children is None:
            for name in self.names:
                self.children.append(await ctx.start_child(child(name, self.function, **self.options)))
        await obedient(ctx)


async def slow_to_stop(ctx: ActorContext) -> None:
    """Take two seconds to end."""
    ctx.started()
    await ctx.wait_stopping()
    await trio.sleep(2)


async def test_they_stand_below_their_parent() -> None:
    """Their paths begin with its path; it asks them, and they are listed in the order they were started."""
    async with open_system() as system, system.subscribe() as events:
        parent = Parent()
        ref = await start(system, parent)
        assert [one.path for one in parent.children] == ["/actor/one", "/actor/two"]
        assert await parent.children[1].ask("hello") == "hello"
        await ref.stop()

        assert [
            (ActorStartedEvent, "/actor/one"),
            (ActorStartedEvent, "/actor/two"),
            (ActorStartedEvent, "/actor"),
            (ActorStoppedEvent, "/actor/two"),
            (ActorStoppedEvent, "/actor/one"),
            (ActorStoppedEvent, "/actor"),
        ] == [(type(event), event.path) for event in told(events, *KINDS)]


async def test_they_are_stopped_before_their_parent_starts_again(autojump_clock: trio.testing.MockClock) -> None:
    """S66: the children of an actor that crashed end in reverse order, then it starts again; what was sent meanwhile is kept for it."""
    async with open_system() as system, system.subscribe() as events:
        parent = Parent(function=slow_to_stop)
        ref = await start(system, parent)
        began = trio.current_time()
        await ref.tell(ValueError("boom"))
        await settle()
        assert await ref.ask("are you there") == "are you there"

        assert trio.current_time() - began == 4
        assert [
            (ActorStoppedEvent, "/actor/two"),
            (ActorStoppedEvent, "/actor/one"),
            (ActorCrashedEvent, "/actor"),
            (ActorStartedEvent, "/actor/one"),
            (ActorStartedEvent, "/actor/two"),
            (ActorRestartedEvent, "/actor"),
        ] == [(type(event), event.path) for event in told(events, *KINDS)[3:]]


async def test_they_are_kept_where_the_spec_says_so() -> None:
    """S66: with `keep_children` the next incarnation finds them where they were."""
    async with open_system() as system:
        parent = Parent()
        ref = await start(system, parent, keep_children=True)
        before = tuple(parent.children)
        await crash(ref)
        await settle()

        assert before == tuple(parent.children)
        assert await before[0].ask("still here") == "still here"


@pytest.mark.parametrize("how", ["stop", "return", "kill"])
async def test_kept_children_end_with_an_end_that_is_no_crash(how: str) -> None:
    """S66: kept through a crash means no more than that: a stop, a return or a kill ends them."""
    async with open_system() as system:
        parent = Parent()
        ref = await start(system, parent, keep_children=True, restart="temporary")
        if how == "stop":
            await ref.stop()
        elif how == "kill":
            ref.kill()
        else:
            await ref.tell("return")
        await ref.wait_gone()

        assert [one.address.cell for one in parent.children] == [None, None]


async def test_kept_children_end_when_their_parent_does_not_come_again(autojump_clock: trio.testing.MockClock) -> None:
    """S66: a temporary parent that crashes is not restarted; it is gone when its children are."""
    async with open_system() as system:
        parent = Parent(function=slow_to_stop)
        ref = await start(system, parent, keep_children=True, restart="temporary")
        await ref.tell(ValueError("boom"))
        began = trio.current_time()
        await ref.wait_gone()

        assert trio.current_time() - began == 4
        assert all(one.address.is_gone for one in parent.children)


async def test_an_asker_does_not_wait_for_them(autojump_clock: trio.testing.MockClock) -> None:
    """S59: the ask in hand fails when its actor crashes, not when that actor's children have ended."""
    async with open_system() as system:
        ref = await start(system, Parent(function=slow_to_stop))
        began = trio.current_time()
        with pytest.raises(ActorDiedError):
            await ref.ask(ValueError("boom"))

        assert trio.current_time() == began


async def test_their_parent_fails_with_them(autojump_clock: trio.testing.MockClock) -> None:
    """Children that die too often end their parent, which exits with that error and is restarted by its own type."""
    async with open_system() as system, system.subscribe() as events:
        parent = Parent(names=("one",))
        ref = await start(system, parent, restart="transient")
        for _ in range(4):
            await parent.children[0].tell(ValueError("boom"))
            await settle()
        ended = await ref.wait_stopped()

        assert isinstance(ended.error, RestartIntensityExceededError)
        assert ended.error.path == "/actor"
        await settle()
        assert [event.incarnation for event in told(events, ActorRestartedEvent) if event.path == "/actor"] == [2]


async def test_stopping_their_parent_is_bounded_by_its_own_time(autojump_clock: trio.testing.MockClock) -> None:
    """S32: the `shutdown` time of a parent is for all of it: when it is over, its children are cancelled too."""
    async with open_system() as system, system.subscribe() as events:
        ref = await start(system, Parent(function=deaf, options={"shutdown": 60}), shutdown=5)
        began = trio.current_time()
        await ref.stop()

        assert trio.current_time() - began == 5
        assert {event.path: event.reason for event in told(events, ActorCrashedEvent)} == {
            "/actor/one": "killed",
            "/actor/two": "killed",
            "/actor": "killed",
        }


@pytest.mark.parametrize("shutdown", [5, float("inf")])
async def test_a_child_that_will_not_end_is_given_up_with_its_parent(
    shutdown: float, autojump_clock: trio.testing.MockClock
) -> None:
    """S32: it stands among the leftovers; its parent and the system end, and the parent's exit says what it left."""
    stuck = Stuck()
    async with open_system() as system:
        parent = Parent(names=("one",), function=stuck)
        ref = await start(system, parent, restart="temporary", shutdown=shutdown)
        await ref.stop()
        left = system.leftovers().names
        ended = await ref.wait_stopped()
    stuck.released.set()

    assert left == ("actor /actor/one",)
    assert ended.abandoned


async def test_a_start_that_fails_leaves_no_child() -> None:
    """S13: a parent that starts a child and then fails to start takes it back."""
    children: list[ActorRef] = []

    async def fails(ctx: ActorContext) -> None:
        children.append(await ctx.start_child(child("one")))
        raise ValueError("no")

    async with open_system() as system:
        with pytest.raises(StartFailedError):
            await start(system, fails)

        assert children[0].address.is_gone


async def test_others_can_be_started_after_all_were_stopped() -> None:
    """`ctx.children.stop()` ends them and not their parent; the next `start_child` begins anew."""
    seen: list[Any] = []

    async def parent(ctx: ActorContext) -> None:
        await ctx.start_child(child("one"))
        await ctx.children.stop()
        seen.append(ctx.children)
        ref = await ctx.start_child(child("one"))
        seen.append(await ref.ask("again"))
        ctx.started()
        await trio.sleep_forever()

    async with open_system() as system:
        await start(system, parent, shutdown="kill")

    assert seen == [None, "again"]


def test_a_spec_says_plainly_whether_they_are_kept() -> None:
    """S18: `keep_children` is True or False."""
    with pytest.raises(SpecError, match="keep_children"):
        child("one", keep_children=1)
