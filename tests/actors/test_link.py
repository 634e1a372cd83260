"""Links: two actors that end together, or one that hears of it; S53."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import child, crash, deaf, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    LinkExit,
    open_system,
    supervisor,
)
from tinyagent_actors.testing import deterministic


async def linked(ctx: ActorContext, targets: dict[str, ActorRef], *, traps: bool = False) -> None:
    """Link and unlink as it is told, and tell of the exits that came as messages."""
    ctx.trap_exits = traps
    exits: list[LinkExit] = []
    async for message in ctx.messages():
        match message:
            case LinkExit():
                exits.append(message)
            case ("link", name):
                targets[name].link()
                ctx.reply(None)
            case ("unlink", name):
                targets[name].unlink()
                ctx.reply(None)
            case "return":
                return
            case Exception():
                raise message
            case "traps":
                ctx.reply(ctx.trap_exits)
            case _:
                ctx.reply(exits)


ENDS: list[tuple[Callable[[ActorRef], Any], str]] = [
    (lambda ref: ref.tell("return"), "normal"),
    (lambda ref: ref.stop(), "shutdown"),
    (lambda ref: ref.tell(ValueError("boom")), "error"),
    (lambda ref: ref.kill(), "killed"),
]


async def end_it(end: Callable[[ActorRef], Any], ref: ActorRef) -> None:
    ended = end(ref)
    if ended is not None:
        await ended
    await ref.wait_stopped()
    await settle()


@pytest.mark.parametrize(("end", "reason"), ENDS[1:])
@pytest.mark.parametrize("linker", ["a", "b"])
async def test_an_end_that_is_not_normal_ends_the_other(
    end: Callable[[ActorRef], Any], reason: str, linker: str
) -> None:
    """S53: whichever of the two has linked; the other is cancelled in the middle of what it does, with provenance."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        for name in ("a", "b"):
            targets[name] = await start(system, linked, targets, name=name, restart="temporary")
        await targets[linker].ask(("link", "b" if linker == "a" else "a"))
        other = targets["b"].wait_stopped
        await end_it(end, targets["a"])
        with trio.fail_after(5):
            ended = await other()

        assert ended.reason == ("shutdown" if reason == "shutdown" else "killed")
        assert ended.error is None
        assert ended.cause is not None
        assert (ended.cause.by, ended.cause.source) == ("/a", "link")
        assert ended.cause.why.startswith(f"linked to /a, which ended: {reason}")
        assert "boom" not in ended.cause.why


async def test_a_normal_end_does_not_propagate() -> None:
    """S53: the other lives, and hears nothing of it; the link is gone."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        for name in ("a", "b"):
            targets[name] = await start(system, linked, targets, name=name, restart="temporary")
        await targets["a"].ask(("link", "b"))
        await end_it(ENDS[0][0], targets["a"])

        assert await targets["b"].ask("exits") == []
        assert targets["b"]._cell is not None
        assert targets["b"]._cell.links is not None
        assert targets["b"]._cell.links.peers == {}


@pytest.mark.parametrize(("end", "reason"), ENDS)
async def test_one_that_traps_exits_gets_them_as_messages(end: Callable[[ActorRef], Any], reason: str) -> None:
    """S53: every one, the normal too; whose it is and how it ended; once."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        targets["a"] = await start(system, linked, targets, name="a", restart="temporary")
        trapper = await start(system, linked, targets, name="trapper", kwargs={"traps": True})
        await trapper.ask(("link", "a"))
        await trapper.ask(("link", "a"))
        await end_it(end, targets["a"])
        (heard,) = await trapper.ask("exits")

        assert heard.ref == targets["a"]
        assert heard.exit.reason == reason
        assert await trapper.ask("traps") is True


async def test_a_trapped_exit_comes_before_work() -> None:
    """S53, S61: it is control."""
    seen: list[object] = []
    gate = trio.Event()

    async def busy(ctx: ActorContext, target: ActorRef) -> None:
        ctx.trap_exits = True
        target.link()
        async for message in ctx.messages():
            seen.append(message if isinstance(message, str) else type(message))
            await gate.wait()

    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        ref = await start(system, busy, target, name="busy")
        for message in ("first", "second"):
            await ref.tell(message)
        await settle()
        await crash(target)
        gate.set()
        await settle()

    assert seen == ["first", LinkExit, "second"]


