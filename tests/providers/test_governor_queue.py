"""The queue of a governor: priority, fair shares, first come first served; and that nobody is forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyagent_actors.providers._governor_queue import TURNS_BY_PRIORITY, FairQueue, Waiter

PATHS = st.sampled_from(["/", "/a", "/a/1", "/a/2", "/a/2/x", "/b", "/b/1", "/c/1/2/3"])


def queue_of(*paths: str) -> FairQueue:
    """Make a queue of one call each, in this order."""
    queue = FairQueue()
    for ticket, path in enumerate(paths, 1):
        queue.add(Waiter(path, ticket=ticket))
    return queue


def paths_of(queue: FairQueue) -> list[str]:
    """Serve them all; give their paths in the order of their turns."""
    return [queue.pop().path for _ in range(len(queue))]


def test_first_come_first_served_inside_a_share() -> None:
    """Calls of one actor are served in the order in which they came."""
    queue = queue_of("/a", "/a", "/a")

    assert [queue.pop().ticket for _ in range(3)] == [1, 2, 3]


def test_subtrees_take_turns() -> None:
    """A hundred calls of one team do not stand before one call of another."""
    queue = queue_of(*["/big"] * 5, "/small")

    assert paths_of(queue)[:2] == ["/big", "/small"]


def test_turns_are_taken_at_every_level() -> None:
    """Inside of a team its agents take turns, and the team as a whole has one turn in two."""
    queue = queue_of("/team/a", "/team/a", "/team/b", "/chat", "/chat", "/chat")

    assert paths_of(queue) == ["/team/a", "/chat", "/team/b", "/chat", "/team/a", "/chat"]


def test_an_actor_and_those_below_it_take_turns() -> None:
    """What an actor asks itself is a share beside those of its children."""
    queue = queue_of("/boss", "/boss", "/boss/worker", "/boss/worker")

    assert paths_of(queue) == ["/boss", "/boss/worker", "/boss", "/boss/worker"]


def test_priority_goes_first() -> None:
    """A higher priority is served before a lower one, whenever it came."""
    queue = queue_of("/a", "/b")
    queue.add(Waiter("/urgent", priority=1, ticket=3))

    assert paths_of(queue) == ["/urgent", "/a", "/b"]


def test_no_priority_waits_for_ever() -> None:
    """One turn in eight is the oldest call's, however many urgent ones come."""
    queue = queue_of("/patient")
    turns = []
    for ticket in range(2, 2 + TURNS_BY_PRIORITY + 1):
        queue.add(Waiter("/urgent", priority=1, ticket=ticket))
        queue.add(Waiter("/urgent", priority=1, ticket=100 + ticket))
        turns.append(queue.pop().path)

    assert turns == ["/urgent"] * TURNS_BY_PRIORITY + ["/patient"]


def test_a_refused_turn_was_none() -> None:
    """P71: a call that comes again has its old place in its share, and its share is first."""
    queue = queue_of("/a", "/b", "/a")
    refused = queue.pop()
    queue.add(refused, again=True)

    assert queue.pop() is refused
    assert paths_of(queue) == ["/b", "/a"]


def test_who_leaves_gives_its_turn_to_the_next() -> None:
    """A call that is withdrawn changes no other's turn."""
    queue = queue_of("/a", "/b", "/c", "/a")
    queue.remove(next(iter(queue)))

    assert paths_of(queue) == ["/a", "/b", "/c"]


def test_those_who_wait_are_shown_oldest_first() -> None:
    """Whatever their turns are."""
    queue = queue_of("/a", "/a", "/b")

    assert [waiter.ticket for waiter in queue] == [1, 2, 3]
    assert next(iter(queue)) in queue
    assert Waiter("/a", ticket=1) not in queue


@given(st.lists(st.tuples(PATHS, st.integers(0, 2)), max_size=40), st.data())
def test_nobody_is_lost_or_served_twice(calls: list[tuple[str, int]], data: st.DataObject) -> None:
    """Whatever comes, goes and comes again: each is served once, and nothing is left behind."""
    queue = FairQueue()
    served: Counter[int] = Counter()
    withdrawn = set()
    for ticket, (path, priority) in enumerate(calls, 1):
        queue.add(Waiter(path, priority, ticket=ticket))
        what = data.draw(st.sampled_from(["serve", "refuse", "withdraw", "nothing"]))
        if what in ("serve", "refuse"):
            waiter = queue.pop()
            if what == "refuse":
                queue.add(waiter, again=True)
            else:
                served[waiter.ticket] += 1
        elif what == "withdraw":
            gone = data.draw(st.sampled_from(list(queue)))
            queue.remove(gone)
            withdrawn.add(gone.ticket)
    while len(queue):
        served[queue.pop().ticket] += 1

    assert set(served) == set(range(1, len(calls) + 1)) - withdrawn
    assert max(served.values(), default=1) == 1
    assert queue._by_priority == {}


@settings(max_examples=200)
@given(st.lists(PATHS, min_size=1, max_size=60))
def test_between_two_turns_of_a_subtree_each_sibling_has_at_most_one(paths: list[str]) -> None:
    """The bound of fairness, at the top of the tree, for subtrees that have somebody waiting all the time."""
    queue = queue_of(*paths)
    left = Counter(path.split("/")[1] for path in paths)
    since: dict[str, Counter[str]] = {share: Counter() for share in left}
    while len(queue):
        share = queue.pop().path.split("/")[1]
        for other, turns in since.items():
            if other != share and left[other]:
                turns[share] += 1
                assert turns[share] <= 1
        since[share].clear()
        left[share] -= 1
