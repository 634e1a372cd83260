"""The wait-for graph: which actor waits for whose answer, so that a circle is refused, not waited out.

An edge is one ask made in a handler (for agents: in the run and its tools). It is kept per ask, because parallel tools may
hold several. One Trio thread makes the graph exact: between the check and the edge nothing else runs.
"""

from __future__ import annotations

import attrs

from tinyagent_actors._errors import AskCycleError


@attrs.define(eq=False)
class WaitGraph:
    """Edges ``asker -> target`` by path."""

    _edges: dict[str, dict[int, str]] = attrs.field(factory=dict, init=False)
    _next: int = attrs.field(default=0, init=False)

    def add(self, asker: str, target: str) -> int:
        """Record that `asker` waits for `target`.

        Returns:
            The number of the edge, for `remove`.

        Raises:
            AskCycleError: `target` waits, directly or not, for `asker`.
        """
        back = self._path(target, asker)
        if back is not None:
            raise AskCycleError((asker, *back))
        self._next += 1
        self._edges.setdefault(asker, {})[self._next] = target
        return self._next

    def remove(self, asker: str, edge: int) -> None:
        """Take an edge out; one that is not there changes nothing."""
        edges = self._edges.get(asker)
        if edges is not None:
            edges.pop(edge, None)
            if not edges:
                del self._edges[asker]

    def forget(self, asker: str) -> None:
        """Take out every edge of an asker that was given up: its tasks will not come to do it."""
        self._edges.pop(asker, None)

    def _path(self, start: str, goal: str) -> tuple[str, ...] | None:
        if start == goal:
            return (start,)
        if start not in self._edges:
            return None
        came_from: dict[str, str] = {start: ""}
        frontier = [start]
        while frontier:
            here = frontier.pop()
            for there in self._edges.get(here, {}).values():
                if there in came_from:
                    continue
                came_from[there] = here
                if there == goal:
                    return _walk_back(came_from, there)
                frontier.append(there)
        return None

    def __len__(self) -> int:
        return sum(len(edges) for edges in self._edges.values())


def _walk_back(came_from: dict[str, str], end: str) -> tuple[str, ...]:
    walked = [end]
    while came_from[walked[-1]]:
        walked.append(came_from[walked[-1]])
    return tuple(reversed(walked))
