"""The timers of a supervisor: one for each child, and no pile of those that were set anew."""

from __future__ import annotations

from tests._kernel import child
from tinyagent_actors.supervision._child import Child
from tinyagent_actors.supervision._child_timers import ChildTimers


def make(name: str) -> Child:
    return Child(child(name), None)


def test_timers_that_were_set_anew_leave_no_pile() -> None:
    """S10: also behind one that is early and stays, so that the stale ones never come to the head."""
    timers, early, late = ChildTimers(), make("early"), make("late")
    timers.arm(early, 1.0)
    for moment in range(10_000):
        timers.arm(late, 2.0 + moment)

    assert len(timers._heap) <= 2 * 2 + 64 + 1
    assert (timers.take_due(10.0**6), timers.next_due()) == (early, 2.0 + 9_999)
    assert (timers.take_due(10.0**6), timers.next_due()) == (late, float("inf"))


def test_a_child_has_one_timer() -> None:
    """Set anew it is the new one; taken away there is none."""
    timers, one = ChildTimers(), make("one")
    timers.arm(one, 1.0)
    timers.arm(one, 3.0)
    assert (timers.take_due(2.0), timers.next_due()) == (None, 3.0)

    timers.disarm(one)
    assert (timers.take_due(9.0), timers.next_due()) == (None, float("inf"))
