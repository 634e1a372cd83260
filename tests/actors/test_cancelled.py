"""Whether a checkpoint would raise: both ways of asking give what Trio's own checkpoints do."""

from __future__ import annotations

import signal

import pytest
import trio

from tests._kernel import deaf, run_with_ctrl_c, start
from tinyagent_actors import ActorRef, open_system
from tinyagent_actors.actors._cancelled import ask_cancelled, is_cancelled, read_cancelled


def asked() -> tuple[bool, bool]:
    """Ask in both ways."""
    task = trio.lowlevel.current_task()
    return read_cancelled(task), ask_cancelled(task)


async def test_this_trio_has_the_names_that_are_read() -> None:
    """The quick way is in use; a Trio without its private names would fall back to the slow one."""
    assert is_cancelled is read_cancelled
    assert hasattr(trio.lowlevel.current_task()._runner, "ki_pending")


async def test_a_cancel_is_seen_and_a_shield_hides_it() -> None:
    """It says what `checkpoint` would do: not cancelled, cancelled from outside, shielded, expired, left again."""
    seen = [asked()]
    with trio.CancelScope() as outer, trio.CancelScope() as inner:
        outer.cancel()
        seen.append(asked())
        inner.shield = True
        seen.append(asked())
        await trio.lowlevel.checkpoint()
        inner.shield = False
        seen.append(asked())
        await trio.lowlevel.checkpoint()
    with trio.CancelScope(deadline=trio.current_time() - 1):
        seen.append(asked())
        await trio.lowlevel.checkpoint()
    seen.append(asked())

    assert outer.cancelled_caught
    assert seen == [(value, value) for value in (False, True, False, True, True, False)]


def test_a_tell_lets_a_pending_ctrl_c_through() -> None:
    """A Ctrl-C that came while it could not be raised is raised by the next tell, which is not sent; not by the 64th."""
    told: list[int] = []

    async def main() -> None:
        async with open_system() as system:
            ref = await start(system, deaf, shutdown="kill")
            await ref.tell("begins the row")
            await told_under_protection(ref)

    @trio.lowlevel.enable_ki_protection
    async def told_under_protection(ref: ActorRef) -> None:
        for number in range(10):
            if number == 3:
                signal.raise_signal(signal.SIGINT)
            await ref.tell(number)
            told.append(number)

    with pytest.raises(KeyboardInterrupt):
        run_with_ctrl_c(main)

    assert told == [0, 1, 2]
