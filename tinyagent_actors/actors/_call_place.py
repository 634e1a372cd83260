"""CallPlace: where a tool's call stands that may be waited for by itself, apart from its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._clock import Clock
    from tinyagent_actors.actors._runtime import Runtime


@attrs.frozen(eq=False)
class CallPlace:
    """In the handler of its actor, but a node of its own in the wait-for graph: who wants a lock waits for the call that has it.

    What is asked here is an edge of the call's. The actor's edge to the call is whoever's who opens this place.
    """

    cell: Cell
    path: str
    """The node."""

    @property
    def runtime(self) -> Runtime:
        """The shared parts of its system."""
        return self.cell.runtime

    @property
    def event(self) -> int | None:
        """`seq` of the event that leads to what is done here."""
        return self.cell.event

    @property
    def asker_clock(self) -> Clock | None:
        """The clock of whoever has asked its actor."""
        return self.cell.asker_clock