@pytest.mark.parametrize("traps", [False, True])
async def test_linking_to_what_is_gone(traps: bool) -> None:  # noqa: FBT001  # the case
    """S53: an exit `noproc` at once: a message to one that traps, the end of one that does not."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        targets["gone"] = await start(system, name="gone", restart="temporary")
        await targets["gone"].stop()
        ref = await start(system, linked, targets, name="ref", restart="temporary", kwargs={"traps": traps})
        await ref.tell(("link", "gone"))
        await settle()
        if traps:
            assert [heard.exit.reason for heard in await ref.ask("exits")] == ["noproc"]
        else:
            with trio.fail_after(5):
                ended = await ref.wait_stopped()
            assert (ended.reason, ended.cause and ended.cause.source) == ("killed", "link")


async def test_no_exit_after_unlink() -> None:
    """S53: from either side; nobody ends, and what lies unread is taken out; twice changes nothing."""
    targets: dict[str, ActorRef] = {}
    gate = trio.Event()
    seen: list[object] = []

    async def late(ctx: ActorContext, target: ActorRef, other: ActorRef) -> None:
        ctx.trap_exits = True
        target.link()
        other.link()
        ctx.started()
        await gate.wait()
        target.unlink()
        target.unlink()
        seen.extend([message.ref async for message in ctx.messages()])

    async with open_system() as system:
        for name in ("a", "b", "c", "d"):
            targets[name] = await start(system, linked, targets, name=name, restart="temporary")
        await targets["a"].ask(("link", "b"))
        await targets["a"].ask(("unlink", "b"))
        await targets["b"].ask(("link", "c"))
        await targets["c"].ask(("unlink", "b"))
        await start(system, late, targets["b"], targets["d"], name="late")
        await crash(targets["b"])
        await crash(targets["d"])
        gate.set()
        await settle()

        assert await targets["a"].ask("exits") == await targets["c"].ask("exits") == []
    assert seen == [targets["d"]]


@deterministic(seeds=100)
async def test_unlinking_while_the_other_ends() -> None:
    """S53: whatever comes first: after the unlink no exit comes any more; one that was fatal before it stands, and only that."""
    gate = trio.Event()
    trapped: list[object] = []
    came_too_late: list[bool] = []

    async def traps(ctx: ActorContext, target: ActorRef) -> None:
        ctx.trap_exits = True
        target.link()
        ctx.started()
        await gate.wait()
        target.unlink()
        trapped.extend([message async for message in ctx.messages()])

    async def bare(ctx: ActorContext, target: ActorRef) -> None:
        target.link()
        ctx.started()
        await gate.wait()
        came_too_late.append(target.living is None)
        target.unlink()
        await ctx.wait_stopping()

    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        await start(system, traps, target, name="traps")
        ref = await start(system, bare, target, name="bare", restart="temporary")
        target.tell_nowait(ValueError("boom"))
        gate.set()
        await target.wait_stopped()
        await settle()
        assert [ref.living is None] == (came_too_late or [True])
        await ref.stop()
        ended = await ref.wait_stopped()

        assert ended.cause is not None
        assert ended.cause.source == ("stop" if came_too_late == [False] else "link")
    assert trapped == []


async def test_links_are_per_incarnation() -> None:
    """S53: the next incarnations of both are not linked; a trapped exit that lay unread is not the next one's."""
    targets: dict[str, ActorRef] = {}
    async with open_system(max_restarts=100) as system:
        for name in ("a", "b"):
            targets[name] = await start(system, linked, targets, name=name)
        await targets["a"].ask(("link", "b"))
        await crash(targets["a"])
        await settle()
        assert [system.child(name, ActorRef).incarnation for name in ("a", "b")] == [2, 2]
        await crash(system.child("a", ActorRef))
        await settle()
        assert [system.child(name, ActorRef).incarnation for name in ("a", "b")] == [3, 2]

        trapper = await start(system, linked, targets, name="trapper", kwargs={"traps": True})
        targets["b"] = system.child("b", ActorRef)
        await trapper.ask(("link", "b"))
        trapper.tell_nowait(ValueError("the trapper crashes"))
        targets["b"].kill()
        await settle()

        assert await trapper.ask("exits") == []
        assert system.child("trapper", ActorRef).incarnation == 2


