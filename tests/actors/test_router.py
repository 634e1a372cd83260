"""Routers: whom a message goes to, and what becomes of members that come and go."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests._kernel import crash, settle, start
from tinyagent_actors import (
    ActorContext,
    ActorRef,
    AskCycleError,
    KeySticky,
    LeastMailbox,
    MailboxFullError,
    NoMembersError,
    PipedValue,
    RoundRobin,
    System,
    open_system,
)
from tinyagent_actors.actors import Router
from tinyagent_actors.actors._hash_ring import HashRing, position

MAKERS: dict[str, Callable[[Any], Router]] = {
    "round robin": RoundRobin,
    "least mailbox": LeastMailbox,
    "key-sticky": lambda members: KeySticky(members, key=str),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


async def named(ctx: ActorContext, gate: trio.Event | None = None) -> None:
    """Answer with one's own name, once the gate is open."""
    async for message in ctx.messages():
        if isinstance(message, Exception):
            raise message
        if gate is not None:
            await gate.wait()
        ctx.reply(ctx.name)


async def team(system: System, names: str, *args: Any, **options: Any) -> list[ActorRef]:
    return [await start(system, named, *args, name=name, **options) for name in names]


async def test_round_robin_goes_round() -> None:
    """S61: each in its turn, whether told or asked."""
    async with open_system() as system:
        router = RoundRobin(await team(system, "abc"))
        answers = [await router.ask("who?") for _ in range(4)]
        await router.tell("silent")

        assert [*answers, await router.ask("who?")] == ["a", "b", "c", "a", "c"]


async def test_least_mailbox_takes_who_has_least_to_do() -> None:
    """S61: what lies unread, waits to come in, and is in hand counts; who is idle comes first, and of equals each in its turn."""
    gate = trio.Event()
    async with open_system() as system:
        refs = await team(system, "abc", gate)
        router = LeastMailbox(refs)
        await settle()
        for _ in range(2):
            await refs[0].tell("work")
        await refs[1].tell("work")
        await settle()
        depths = []
        for _ in range(3):
            router.tell_nowait("work")
            await settle()
            depths.append([ref.statistics().depth for ref in refs])

        assert depths[0] == [1, 0, 0]
        assert sorted(depths[1]) == [0, 1, 1]
        assert depths[2] == [1, 1, 1]
        gate.set()


async def test_a_key_sticks_to_its_member() -> None:
    """S61: as long as the members stay, also over a restart of one."""
    async with open_system() as system:
        refs = await team(system, "abcd")
        router = KeySticky(refs, key=lambda message: message["user"])
        before = {user: await router.ask({"user": user}) for user in range(40)}
        await crash(refs[0])
        await settle()

        assert {user: await router.ask({"user": user}) for user in range(40)} == before
        assert set(before.values()) == set("abcd")


@pytest.mark.parametrize("size", [3, 10, 30])
def test_a_member_that_comes_moves_its_share_of_the_keys(size: int) -> None:
    """S61: consistent hashing: about 1/n of 10,000 keys move, all of them to the newcomer; when it goes, they go back and no other moves."""
    members = [f"/team/{number}" for number in range(size)]
    before, after = HashRing(tuple(members)), HashRing((*members, "/team/new"))
    moved = [key for key in range(10_000) if before.owner(key) != after.owner(key)]
    share = 10_000 / (size + 1)

    assert 0.6 * share < len(moved) < 1.5 * share
    assert {after.owner(key) for key in moved} == {"/team/new"}


def test_keys_are_shared_evenly() -> None:
    """S61: nobody has more than one and a half times its share."""
    ring = HashRing(tuple(f"/team/{number}" for number in range(10)))
    counts = Counter(ring.owner(key) for key in range(10_000))

    assert 600 < min(counts.values()) <= max(counts.values()) < 1_500


@given(st.sets(st.text(min_size=1), min_size=1, max_size=8), st.one_of(st.text(), st.binary(), st.integers()))
def test_the_owner_does_not_depend_on_the_order_of_members(members: set[str], key: Any) -> None:
    """S61: two routers with the same members agree, however they learned of them."""
    assert HashRing(tuple(sorted(members))).owner(key) == HashRing(tuple(sorted(members, reverse=True))).owner(key)


