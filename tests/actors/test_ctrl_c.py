"""Ctrl-C at any line of the kernel: what it interrupts is not done, or done, and nothing is between."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import pytest
import trio

import tinyagent_actors
from tests._kernel import child, obedient, run_with_ctrl_c, settle, start, states
from tinyagent_actors import ActorContext, ActorRef, System, open_system

KERNEL = str(Path(tinyagent_actors.__file__).parent)


@attrs.define(eq=False)
class CtrlC:
    """Raises SIGINT at the n-th line of the package that a task runs while it does something."""

    countdown: int
    task: trio.lowlevel.Task | None = None

    def trace(self, frame: FrameType, event: str, _arg: object) -> Any:
        """Count lines; for `sys.settrace`."""
        if not frame.f_code.co_filename.startswith(KERNEL):
            return None
        if event == "line" and trio.lowlevel.current_task() is self.task:
            self.countdown -= 1
            if self.countdown == 0:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return self.trace

    async def during(self, act: Callable[[], Awaitable[object]]) -> None:
        """Run `act` under the trace, until it is over or interrupted."""
        self.task = trio.lowlevel.current_task()
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            await act()
            await trio.lowlevel.checkpoint()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)


def at_every_line(main: Callable[[CtrlC], Awaitable[None]]) -> None:
    """Run `main` once for each line that it passes under the trace, and once more."""
    line, ctrl_c = 0, CtrlC(0)
    while ctrl_c.countdown <= 0:
        line += 1
        ctrl_c = CtrlC(line)
        run_with_ctrl_c(functools.partial(main, ctrl_c))
    assert line > 10


async def tells(ref: ActorRef) -> None:
    """More than there is room for, so that it wakes the reader, and waits."""
    for _ in range(3):
        await ref.tell("silent")
    await settle()
    ref.tell_nowait("silent")


async def asks(ref: ActorRef) -> None:
    """With an answer, and without."""
    await ref.tell("silent")
    await ref.ask("hello")
    with trio.move_on_after(0):
        await ref.ask("too late")


async def kills(ref: ActorRef) -> None:
    """It is restarted."""
    ref.kill()
    await ref.wait_stopped()


@pytest.mark.parametrize("act", [tells, asks, kills], ids=lambda act: act.__name__)
def test_whatever_is_interrupted_leaves_mailboxes_whole(act: Callable[[ActorRef], Awaitable[None]]) -> None:
    """T30: a program that catches it goes on with mailboxes, refs and asks that work."""

    async def main(ctrl_c: CtrlC) -> None:
        async with open_system() as system:
            ref = await start(system, obedient, mailbox_capacity=1)
            await ctrl_c.during(lambda: act(ref))
            with trio.fail_after(5):
                await settle()
                assert await ref.ask("alive") == "alive"
            seen = ref.statistics()
            assert (seen.depth, seen.control, seen.waiting) == (0, 0, 0)

    at_every_line(main)


def test_a_child_whose_start_is_interrupted_is_there_or_not() -> None:
    """T30: there if the call came back; else rolled back, for nobody would know of it."""

    async def main(ctrl_c: CtrlC) -> None:
        has_returned = False

        async def starts(system: System) -> None:
            nonlocal has_returned
            await system.start_child(child("other"))
            has_returned = True

        async with open_system() as system:
            await ctrl_c.during(lambda: starts(system))
            assert await states(system) == ({"other": "running"} if has_returned else {})

    at_every_line(main)


@pytest.mark.parametrize("is_deferred", [False, True])
def test_an_interrupted_reply_lets_the_asker_go_on(is_deferred: bool) -> None:  # noqa: FBT001  # a parameter
    """T30: also where an actor catches it, as it should not; whoever asked hears something."""

    async def careless(ctx: ActorContext, ctrl_c: CtrlC) -> None:
        async for message in ctx.messages():
            answer = ctx.defer_reply().reply if is_deferred else ctx.reply
            if message == "now":
                await ctrl_c.during(functools.partial(reply_twice, answer))
            answer("again")

    async def reply_twice(answer: Callable[[object], object]) -> None:
        answer("first")
        answer("second")

    async def main(ctrl_c: CtrlC) -> None:
        async with open_system() as system:
            ref = await start(system, careless, ctrl_c)
            with trio.fail_after(5):
                with suppress(KeyboardInterrupt):
                    assert await ref.ask("now") in ("first", "again")
                    await settle()
                assert await ref.ask("alive") == "again"

    at_every_line(main)


def test_an_interrupted_pull_loses_no_message() -> None:
    """T30: what was taken out of the mailbox is given out."""

    async def careless(ctx: ActorContext, ctrl_c: CtrlC, seen: list[object]) -> None:
        messages = ctx.messages()

        async def pulls() -> None:
            seen.append(await messages.__anext__())

        async for message in messages:
            seen.append(message)
            if message == "now":
                await ctrl_c.during(pulls)

    async def main(ctrl_c: CtrlC) -> None:
        seen: list[object] = []
        async with open_system() as system:
            ref = await start(system, careless, ctrl_c, seen)
            for message in ("now", "a", "b"):
                ref.tell_nowait(message)
            with suppress(KeyboardInterrupt):
                await settle()
            await settle()
        assert seen == ["now", "a", "b"]

    at_every_line(main)
