"""The wait-for graph: circles are refused, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
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


nodes = st.integers(0, 6)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries({}, optional={pool: st.sets(st.integers(0, pool - 1), max_size=3) for pool in (4, 5, 6)}),
    st.lists(st.tuples(st.integers(0, 3), nodes), max_size=14),
)
def test_with_pools_exactly_what_nobody_could_answer_is_refused(
    pools: dict[int, set[int]], plan: list[tuple[int, int]]
) -> None:
    """S60: against a simulation that lets everybody finish who can: an ask is refused if, and only if, it would never be answered."""
    graph = WaitGraph()
    for pool, members in pools.items():
        graph.open_pool(str(pool), lambda members=members: [str(member) for member in members])  # type: ignore[misc]
    edges: list[tuple[int, int]] = []
    for asker, target in plan:
        hangs = _hangs([*edges, (asker, target)], pools, target)
        try:
            graph.add(str(asker), str(target))
        except AskCycleError as error:
            found = error.cycle
            assert hangs, found
        else:
            assert not hangs
            found = (str(asker), str(asker))
            edges.append((asker, target))
        assert found[0] == found[-1] == str(asker)


def _hangs(edges: list[tuple[int, int]], pools: dict[int, set[int]], target: int) -> bool:
    """Whether `target` never finishes: an actor finishes when all it has asked have, a pool when one member has, or it has none."""
    done: set[int] = set()
    for _ in range(8):
        for node in range(7):
            if node in pools:
                can = not pools[node] or bool(pools[node] & done)
            else:
                can = all(asked in done for asker, asked in edges if asker == node)
            if can:
                done.add(node)
    return target not in done
