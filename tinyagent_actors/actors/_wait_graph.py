"""The wait-for graph: which actor waits for whose answer, so that a circle is refused, not waited out.

An edge is one ask made in a handler (for agents: in the run and its tools). It is kept per ask, because parallel tools may
hold several. One Trio thread makes the graph exact: between the check and the edge nothing else runs.

An actor waits for all it has asked: it is stuck if one of those is. A pool is the other kind of node: what was asked of it any
member may answer, so it is stuck only if every member is. With pools a circle is therefore more than a path: whoever is asked
closes one if, the asker taken as stuck, it is stuck itself. That is the largest set of nodes in which each is stuck because of
others in it; it is found by striking off whoever has a way out until nothing changes. Without pools that is a path from the target
back to the asker, and only that is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import attrs

from tinyagent_actors._errors import AskCycleError


@attrs.define(eq=False)
class WaitGraph:
    """Edges ``asker -> target`` by path."""

    _edges: dict[str, dict[int, str]] = attrs.field(factory=dict, init=False)
    _pools: dict[str, Callable[[], Iterable[str]]] = attrs.field(factory=dict, init=False)
    """The members of each pool, by its path."""
    _held: dict[Callable[[], None], None] = attrs.field(factory=dict, init=False)
    """Who holds an ask back until some edge has gone."""
    _next: int = attrs.field(default=0, init=False)

    def add(self, asker: str, target: str) -> int:
        """Record that `asker` waits for `target`.

        Returns:
            The number of the edge, for `remove`.

        Raises:
            AskCycleError: `target` waits, directly or not, for `asker`.
        """
        cycle = self.cycle(asker, target)
        if cycle is not None:
            raise AskCycleError(cycle)
        self._next += 1
        self._edges.setdefault(asker, {})[self._next] = target
        return self._next

    def cycle(self, asker: str, target: str) -> tuple[str, ...] | None:
        """Give the circle that an ask would close, beginning and ending with the asker; None if it closes none."""
        back = self._stuck_path(target, asker) if self._pools else self._path(target, asker)
        return None if back is None else (asker, *back)

    def move(self, asker: str, edge: int, target: str) -> None:
        """Let an edge lead to `target` from now on: what was asked of a pool has come to a member, who closes no circle."""
        edges = self._edges.get(asker)
        if edges is not None and edge in edges:
            edges[edge] = target

    def remove(self, asker: str, edge: int) -> None:
        """Take an edge out; one that is not there changes nothing."""
        edges = self._edges.get(asker)
        if edges is not None:
            edges.pop(edge, None)
            if not edges:
                del self._edges[asker]
        if self._held:
            self._tell_change()

    def forget(self, asker: str) -> None:
        """Take out every edge of an asker that was given up: its tasks will not come to do it."""
        self._edges.pop(asker, None)
        self._tell_change()

    def open_pool(self, pool: str, members: Callable[[], Iterable[str]]) -> None:
        """Make the node `pool` one that any of its members can answer for."""
        self._pools[pool] = members

    def close_pool(self, pool: str, members: Callable[[], Iterable[str]]) -> None:
        """Make the node an ordinary one, if it is still what `open_pool` made it: another may have its path now."""
        if self._pools.get(pool) is members:
            del self._pools[pool]

    def hold(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called, once, when an edge has gone."""
        self._held[on_change] = None

    def _tell_change(self) -> None:
        held, self._held = self._held, {}
        for on_change in held:
            on_change()

    def _targets(self, node: str) -> Iterable[str]:
        members = self._pools.get(node)
        return self._edges.get(node, {}).values() if members is None else members()

    def _path(self, start: str, goal: str, within: Collection[str] | None = None) -> tuple[str, ...] | None:
        if start == goal:
            return (start,)
        came_from: dict[str, str] = {start: ""}
        frontier = [start]
        while frontier:
            here = frontier.pop()
            for there in self._targets(here):
                if there in came_from or (within is not None and there not in within):
                    continue
                came_from[there] = here
                if there == goal:
                    return _walk_back(came_from, there)
                frontier.append(there)
        return None

    def _stuck_path(self, start: str, goal: str) -> tuple[str, ...] | None:
        stuck = self._reachable(start)
        if goal not in stuck:
            return None
        has_changed = True
        while has_changed:
            free = {node for node in stuck if node != goal and not self._is_stuck(node, stuck)}
            has_changed = bool(free)
            stuck -= free
        return self._path(start, goal, stuck) if start in stuck else None

    def _is_stuck(self, node: str, stuck: set[str]) -> bool:
        if node in self._pools:
            members = tuple(self._targets(node))
            return bool(members) and all(member in stuck for member in members)
        return any(target in stuck for target in self._targets(node))

    def _reachable(self, start: str) -> set[str]:
        found = {start}
        frontier = [start]
        while frontier:
            new = [there for there in self._targets(frontier.pop()) if there not in found]
            found.update(new)
            frontier += new
        return found

    def __len__(self) -> int:
        return sum(len(edges) for edges in self._edges.values())


def _walk_back(came_from: dict[str, str], end: str) -> tuple[str, ...]:
    walked = [end]
    while came_from[walked[-1]]:
        walked.append(came_from[walked[-1]])
    return tuple(reversed(walked))
