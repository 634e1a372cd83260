"""The boundary of an actor: however its function ends, the end is a value, told once."""

from __future__ import annotations

import functools
import gc
import signal
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import HostileError, child, crash, deaf, hangs, settle, start, states, told
from tinyagent_actors import (
    ActorContext,
    ActorCrashedEvent,
    ActorRef,
    ActorStoppedEvent,
    Exit,
    Ignore,
    StartFailedError,
    StartTimeoutError,
    SupervisorRef,
    open_system,
    supervisor,
)
from tinyagent_actors.actors import Cell


async def ended(function: Callable[..., Any], act: Callable[[ActorRef], object] | None = None) -> Exit:
    """Run a temporary actor to its end."""
    async with open_system() as system:
        ref = await start(system, function, restart="temporary")
        if act is not None:
            act(ref)
        return await ref.wait_stopped()


def starts_and(error: Callable[[], BaseException]) -> Callable[[ActorContext], Any]:
    async def actor(ctx: ActorContext) -> None:
        ctx.started()
        raise error()

    return actor


async def test_a_return_is_normal() -> None:
    """S52: no error, no cause."""

    async def returns(_ctx: ActorContext) -> str:
        return "nobody reads it"

    assert await ended(returns) == Exit("normal")


async def test_an_exception_is_an_error() -> None:
    """S52: the exception itself stands in the exit."""
    exited = await ended(starts_and(lambda: ValueError("boom")))

    assert exited.reason == "error"
    assert isinstance(exited.error, ValueError)


async def test_an_exception_whose_text_cannot_be_had() -> None:
    """An error with a broken `__str__`, `__repr__` and `__eq__` ends one actor, and hides nothing."""
    async with open_system() as system, system.subscribe("**") as events:
        ref = await start(system, starts_and(HostileError), restart="temporary")
        exited = await ref.wait_stopped()
        (event,) = told(events, ActorCrashedEvent)

        assert isinstance(exited.error, HostileError)
        assert "HostileError" in repr(exited)
        assert event.error.error_type == "HostileError"
        assert await states(system) == {}


async def test_a_secret_in_an_exception_stays_out_of_the_exit() -> None:
    """Neither the exit's repr nor the event shows it."""
    secret = "sk-ant-0123456789abcdefghij"
    exited = await ended(starts_and(lambda: ValueError(f"key {secret}")))

    assert secret not in repr(exited)


async def test_a_group_of_one_is_unwrapped() -> None:
    """An error out of an actor's own nursery is the error."""

    async def nested(ctx: ActorContext) -> None:
        ctx.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(starts_and(lambda: ValueError("deep")), ctx)

    assert isinstance((await ended(nested)).error, ValueError)


async def test_a_cancel_and_an_error_together_leave_the_siblings_alone() -> None:
    """`Cancelled` passes on, the error becomes the exit; a supervisor's nursery never sees the mixture."""

    async def both(ctx: ActorContext) -> None:
        ctx.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while being cancelled")

    async with open_system() as system:
        sibling = await start(system, name="sibling")
        ref = await start(system, both, restart="temporary")
        ref.kill()
        exited = await ref.wait_stopped()

        assert (exited.reason, exited.cause and exited.cause.source) == ("error", "kill")
        assert await sibling.ask("unharmed") == "unharmed"


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, functools.partial(SystemExit, 3)])
async def test_fatal_exceptions_are_never_restarted(fatal: Callable[[], BaseException]) -> None:
    """S49: the whole system stops in order, and the exception comes out of `open_system`, out of whatever group."""
    starts: list[str] = []

    async def fatally(ctx: ActorContext) -> None:
        starts.append(ctx.path)
        ctx.started()
        await trio.lowlevel.checkpoint()
        raise BaseExceptionGroup("nested", [ValueError(), fatal()])

    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        async with open_system() as system:
            await start(system, fatally)
            await trio.sleep_forever()

    assert starts == ["/actor"]
    assert type(caught.value) is type(fatal())


