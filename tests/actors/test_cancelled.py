"""Whether a checkpoint would raise: both ways of asking give what Trio's own checkpoints do."""

from __future__ import annotations

import contextlib
import math
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests._kernel import deaf, run_with_ctrl_c, start
from tinyagent_actors import ActorRef, open_system
from tinyagent_actors.actors._cancelled import (
    ask_cancelled,
    deadline_reader,
    is_cancelled,
    read_cancelled,
    read_deadline,
)


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


@given(
    st.lists(
        st.tuples(st.sampled_from((math.inf, 50.0, 100.0, 200.0)), st.booleans(), st.booleans()), max_size=6
    )  # of each scope: its deadline, whether it is a shield, whether it is cancelled
)
def test_a_deadline_that_is_read_is_that_of_trio(scopes: list[tuple[float, bool, bool]]) -> None:
    """T22: what is read of another task's scopes is what Trio says there of its own, whatever stands in whatever."""

    async def main() -> None:
        with contextlib.ExitStack() as stack:
            for seconds, is_shield, is_cancelled in scopes:
                scope = trio.CancelScope(deadline=trio.current_time() + seconds, shield=is_shield)
                if is_cancelled:
                    scope.cancel()
                stack.enter_context(scope)
            task = trio.lowlevel.current_task()
            assert read_deadline(task) == deadline_reader(task)() == trio.current_effective_deadline()

    trio.run(main, clock=trio.testing.MockClock())


def test_where_the_names_of_scopes_are_others_trio_is_asked() -> None:
    """T22: a Trio whose scopes have no such private names is asked by the one name that is known."""

    class Status:
        effectively_cancelled = False

        def effective_deadline(self) -> float:
            return 7.0

    task: Any = SimpleNamespace(_cancel_status=Status())
    assert deadline_reader(task)() == 7.0


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
