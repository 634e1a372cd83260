"""The judgement of a governor, with time passed in: limit, window, pause, and what never happens whatever comes."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.providers._back_off import LONGEST_WAIT, MOST_JITTER, wait_after, with_jitter
from tinyagent_actors.providers._governor_gate import LONGEST_PAUSE, PATIENCE, Gate, Place
from tinyagent_actors.providers._governor_limit import WINDOW, InFlightLimit
from tinyagent_actors.providers._governor_queue import Waiter


def busy(retry_after: float | None = 1.0) -> ProviderError:
    """Make the error of a refusal."""
    return ProviderError("rate_limited", "slow down", 429, retry_after, retryable=True)


def gate(*, window: float = WINDOW, cap: float = inf, jitter: float = 0.0, max_waiting: int = 100) -> Gate:
    """Make a gate whose chance is no chance."""
    return Gate(InFlightLimit(cap=cap, window=window), lambda: jitter, max_waiting)


def enter(gate: Gate, calls: int, now: float = 0.0) -> list[Place]:
    """Give the places that so many calls get at once."""
    places = [gate.try_enter(now) for _ in range(calls)]
    return [place for place in places if place is not None]


def wait(gate: Gate, calls: int, now: float = 0.0, max_wait: float = 60.0) -> list[Waiter]:
    """Have so many calls wait."""
    waiters = [Waiter("/", max_wait=max_wait) for _ in range(calls)]
    for waiter in waiters:
        gate.wait(waiter, now)
    return waiters


def granted(gate: Gate, now: float) -> list[Place]:
    """Give the places that are decided now; nobody must be told anything else."""
    outcomes = [outcome for _, outcome in gate.decide(now)]
    assert all(isinstance(outcome, Place) for outcome in outcomes)
    return outcomes  # type: ignore[return-value]  # as was seen


def refused_at(calls: int) -> tuple[Gate, list[Place]]:
    """Make a gate that has so many calls accepted and in flight, the last of which is refused now, at 0, for a second."""
    subject = gate(window=inf)
    places = enter(subject, calls)
    for place in places[:-1]:
        subject.accept(place)
    subject.refuse(places[-1], busy(), 0.0)
    return subject, places[:-1]


# The window.


def test_no_more_than_a_window_is_tried_at_a_time() -> None:
    """Of many calls at once, so many go ahead whose answer has not begun; each that begins lets one more go."""
    subject = gate()
    places = enter(subject, 100)
    assert len(places) == WINDOW

    subject.accept(places[0])
    assert len(enter(subject, 100)) == 1


def test_a_call_that_was_not_refused_for_a_second_has_got_through() -> None:
    """A provider that thinks before it sends headers does not hold up the others."""
    subject = gate()
    enter(subject, WINDOW)
    wait(subject, 3)

    assert granted(subject, PATIENCE / 2) == []
    assert subject.next_time(PATIENCE / 2) == PATIENCE
    assert len(granted(subject, PATIENCE)) == 3


def test_a_place_that_is_given_back_is_free_again() -> None:
    """However often it is given back, it counts once."""
    subject = gate(cap=1)
    (place,) = enter(subject, 2)
    wait(subject, 2)

    for _ in range(2):
        subject.give_back(place)
    assert len(granted(subject, 0.0)) == 1
    assert subject.in_flight == 1


def test_a_fixed_limit_holds_whatever_the_provider_takes() -> None:
    """`max_in_flight` is never exceeded, and nothing is learned beyond it."""
    subject = gate(cap=3, window=inf)
    places = enter(subject, 10)
    assert len(places) == 3
    for place in places:
        subject.accept(place)

    assert enter(subject, 1) == []


def test_nobody_overtakes_those_who_wait() -> None:
    """A call that comes when there is room again stands behind those that came before."""
    subject = gate(cap=1)
    (place,) = enter(subject, 1)
    (waiter,) = wait(subject, 1)
    subject.give_back(place)

    assert subject.try_enter(0.0) is None
    assert [decided for decided, _ in subject.decide(0.0)] == [waiter]


# The limit.


def test_a_refusal_halves_what_was_in_flight() -> None:
    """P71: multiplicative decrease, of the flight of the call that was refused, and not of what was sent after it."""
    subject = gate(window=inf)
    places = enter(subject, 50)
    for place in places[:20]:
        subject.accept(place)
    subject.refuse(places[20], busy(), 0.0)

    assert subject.limit.limit == 10


def test_the_limit_never_falls_below_one() -> None:
    """However often the provider refuses, one call may be made."""
    subject = gate()
    for now in range(0, 100_000, 1000):
        (place,) = enter(subject, 1, now)
        subject.refuse(place, busy(), now)

    assert subject.limit.limit == 1


def test_a_burst_of_refusals_is_one_piece_of_news() -> None:
    """P71: the refusals of calls that were sent before the cut neither halve again nor lengthen the back-off."""
    subject = gate()
    places = enter(subject, WINDOW)
    for place in reversed(places):
        subject.refuse(place, busy(None), 0.0)

    assert (subject.limit.limit, subject.refusals, subject.refused) == (WINDOW // 2, 1, WINDOW)
    assert subject.paused_until == wait_after(1, None)


def test_the_limit_grows_by_one_a_window_while_it_holds_calls_back() -> None:
    """Additive increase: as many accepted calls as the limit is raise it by one."""
    subject, running = refused_at(20)
    for place in running:
        subject.give_back(place)
    wait(subject, 100)
    now = 10.0
    accepted = 0
    while subject.limit.limit < 11:
        for place in granted(subject, now):
            accepted += subject.limit.limit < 11
            subject.accept(place)
            subject.give_back(place)

    assert accepted == 11  # ten make a little less than one, since each counts by the limit that it meets


def test_a_number_that_was_refused_is_tried_again_with_caution() -> None:
    """P71: just below it, the limit grows an eighth as fast; once as many are accepted, that is forgotten."""

    def accepted_until(limit: int) -> int:
        count = 0
        while subject.limit.limit < limit:
            subject.limit.call_was_accepted(subject.limit.limit, was_full=True)
            count += 1
        return count

    subject, _ = refused_at(6)
    assert accepted_until(5) <= 10
    assert 8 * 5 <= accepted_until(6) <= 8 * 6
    assert accepted_until(8) <= 6 + 8


def test_the_limit_does_not_grow_while_nobody_needs_more() -> None:
    """What was not tried is not known."""
    subject, running = refused_at(21)
    for place in running:
        subject.give_back(place)
    for now in range(10, 200):
        (place,) = enter(subject, 1, now)
        subject.accept(place)
        subject.give_back(place)

    assert subject.limit.limit == 10


# The pause.


def test_a_pause_from_one_call_holds_for_all() -> None:
    """P71: nobody asks before the time that one of them was told; then one does, and the others as calls get through."""
    subject, running = refused_at(WINDOW)
    for place in running:
        subject.give_back(place)
    wait(subject, 10)

    assert granted(subject, 0.99) == []
    assert subject.try_enter(0.99) is None
    assert subject.next_time(0.99) == 1.0
    herd = []
    for _ in range(3):
        batch = granted(subject, 1.0)
        herd.append(len(batch))
        for place in batch:
            subject.accept(place)
    assert herd == [1, 2, 1]  # four in flight, which is the limit


def test_a_time_that_comes_between_two_looks_is_not_missed() -> None:
    """P71: the end of a pause passes after it was decided that nobody may go yet: it is said to be due at once, and not never."""
    subject = gate()
    (place,) = enter(subject, 1)
    subject.refuse(place, busy(1), 0.0)
    wait(subject, 1)

    assert subject.decide(0.999) == []
    assert subject.next_time(1.001) <= 1.001


def test_what_was_sent_before_a_refusal_tells_nothing_about_the_time_after_it() -> None:
    """P71: late answers to calls of the first burst neither raise the limit nor let more than one probe go ahead."""
    subject = gate()
    *early, refused = enter(subject, WINDOW)
    subject.refuse(refused, busy(1), 0.0)
    wait(subject, WINDOW)
    for place in early:
        subject.accept(place)
        subject.give_back(place)

    assert subject.limit.limit == WINDOW // 2
    assert len(granted(subject, 1.0)) == 1


def test_a_refusal_that_comes_early_in_a_burst_is_put_right() -> None:
    """P71: servers take a burst in any order; as many as they serve of it count, whichever was refused first."""
    subject = gate(window=inf)
    first, *others = enter(subject, 100)
    subject.refuse(first, busy(1), 0.0)
    assert subject.limit.limit == 1
    for place in others[:40]:
        subject.accept(place)

    assert subject.limit.limit == 20


def test_jitter_only_ever_adds_and_is_bounded() -> None:
    """P71: nobody comes back before the provider said; a long wait is not lengthened without bound."""
    assert with_jitter(8.0, lambda: 0.0) == 8.0
    assert with_jitter(8.0, lambda: 1.0) == 10.0
    assert with_jitter(10_000.0, lambda: 1.0) == 10_000.0 + MOST_JITTER


def test_back_off_doubles_where_nothing_is_told() -> None:
    """P71: without `Retry-After`, or with one that is past, and it is bounded; what is told goes first."""
    assert [wait_after(failures, None) for failures in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert wait_after(1000, 0.0) == LONGEST_WAIT
    assert wait_after(1000, 2.0) == 2.0


def test_refusals_in_a_row_lengthen_the_pause_until_a_call_is_accepted() -> None:
    """Each probe that is refused doubles it; one that gets through begins anew."""
    subject = gate()
    pauses = []
    now = 0.0
    for is_accepted in (False, False, False, True, False):
        (place,) = enter(subject, 1, now)
        if is_accepted:
            subject.accept(place)
            subject.give_back(place)
        else:
            subject.refuse(place, busy(None), now)
            pauses.append(subject.paused_until - now)
            now = subject.paused_until

    assert pauses == [0.5, 1.0, 2.0, 0.5]


def test_a_longer_pause_extends_a_shorter_one_and_never_the_other_way() -> None:
    """P71: of two times that were told, the later one counts, whichever came first."""
    subject = gate()
    first, second, third = enter(subject, 3)
    subject.refuse(first, busy(5), 0.0)
    subject.refuse(second, busy(9), 0.0)
    subject.refuse(third, busy(1), 0.0)

    assert subject.paused_until == 9.0


def test_who_would_not_wait_that_long_is_told_when_the_pause_begins() -> None:
    """P71: those that wait already, and those that come later, with what is left of it; the patient ones wait."""
    subject = gate(cap=1)
    (place,) = enter(subject, 1)
    (hasty,), (patient,) = wait(subject, 1, max_wait=60), wait(subject, 1, max_wait=inf)
    subject.refuse(place, busy(100), 0.0)

    ((told, error),) = subject.decide(0.0)
    assert told is hasty
    assert isinstance(error, ProviderError)
    assert (error.kind, error.retry_after, error.retryable) == ("rate_limited", 100, True)
    with pytest.raises(ProviderError) as caught:
        gate_wait = Waiter("/", max_wait=60)
        subject.wait(gate_wait, 30.5)
    assert caught.value.retry_after == 70
    subject.wait(Waiter("/", max_wait=60), 40.0)
    assert [waiter for waiter, _ in subject.decide(100.0)] == [patient]


def test_an_absurd_time_is_told_but_the_provider_is_asked_again_after_an_hour() -> None:
    """P71: a header that says "in ten years" silences nobody for ten years."""
    subject = gate()
    (place,) = enter(subject, 1)
    subject.refuse(place, busy(1e9), 0.0)

    with pytest.raises(ProviderError) as caught:
        subject.wait(Waiter("/", max_wait=60), 10.0)
    assert caught.value.retry_after == 1e9 - 10
    assert subject.paused_until == LONGEST_PAUSE
    assert len(enter(subject, 10, LONGEST_PAUSE)) == 1


def test_the_queue_has_a_bound() -> None:
    """One more than may wait is an error, and changes nothing for those that do."""
    subject = gate(cap=1, max_waiting=2)
    enter(subject, 1)
    wait(subject, 2)

    with pytest.raises(ProviderError) as caught:
        subject.wait(Waiter("/"), 0.0)
    assert (caught.value.kind, caught.value.retryable) == ("overloaded", True)
    assert len(subject.queue) == 2


# Whatever comes.


class AnyOrder(RuleBasedStateMachine):
    """Calls come, go, are accepted and refused in any order, and time passes; a server with a capacity of its own judges them."""

    @initialize(capacity=st.integers(1, 12), cap=st.sampled_from([inf, 1, 3, 20]), seed=st.floats(0, 1))
    def begin(self, capacity: int, cap: float, seed: float) -> None:
        self.now = 0.0
        self.capacity = capacity
        self.gate = Gate(InFlightLimit(cap=cap), lambda: seed, max_waiting=30)
        self.flying: list[Place] = []
        self.waiting: list[Waiter] = []

    def settle(self) -> None:
        for waiter, outcome in self.gate.decide(self.now):
            self.waiting.remove(waiter)
            if isinstance(outcome, Place):
                assert self.now >= self.gate.paused_until
                self.flying.append(outcome)
                assert self.gate.in_flight <= self.gate.limit.limit
            else:
                assert outcome.retry_after is not None
                assert outcome.retry_after > waiter.max_wait

    @rule(
        path=st.sampled_from(["/a", "/a/b", "/c"]), priority=st.integers(0, 1), max_wait=st.sampled_from([0.1, 60, inf])
    )
    def come(self, path: str, priority: int, max_wait: float) -> None:
        place = self.gate.try_enter(self.now)
        if place is not None:
            self.flying.append(place)
            return
        waiter = Waiter(path, priority, max_wait)
        try:
            self.gate.wait(waiter, self.now)
        except ProviderError:
            return
        self.waiting.append(waiter)
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(waiter)
        self.gate.withdraw(waiter)
        self.settle()

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), retry_after=st.sampled_from([None, 0.0, 2.0, 90.0]), again=st.booleans())
    def answer(self, data: st.DataObject, retry_after: float | None, *, again: bool) -> None:
        place = data.draw(st.sampled_from(self.flying))
        if len(self.flying) > self.capacity and not place.is_accepted:
            self.flying.remove(place)
            self.gate.refuse(place, busy(retry_after), self.now)
            waiter = Waiter("/again", ticket=0)
            if again and not self.gate.is_too_long(waiter, self.now) and len(self.gate.queue) < self.gate.max_waiting:
                self.gate.wait(waiter, self.now, again=True)
                self.waiting.append(waiter)
        elif place.is_accepted:
            self.flying.remove(place)
            self.gate.give_back(place)
        else:
            self.gate.accept(place)
        self.settle()

    @rule(seconds=st.sampled_from([0.01, 0.6, 5.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    @invariant()
    def places_are_counted(self) -> None:
        """As many are in flight as places were given and not given back; as many wait as came and were not told anything."""
        if hasattr(self, "gate"):
            assert self.gate.in_flight == len(self.flying)
            assert set(self.gate.queue) == set(self.waiting)
            assert self.gate.limit.limit >= 1

    @invariant()
    def who_waits_waits_for_something(self) -> None:
        """There is room for nobody that waits, and if no call is in flight time will let somebody in."""
        if hasattr(self, "gate") and self.waiting:
            assert self.gate.decide(self.now) == []
            assert self.flying or self.now < self.gate.next_time(self.now) < inf

    def teardown(self) -> None:
        """Everybody who waits is served in the end."""
        if not hasattr(self, "gate"):
            return
        for _ in range(1000):
            if not self.waiting and not self.flying:
                return
            for place in self.flying:
                self.gate.accept(place)
                self.gate.give_back(place)
            self.flying.clear()
            self.now = max(self.now, min(self.gate.next_time(self.now), 1e9))
            self.settle()
        raise AssertionError(f"{len(self.waiting)} were forgotten")


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_in_any_order = AnyOrder.TestCase