async def test_two_fatal_exceptions_do_not_hurry_the_stop() -> None:
    """S49: a second one changes nothing of the order."""
    order: list[str] = []
    gate = trio.Event()

    async def fatally(ctx: ActorContext) -> None:
        ctx.started()
        await gate.wait()
        raise KeyboardInterrupt

    async def tidy(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass
        await settle()
        order.append(ctx.name)

    with pytest.raises(KeyboardInterrupt):
        async with open_system() as system:
            for name in "ab":
                await start(system, tidy, name=name)
            for name in ("x", "y"):
                await start(system, fatally, name=name)
            gate.set()
            await trio.sleep_forever()

    assert order == ["b", "a"]


async def leaves(ctx: ActorContext) -> None:
    async for _ in ctx.messages():
        raise GeneratorExit


async def leaves_something(ctx: ActorContext) -> None:
    """Leave a task that takes its time to end."""
    ctx.pipe_to_self(tidy_up)
    await leaves(ctx)


async def tidy_up() -> None:
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("function", [leaves, leaves_something])
async def test_generator_exit_ends_the_supervisor_too(function: Any) -> None:
    """S49: it is no value: it is raised on, and the level above acts on it; nobody waits for ever."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team"))
        x = await team.start_child(supervisor("x", restart="temporary"))
        ref: ActorRef = await x.start_child(child("leaves", function))
        await ref.tell("go")
        with trio.fail_after(5):
            exited = await ref.wait_stopped()
            await x.wait_gone()

        assert isinstance(exited.error, GeneratorExit)
        assert (await x.wait_stopped()).reason == "error"
        assert await states(team) == {}


@pytest.mark.parametrize("function", [lambda ctx: 5, lambda ctx: None, lambda: None])
async def test_a_start_that_is_no_async_function(function: Callable[..., Any]) -> None:
    """S16: the caller gets the cause; nothing is left."""
    async with open_system() as system:
        with pytest.raises(StartFailedError) as caught:
            await start(system, function)

        assert isinstance(caught.value.cause, TypeError)
        assert system.which_children() == ()


async def test_ignore_is_an_exit_of_its_own() -> None:
    """S09: before the start it is no failure; after it, it is an error like any other."""
    async with open_system() as system, system.subscribe("**") as events:

        async def ignores(_ctx: ActorContext) -> None:
            raise Ignore

        assert await start(system, ignores, restart="temporary") is None
        (event,) = told(events, ActorStoppedEvent)
        assert event.reason == "ignored"

    assert (await ended(starts_and(Ignore))).reason == "error"


async def test_a_failed_start_says_so(autojump_clock: trio.testing.MockClock) -> None:
    """S16, S17: the event's reason is `start_failed`, whether it raised or took too long."""

    async def broken(_ctx: ActorContext) -> None:
        raise LookupError("no")

    async with open_system() as system, system.subscribe("**") as events:
        for function in (broken, hangs):
            with pytest.raises(StartFailedError):
                await start(system, function, start_timeout=1)
        first, second = told(events, ActorCrashedEvent)

        assert (first.reason, first.error.error_type) == ("start_failed", "LookupError")
        assert (second.reason, type(second.error), second.source) == (
            "start_failed",
            StartTimeoutError,
            "start_timeout",
        )


async def test_who_cancelled_it_is_told() -> None:
    """Provenance: of a supervisor that is killed, the children say by whom; nothing is left to guess."""
    async with open_system() as system:
        team = await system.start_child(supervisor("team"))
        inner = await team.start_child(supervisor("inner"))
        ref: ActorRef = await inner.start_child(child("deaf", deaf))
        team.kill("a test")
        exited = await ref.wait_stopped()

        assert exited.reason == "killed"
        assert exited.cause is not None
        assert (exited.cause.by, exited.cause.why, exited.cause.source) == ("outside", "a test", "kill")
        await settle()
        assert system.child("team", SupervisorRef).incarnation == 2


async def test_the_body_is_open_to_ctrl_c() -> None:
    """A body that computes for ever can be interrupted."""
    found: list[bool] = []

    async def look(_ctx: ActorContext) -> None:
        found.append(trio.lowlevel.currently_ki_protected())
        await trio.lowlevel.checkpoint()
        found.append(trio.lowlevel.currently_ki_protected())

    async with open_system() as system:
        await start(system, look, restart="temporary")

    assert found == [False, False]


def test_the_boundary_is_closed_to_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between the end of a body and its telling would leave somebody waiting for ever."""
    cells: list[Cell] = []
    exit_for = Cell.exit_for

    def interrupted(cell: Cell, error: BaseException | None) -> Exit:
        if cell.path == "/actor":
            cells.append(cell)
            signal.raise_signal(signal.SIGINT)
        return exit_for(cell, error)

    async def main() -> None:
        async with open_system() as system:
            ref = await start(system, restart="temporary")
            await ref.tell("return")
            await trio.sleep_forever()

    monkeypatch.setattr(Cell, "exit_for", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(main)
    finally:
        signal.signal(signal.SIGINT, before)

    assert [cell.exit for cell in cells] == [Exit("normal")]


async def test_an_end_is_told_once() -> None:
    """S52: one event, one report to the owner, however many ways it is ended."""
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, deaf, restart="temporary")
        ref.kill("first")
        ref.kill("second")
        exited = await ref.wait_stopped()
        ref.kill("third")
        await settle()

        assert exited.cause is not None
        assert exited.cause.why == "first"
        assert len(told(events, ActorCrashedEvent, ActorStoppedEvent)) == 1


async def test_a_crash_while_it_is_being_stopped() -> None:
    """S35: it stays ended, and the error is told as it was."""
    gate = trio.Event()

    async def fragile(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            await gate.wait()
            raise ValueError

    async with open_system() as system:
        ref = await start(system, fragile)
        await ref.tell("go")
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await settle()
            gate.set()

        assert (await ref.wait_stopped()).reason == "error"
        assert await states(system) == {"actor": "stopped"}


async def test_crashing_actors_leave_no_references(autojump_clock: trio.testing.MockClock) -> None:
    """A supervisor keeps nothing of incarnations that ended."""
    bodies: list[weakref.ref[Any]] = []

    async def fragile(ctx: ActorContext) -> None:
        bodies.append(weakref.ref(ctx))
        async for message in ctx.messages():
            raise message

    async with open_system(max_restarts=1000) as system:
        ref = await start(system, fragile)
        for _ in range(10):
            await crash(system.child("actor", ActorRef))
            await settle()
        del ref
        gc.collect()

        assert sum(body() is not None for body in bodies) == 1


async def test_a_failing_cleanup_says_who_cancelled_it() -> None:
    """An actor that raises while an ancestor is cancelled: its exit is the error, and says by whom and why."""

    async def fails_in_cleanup(ctx: ActorContext) -> None:
        ctx.started()
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in cleanup")

    async with open_system() as system:
        team = await system.start_child(
            supervisor("team", children=[child("a", fails_in_cleanup)], restart="temporary")
        )
        ref = team.child("a", ActorRef)
        team.kill("enough")
        exited = await ref.wait_stopped()

        assert exited.reason == "error"
        assert exited.cause is not None
        assert (exited.cause.why, exited.cause.source) == ("enough", "kill")


async def test_a_cancelled_that_nobody_ordered_is_an_error() -> None:
    """One that was kept and is raised again, outside the scope it came from, ends this actor and not its supervisor."""

    async def raises_again(ctx: ActorContext) -> None:
        ctx.started()
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                kept = cancelled
                raise
        raise kept

    async with open_system() as system:
        neighbour = await start(system, name="neighbour")
        ref = await start(system, raises_again, restart="temporary")
        exited = await ref.wait_stopped()
        await settle()

        assert exited.reason == "error"
        assert isinstance(exited.error, trio.Cancelled)
        assert await neighbour.ask("alive") == "alive"
