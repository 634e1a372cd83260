"""Clocks: named deadlines that can be paused."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyagent_actors._errors import BudgetExceededError, DeadlineExceededError
from tinyagent_actors.actors import Clock, ClockScope, OuterDeadline, Pause
from tinyagent_actors.actors._cancelled import read_deadline


async def test_a_scope_ends_with_its_clock(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the clock that ran out is named; its error says whose it was."""
    with ClockScope(Clock("run", 5, path="/a")) as scope:
        await trio.sleep_forever()

    assert trio.current_time() == 5
    assert scope.cancelled_caught
    assert scope.ended_by is scope.clock
    assert scope.clock.error() == DeadlineExceededError("run", "/a")


@pytest.mark.parametrize("fires", ["tool", "turn", "run", "tree"])
async def test_the_nearest_of_nested_clocks_fires(fires: str, autojump_clock: trio.testing.MockClock) -> None:
    """T22: tool < turn < run < tree; each of them fires alone, and is the one that is named."""
    clock = Clock("tree", 1 if fires == "tree" else 100)
    for name in ("run", "turn", "tool"):
        clock = Clock(name, 1 if fires == name else 100, above=(clock,))
    with ClockScope(clock) as scope:
        await trio.sleep_forever()

    assert trio.current_time() == 1
    assert scope.ended_by is not None
    assert scope.ended_by.name == fires


async def test_of_two_at_one_moment_it_is_the_inner(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a call that has as long as its run is ended by its own deadline."""
    with ClockScope(Clock("tool", 2, above=(Clock("run", 2),))) as scope:
        await trio.sleep_forever()

    assert scope.ended_by is scope.clock


async def test_the_one_that_came_first_did_it(autojump_clock: trio.testing.MockClock) -> None:
    """T22: while the cleanup after the inner deadline goes on, the outer one passes too; it is not blamed."""
    with ClockScope(Clock("tool", 2, above=(Clock("run", 3),))) as scope:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    assert scope.ended_by is scope.clock


async def test_cancelled_before_the_deadline_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """T22: whoever cancels first ended it, also if the deadline passes during the cleanup."""
    with ClockScope(Clock("tool", 2)) as scope:
        scope.cancel("enough")
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        await trio.lowlevel.checkpoint()

    assert scope.cancelled_caught
    assert scope.ended_by is None


async def test_an_inner_too_slow_error_is_nobody_elses(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a `fail_after` inside raises through the scope; no clock has run out, and none is named."""
    scope = ClockScope(Clock("tool", 100))
    with pytest.raises(trio.TooSlowError):
        with scope, trio.fail_after(1):
            await trio.sleep_forever()

    assert not scope.cancelled_caught
    assert scope.ended_by is None


async def test_a_pause_is_exact(autojump_clock: trio.testing.MockClock) -> None:
    """T22: what is left is saved; the scope has no deadline meanwhile, and then ends after just that much more."""
    clock = Clock("run", 5)
    with ClockScope(clock):
        await trio.sleep(2)
        with clock.paused():
            assert (clock.at, clock.left, trio.current_effective_deadline()) == (math.inf, 3, math.inf)
            await trio.sleep(1000)
        assert clock.left == 3
        await trio.sleep_forever()

    assert trio.current_time() == 1005


async def test_pauses_count(autojump_clock: trio.testing.MockClock) -> None:
    """T22: two pauses that overlap hold the clock from the first beginning to the last end; ending one twice is nothing."""
    clock = Clock("run", 5)
    first = clock.pause()
    await trio.sleep(10)
    second = clock.pause()
    await trio.sleep(10)
    first.end()
    first.end()
    assert clock.is_paused
    await trio.sleep(10)
    second.end()

    assert (clock.is_paused, clock.at) == (False, 35)


async def test_a_pause_holds_all_above_and_nobody_beside(autojump_clock: trio.testing.MockClock) -> None:
    """T22: call, turn and run stand; a sibling call goes on with its own time, and inherits that the run stands."""
    run = Clock("run", 5)
    turn = Clock("turn", 6, above=(run,))
    parked = Clock("tool", 7, above=(turn,))
    quick, slow = Clock("tool", 2, above=(turn,)), Clock("tool", 100, above=(turn,))
    ends: list[tuple[str, float, str]] = []

    async def work(name: str, clock: Clock) -> None:
        with ClockScope(clock) as scope:
            await trio.sleep_forever()
        ends.append((name, trio.current_time(), scope.ended_by.name))

    async with trio.open_nursery() as nursery:
        for name, clock in (("quick", quick), ("slow", slow), ("parked", parked)):
            nursery.start_soon(work, name, clock)
        await trio.sleep(1)
        with parked.paused():
            await trio.sleep(50)

    assert sorted(ends) == [("parked", 55, "run"), ("quick", 2, "tool"), ("slow", 55, "run")]


async def test_a_clock_above_by_two_ways_is_paused_once(autojump_clock: trio.testing.MockClock) -> None:
    """A lease that stands above a run and above whoever asked for it counts one pause, and has one end of it."""
    lease = Clock("tree", 10)
    asker = Clock("tool", 20, above=(lease,))
    run = Clock("run", 20, above=(asker, lease))
    with run.paused():
        await trio.sleep(100)

    assert [clock.at for clock in (lease, asker, run)] == [110, 120, 120]


async def test_what_has_run_out_cannot_be_paused(autojump_clock: trio.testing.MockClock) -> None:
    """A pause that comes too late gives no time back, and does not hide which deadline it was."""
    clock = Clock("run", 1, above=(Clock("tree", 5),))
    await trio.sleep(1)
    with clock.paused():
        await trio.sleep(10)
        assert clock.ran_out() is clock

    assert clock.ran_out() is clock


async def test_a_users_own_deadline_is_never_paused(autojump_clock: trio.testing.MockClock) -> None:
    """An outer deadline ends the scope in the middle of the pause; it is the one that is named."""
    clock = Clock("tool", 100, above=(OuterDeadline("caller", lambda: 3.0),))
    with ClockScope(clock) as scope, clock.paused():
        await trio.sleep_forever()

    assert trio.current_time() == 3
    assert scope.ended_by.name == "caller"


async def test_an_outer_deadline_is_read_when_the_scopes_around_it_have_moved(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What is told of a move first stands further out: who then reads Trio's scopes finds the moment after the pause."""
    run = Clock("run", 5)
    waits = trio.lowlevel.current_task()
    tool = Clock("tool", 100, above=(run, OuterDeadline("caller", lambda: read_deadline(waits))))
    scope = ClockScope(tool)

    async def work() -> None:
        with scope:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with ClockScope(run):
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            with tool.paused():
                await trio.sleep(7)
            await trio.sleep(1)
            assert tool.deadline == 12
            await trio.sleep_forever()

    assert trio.current_time() == 12
    assert scope.ended_by is run


async def test_a_clock_that_means_something_else_says_so() -> None:
    """The lease of a tree has an error of its own."""
    spent = BudgetExceededError("/team", "seconds")

    assert Clock("budget", 0, failure=spent).error() is spent


async def test_nobody_is_kept_once_the_scopes_are_left() -> None:
    """A run holds no call that is over: whoever follows no more is forgotten all the way up."""
    run = Clock("run", 5)
    turn = Clock("turn", 5, above=(run,))
    for _ in range(3):
        with ClockScope(Clock("tool", 5, above=(turn,))):
            pass

    assert (len(run._below), len(turn._below)) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.sampled_from(["sleep", "pause", "end"]), st.integers(0, 50)), max_size=30),
)
def test_any_pauses_add_exactly_their_union(seconds: int, steps: list[tuple[str, int]]) -> None:
    """T22: whatever pauses come and go, the clock runs out after its seconds and the time during which one held it."""

    async def main() -> tuple[float, float]:
        clock = Clock("run", seconds)
        pauses = []
        held = 0
        for kind, number in steps:
            if kind == "pause":
                pauses.append(clock.pause())
            elif pauses and kind == "end":
                pauses.pop(number % len(pauses)).end()
            elif kind == "sleep" and (pauses or clock.left > number):
                held += number if pauses else 0
                await trio.sleep(number)
        for pause in pauses:
            pause.end()
        return clock.at, seconds + held

    at, expected = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert at == expected