async def test_both_end_in_one_tick() -> None:
    """S53: each tells its own end once; nobody is cancelled for the other's, which it did not outlive."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system, system.subscribe("*") as events:
        for name in ("a", "b"):
            targets[name] = await start(system, linked, targets, name=name, restart="temporary")
        await targets["a"].ask(("link", "b"))
        for ref in targets.values():
            ref.tell_nowait(ValueError("both"))
        await settle()
        crashes = [(event.path, event.reason) for event in told(events, ActorCrashedEvent)]

        assert sorted(crashes) == [("/a", "error"), ("/b", "error")]


async def test_a_chain_of_links_ends_as_one() -> None:
    """S53: the end goes on from link to link, also in a circle; each says whom it was linked to."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        for name in "abc":
            targets[name] = await start(system, linked, targets, name=name, restart="temporary")
        for one, other in ("ab", "bc", "ca"):
            await targets[one].ask(("link", other))
        await crash(targets["a"])
        with trio.fail_after(5):
            ends = [await targets[name].wait_stopped() for name in "abc"]

        assert [ended.reason for ended in ends] == ["error", "killed", "killed"]


async def test_it_is_cancelled_in_the_middle_and_may_clean_up(autojump_clock: trio.testing.MockClock) -> None:
    """S53: the scope of the other is cancelled after the cleanup of the one that ends; one that will not end is given up."""
    order: list[str] = []

    async def tidy(ctx: ActorContext) -> None:
        ctx.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            order.append("first")

    async def stubborn(ctx: ActorContext, target: ActorRef) -> None:
        target.link()
        ctx.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        order.append("last")

    async with open_system() as system:
        target = await start(system, tidy, name="target", restart="temporary")
        other = await start(system, stubborn, target, name="other", restart="temporary")
        target.kill()
        with trio.fail_after(20):
            ended = await other.wait_stopped()

        assert (order, ended.abandoned) == (["first"], True)
        assert system.leftovers().names == ("actor /other",)


async def test_a_linked_transient_child_is_restarted_after_a_crash_and_not_after_a_shutdown() -> None:
    """S53, S05: the reason goes over the link, as in Erlang."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        for name in ("a", "b"):
            targets[name] = await start(system, linked, targets, name=name, restart="transient")
        await targets["a"].ask(("link", "b"))
        await crash(targets["a"])
        assert await states(system) == {"a": "running", "b": "running"}
        targets.update({name: system.child(name, ActorRef) for name in ("a", "b")})
        await targets["a"].ask(("link", "b"))
        await targets["a"].stop()

        assert await states(system) == {"a": "stopped", "b": "stopped"}


async def test_a_supervisor_takes_no_notice_of_those_linked_to_it() -> None:
    """S53: supervisors trap exits; whoever linked himself to one ends with it."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        team = await system.start_child(supervisor("team", children=[child("member")]))
        targets["team"] = team
        ref = await start(system, linked, targets, name="ref", restart="temporary")
        again = await start(system, linked, targets, name="again", restart="temporary")
        for one in (ref, again):
            await one.ask(("link", "team"))
        await crash(ref)
        assert await states(team) == {"member": "running"}
        await team.stop()
        with trio.fail_after(5):
            assert (await again.wait_stopped()).reason == "shutdown"


async def test_the_stop_of_a_team_of_linked_actors_is_no_crash() -> None:
    """S53, S35: who ends because its neighbour was stopped ends `shutdown` as well; no crash is told, nothing hangs."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system, system.subscribe("**") as events:
        children = [child(name, linked, targets) for name in "abc"]
        team = await system.start_child(supervisor("team", children=children))
        targets.update({name: team.child(name) for name in "abc"})
        await targets["a"].ask(("link", "b"))
        await targets["b"].ask(("link", "c"))
        with trio.fail_after(5):
            await team.stop()

        assert told(events, ActorCrashedEvent) == []


async def test_only_actors_are_linked() -> None:
    """S53: outside there is nobody to end; and an actor is not linked to itself."""
    async with open_system() as system:
        ref = await start(system)
        for call in (ref.link, ref.unlink):
            with pytest.raises(RuntimeError, match="inside an actor"):
                call()

        async def narcissus(ctx: ActorContext) -> None:
            ctx.ref.unlink()
            ctx.ref.link()
            ctx.reply(None)
            await deaf(ctx)

        own = await start(system, narcissus, name="own", shutdown="kill")
        assert own._cell is not None
        assert own._cell.links is None
