"""Monitors: one `Down` each, after the end, and none to anybody who did not ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests._kernel import crash, obedient, settle, start
from tinyagent_actors import ActorContext, ActorRef, Down, Monitor, open_system


async def watcher(ctx: ActorContext, targets: dict[str, ActorRef]) -> None:
    """Monitor whom it is told to, and tell of the `Down`s."""
    downs: list[Down] = []
    monitors: list[Monitor] = []
    async for message in ctx.messages():
        match message:
            case Down():
                downs.append(message)
            case ("monitor", name):
                monitors.append(targets[name].monitor())
            case ("demonitor", place):
                monitors[place].demonitor()
            case Exception():
                raise message
            case "monitors":
                ctx.reply(monitors)
            case _:
                ctx.reply(downs)


async def reasons(observer: ActorRef) -> list[str]:
    return [down.exit.reason for down in await observer.ask("downs")]


async def test_a_dead_one_is_down_at_once() -> None:
    """S50: `noproc`, never silence; also of a child that is stopped and kept."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        observer = await start(system, watcher, targets, name="watcher")
        gone = await start(system, name="gone", restart="temporary")
        kept = await start(system, name="kept")
        await gone.stop()
        await kept.stop()
        targets.update(gone=gone, kept=system.child("kept", ActorRef))
        for name in targets:
            await observer.tell(("monitor", name))

        assert await reasons(observer) == ["noproc", "noproc"]


async def test_two_monitors_are_two_downs() -> None:
    """S51: each with its own reference; a second `Down` for one does not come."""
    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        observer = await start(system, watcher, {"target": target}, name="watcher")
        for _ in range(2):
            await observer.tell(("monitor", "target"))
        await observer.ask("monitors")
        await crash(target)
        downs = await observer.ask("downs")

        assert [down.ref for down in downs] == [target, target]
        assert [down.monitor for down in downs] == await observer.ask("monitors")


async def test_no_down_after_demonitor() -> None:
    """S51: taken out even if it lies queued already; demonitoring twice changes nothing; the other monitor stays."""
    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        gate = trio.Event()
        seen: list[object] = []

        async def busy(ctx: ActorContext) -> None:
            kept, early, late = (target.monitor() for _ in range(3))
            early.demonitor()
            ctx.started()
            await gate.wait()
            for monitor in (late, late, early):
                monitor.demonitor()
            seen.extend([message.monitor is kept async for message in ctx.messages()])

        await start(system, busy, name="watcher")
        await crash(target)
        gate.set()
        await settle()

    assert seen == [True]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda ref: ref.tell("return"), "normal"),
        (lambda ref: ref.stop(), "shutdown"),
        (lambda ref: ref.tell(ValueError("boom")), "error"),
        (lambda ref: ref.kill(), "killed"),
    ],
)
async def test_the_reason_is_told(end: Callable[[ActorRef], object], reason: str) -> None:
    """S52: typed, exactly once, with the exception if there was one."""
    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        observer = await start(system, watcher, {"target": target}, name="watcher")
        await observer.tell(("monitor", "target"))
        await observer.ask("downs")
        ended = end(target)
        if ended is not None:
            await ended  # type: ignore[misc]  # an awaitable, or None of kill
        await target.wait_stopped()
        (down,) = await observer.ask("downs")

        assert down.exit.reason == reason
        assert isinstance(down.exit.error, ValueError) == (reason == "error")


async def test_down_comes_after_the_cleanup(autojump_clock: trio.testing.MockClock) -> None:
    """S52: not while the actor still puts things away."""
    order: list[object] = []

    async def tidy(ctx: ActorContext) -> None:
        ctx.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            order.append("cleaned up")

    async def watches(ctx: ActorContext, target: ActorRef) -> None:
        target.monitor()
        order.extend([type(message) async for message in ctx.messages()])

    async with open_system() as system:
        target = await start(system, tidy, name="target", restart="temporary")
        await start(system, watches, target, name="watcher")
        target.kill()
        await trio.sleep(10)

    assert order == ["cleaned up", Down]


async def test_down_comes_before_work() -> None:
    """S61: the watcher learns of the end before it handles what was queued earlier."""
    seen: list[object] = []
    gate = trio.Event()

    async def busy(ctx: ActorContext, target: ActorRef) -> None:
        target.monitor()
        async for message in ctx.messages():
            seen.append(message if isinstance(message, str) else type(message))
            await gate.wait()

    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        observer = await start(system, busy, target, name="watcher")
        for message in ("first", "second"):
            await observer.tell(message)
        await settle()
        await crash(target)
        gate.set()
        await settle()

    assert seen == ["first", Down, "second"]


async def test_monitors_are_per_incarnation() -> None:
    """S67: the end of the next incarnation is not told to who watched this one."""
    async with open_system() as system:
        target = await start(system, name="target")
        observer = await start(system, watcher, {"target": target}, name="watcher")
        await observer.tell(("monitor", "target"))
        await observer.ask("downs")
        await crash(target)
        await settle()
        await crash(system.child("target", ActorRef))

        assert await reasons(observer) == ["error"]


async def test_the_watchers_next_incarnation_hears_nothing() -> None:
    """A monitor ends with whoever set it: neither a `Down` that was queued nor a later one reaches the one that follows."""
    async with open_system() as system:
        early, late = [await start(system, name=name, restart="temporary") for name in ("early", "late")]
        observer = await start(system, watcher, {"early": early, "late": late}, name="watcher")
        for name in ("early", "late"):
            await observer.tell(("monitor", name))
        await observer.ask("downs")
        observer.tell_nowait(ValueError("the watcher crashes"))
        await crash(early)
        await settle()
        await crash(late)

        assert system.child("watcher", ActorRef).incarnation == 2
        assert await observer.ask("downs") == []


async def test_a_watcher_that_comes_again_and_again_leaves_no_pile() -> None:
    """Monitors of incarnations that ended are forgotten by whom they watched."""

    async def watches(ctx: ActorContext, target: ActorRef) -> None:
        target.monitor()
        await obedient(ctx)

    async with open_system(max_restarts=100) as system:
        target = await start(system, name="target")
        observer = await start(system, watches, target, name="watcher")
        for _ in range(20):
            await crash(system.child("watcher", ActorRef))
            await observer.ask("again up")

        assert target._cell is not None
        assert len(target._cell._watched_by or ()) == 1


async def test_only_actors_monitor() -> None:
    """Outside there is nowhere to put a `Down`: `wait_stopped` is for that."""
    async with open_system() as system:
        ref = await start(system)
        with pytest.raises(RuntimeError, match="inside an actor"):
            ref.monitor()


async def test_two_actors_may_watch_each_other() -> None:
    """Whoever ends first is told to the other; nothing is told to the one that ended."""
    targets: dict[str, ActorRef] = {}
    async with open_system() as system:
        for name in ("a", "b"):
            targets[name] = await start(system, watcher, targets, name=name, restart="temporary")
        await targets["a"].tell(("monitor", "b"))
        await targets["b"].tell(("monitor", "a"))
        await targets["a"].ask("downs")
        await crash(targets["a"])

        assert await reasons(targets["b"]) == ["error"]