def reaches(place: int, made: list[tuple[int, set[int]]]) -> set[int]:
    """Give a clock and all above it, by their places."""
    return {place}.union(*(reaches(above, made) for above in made[place][1] if above < place))


def listen(clock: Clock, heard: list[float], place: int) -> None:
    """Have the deadline of a clock written down at each of its moves."""

    def hear() -> None:
        heard[place] = clock.deadline

    hear()
    clock.follow(hear)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.sets(st.integers(0, 7), max_size=2)), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from(["sleep", "pause", "end"]), st.integers(0, 40)), max_size=30),
)
def test_any_tree_of_clocks_agrees_with_a_model(made: list[tuple[int, set[int]]], steps: list[tuple[str, int]]) -> None:
    """T22: whatever stands above what, and is paused when: each clock has what the model says, and whoever follows one has heard of each move."""

    async def main() -> None:
        clocks: list[Clock] = []
        for seconds, above in made:
            clocks.append(Clock("c", seconds, above=tuple(clocks[place] for place in above if place < len(clocks))))
        left, held, heard = [float(seconds) for seconds, _ in made], [0] * len(made), [math.nan] * len(made)

        reached = [reaches(place, made) for place in range(len(made))]
        for place, clock in enumerate(clocks):
            listen(clock, heard, place)
        pauses: list[tuple[Pause, int]] = []
        for kind, number in steps:
            if kind == "pause":
                place = number % len(clocks)
                pauses.append((clocks[place].pause(), place))
                for one in reached[place]:
                    held[one] += 1
            elif kind == "end" and pauses:
                pause, place = pauses.pop(number % len(pauses))
                pause.end()
                for one in reached[place]:
                    held[one] -= 1
            elif kind == "sleep":
                await trio.sleep(number)
                left = [rest if held[place] and rest > 0 else rest - number for place, rest in enumerate(left)]
            now = trio.current_time()
            at = [
                math.inf if held[place] and rest > 0 else now + rest if rest > 0 else clocks[place].at
                for place, rest in enumerate(left)
            ]
            assert [clock.at for clock in clocks] == at
            assert [clock.ran_out() is None for clock in clocks] == [
                all(left[one] > 0 for one in reached[place]) for place in range(len(clocks))
            ]
            assert heard == [clock.deadline for clock in clocks]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