@pytest.mark.process
def test_a_place_on_the_ring_is_the_same_in_every_process() -> None:
    """S61: `hash` of a string is another one in each process; this is not."""
    program = (
        "from tinyagent_actors.actors._hash_ring import position as p; print(p('user-1'), p(b'user-1'), p(7), p('7'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [str(position(key)) for key in ("user-1", b"user-1", 7, "7")]
    assert position("user-1") == 11145382709976293768


@pytest.mark.parametrize("key", [None, 1.5, ("a",), object()])
async def test_a_key_of_another_type_is_refused(key: Any) -> None:
    """S18: rather than hashed by whatever its `repr` is today."""
    async with open_system() as system:
        router = KeySticky(await team(system, "a"), key=lambda _: key)
        with pytest.raises(TypeError, match="a key is"):
            await router.tell("anything")


@makers
async def test_who_is_gone_is_passed_over(make: Callable[[Any], Router]) -> None:
    """S67: gone for good, or on its way out; one that is started again is a member all the time."""
    async with open_system() as system:
        refs = await team(system, "abc")
        router = make(refs)
        await refs[1].stop()
        await crash(refs[2])

        assert router.members() == (refs[0], refs[2])
        answers = {await router.ask(f"who? {number}") for number in range(20)}
        assert answers == {"a", "c"}


@makers
async def test_a_router_without_members_says_so(make: Callable[[Any], Router]) -> None:
    """S67: typed, at once: nobody ever was a member, or all are gone."""
    async with open_system() as system:
        (ref,) = await team(system, "a")
        await ref.stop()
        for router in (make([]), make([ref]), make(lambda: ())):
            for act in (router.tell, router.ask):
                with pytest.raises(NoMembersError):
                    await act("anybody?")
            with pytest.raises(NoMembersError):
                router.tell_nowait("anybody?")


@makers
async def test_the_members_of_a_group_are_members_of_its_router(make: Callable[[Any], Router]) -> None:
    """S57: given as a function, they are asked for at each message."""
    async with open_system() as system:
        router = make(lambda: system.members("readers"))
        a, b = await team(system, "ab")
        system.join("readers", a)
        assert await router.ask("who?") == "a"
        system.join("readers", b)
        system.leave("readers", a)
        assert await router.ask("who?") == "b"


@makers
async def test_a_full_member_is_waited_for_or_said(make: Callable[[Any], Router]) -> None:
    """S61: the policy is that of the member; a router has no room of its own."""
    gate = trio.Event()
    async with open_system() as system:
        refs = await team(system, "a", gate, mailbox_capacity=1)
        router = make(refs)
        for _ in range(2):
            await router.tell("work")
            await settle()
        with pytest.raises(MailboxFullError):
            router.tell_nowait("no room")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router.tell, "waits")
            await settle()
            assert refs[0].statistics().waiting == 1
            gate.set()


@pytest.mark.parametrize("make", [RoundRobin, LeastMailbox])
async def test_a_circle_is_gone_round_where_there_is_a_way(
    make: Callable[[Any], Router], autojump_clock: trio.testing.MockClock
) -> None:
    """S60: an ask goes to a member that does not wait for the asker; only if all do, it is refused."""
    answers: list[object] = []
    gate = trio.Event()

    async def asks(ctx: ActorContext, routers: list[Router]) -> None:
        async for message in ctx.messages():
            if message != "go":
                ctx.defer_reply()
                continue
            await gate.wait()
            for router in routers:
                try:
                    answers.append(await router.ask("who?"))
                except AskCycleError as error:
                    answers.append(error.cycle)

    async def waits(ctx: ActorContext, target: ActorRef) -> None:
        async for _ in ctx.messages():
            await target.ask("never answered")

    async with open_system() as system:
        routers: list[Router] = []
        asker = await start(system, asks, routers, name="asker")
        stuck = [await start(system, waits, asker, name=name) for name in ("s1", "s2")]
        (free,) = await team(system, "f")
        routers += [make([*stuck, free]), make(stuck)]
        await asker.tell("go")
        await settle()
        for ref in stuck:
            await ref.tell("wait")
        await settle()
        gate.set()
        await settle()

        assert answers[0] == "f"
        assert answers[1] in {("/asker", f"/{name}", "/asker") for name in ("s1", "s2")}


async def test_a_task_beside_its_actor_closes_no_circle() -> None:
    """S60: whoever asks in the background does not wait, so the first in turn is asked, though it waits for the actor."""
    answers: list[object] = []
    go_on, is_answered = trio.Event(), trio.Event()

    async def asks(ctx: ActorContext, routers: list[Router]) -> None:
        async for message in ctx.messages():
            if isinstance(message, PipedValue):
                answers.append(message.value)
                is_answered.set()
            else:
                ctx.pipe_to_self(routers[0].ask, "who?")
                await go_on.wait()
                ctx.reply("go on")

    async def waits(ctx: ActorContext, target: ActorRef) -> None:
        async for message in ctx.messages():
            if message == "wait":
                await target.ask("answered later")
            else:
                ctx.reply(ctx.name)

    async with open_system() as system:
        routers: list[Router] = []
        asker = await start(system, asks, routers, name="asker")
        busy = await start(system, waits, asker, name="busy")
        (free,) = await team(system, "f")
        routers.append(RoundRobin([busy, free]))
        await busy.tell("wait")
        await settle()
        go_on.set()
        with trio.fail_after(5):
            await is_answered.wait()

        assert answers == ["busy"]


async def test_a_key_has_no_other_way() -> None:
    """S60: the ask of a key whose member waits for the asker is refused, however many others there are."""
    async with open_system() as system:
        refs: list[ActorRef] = []
        router = KeySticky(lambda: refs, key=str)

        async def itself(ctx: ActorContext) -> None:
            async for message in ctx.messages():
                try:
                    ctx.reply(await router.ask(message))
                except AskCycleError as error:
                    ctx.reply(error.cycle)

        refs += [await start(system, itself, name=name) for name in "abc"]
        cycle = await router.ask("a key")

        assert cycle[0] == cycle[-1]
        assert len(cycle) == 2
