"""The wait-for graph: circles are refused, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors import AskCycleError
from tinyagent_actors.actors import WaitGraph


def test_the_closing_edge_is_refused_with_its_path() -> None:
    """S60: the cycle begins and ends with the asker."""
    graph = WaitGraph()
    for asker, target in ("ab", "bc", "cd"):
        graph.add(asker, target)
    with pytest.raises(AskCycleError) as caught:
        graph.add("d", "a")

    assert caught.value.cycle == ("d", "a", "b", "c", "d")
    assert len(graph) == 3


def test_asking_oneself_is_a_circle() -> None:
    """S60: of one."""
    with pytest.raises(AskCycleError) as caught:
        WaitGraph().add("a", "a")

    assert caught.value.cycle == ("a", "a")


def test_parallel_edges_are_counted_one_by_one() -> None:
    """S60: an asker may wait for several, and twice for one; an edge that goes leaves the others."""
    graph = WaitGraph()
    first, second = graph.add("a", "b"), graph.add("a", "b")
    graph.add("a", "c")
    graph.remove("a", first)
    graph.remove("a", first)
    with pytest.raises(AskCycleError):
        graph.add("b", "a")
    graph.remove("a", second)
    graph.add("b", "a")

    assert len(graph) == 2


def test_what_is_given_up_waits_for_nobody() -> None:
    """S32: the edges of an actor that was given up go at once; taking them out again changes nothing."""
    graph = WaitGraph()
    edge = graph.add("a", "b")
    graph.forget("a")
    graph.forget("a")
    graph.remove("a", edge)
    graph.add("b", "a")

    assert len(graph) == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=40))
def test_exactly_the_edges_that_close_a_circle_are_refused(plan: list[tuple[int, int, bool]]) -> None:
    """S60: against plain reachability over the edges that are there; an accepted graph never has a circle."""
    graph = WaitGraph()
    edges: list[tuple[str, str, int]] = []
    for asker, target, is_added in plan:
        if is_added:
            closes = _reaches(edges, str(target), str(asker))
            try:
                edges.append((str(asker), str(target), graph.add(str(asker), str(target))))
            except AskCycleError as error:
                steps = list(zip(error.cycle, error.cycle[1:], strict=False))
                known = {(one, other) for one, other, _ in edges}
                assert closes
                assert set(steps[1:]) <= known
            else:
                assert not closes
        elif edges:
            one, _, number = edges.pop()
            graph.remove(one, number)
    assert len(graph) == len(edges)


def _reaches(edges: list[tuple[str, str, int]], start: str, goal: str) -> bool:
    found = {start}
    for _ in edges:
        found |= {target for asker, target, _ in edges if asker in found}
    return goal in found
