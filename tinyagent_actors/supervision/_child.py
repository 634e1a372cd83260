"""Child: what a supervisor keeps of one child, and what it tells of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from tinyagent_actors.actors import ActorRef, Address, CancelCause, Cell, ChildSpec, ReplySlot

ChildState: TypeAlias = Literal["starting", "running", "stopping", "restarting", "stopped"]
"""`restarting`: it has ended and will be started again, when its back-off is over or its turn comes. `stopped`: it will not,
unless it is ordered."""


@attrs.frozen
class ChildInfo:
    """One line of `which_children`."""

    name: str
    ref: ActorRef | None
    """None where no incarnation runs."""
    state: ChildState
    restart: str
    is_supervisor: bool


@attrs.frozen
class ChildCount:
    """What `count_children` gives."""

    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.define(eq=False, repr=False)
class Child:
    """A child of a supervisor, through all its incarnations."""

    spec: ChildSpec
    address: Address
    state: ChildState = "stopped"
    cell: Cell | None = None
    is_new: bool = True
    """Whether it has never started: a failure now is given back to whoever asked for it, not retried."""
    on_started: ReplySlot | None = None
    """Who waits for its start."""
    on_ended: list[ReplySlot] = attrs.field(factory=list)
    """Who waits for its end."""
    is_addition: bool = False
    """Whether `start_child` brought its spec, which so goes with a start that fails or is rolled back."""
    is_to_start: bool = False
    """Whether its start stands on the agenda: if it runs, it is stopped first."""
    is_dropped: bool = False
    """Whether its spec goes when it has ended."""
    cause: int | None = None
    """`seq` of the event of its latest end, which leads to its next start."""
    stop_cause: CancelCause | None = None
    is_dying: bool = False
    """Whether it was cancelled and has its time to clean up."""
    due: float | None = None
    """When its timer is due: of starting, of stopping, of dying, or of its back-off; it has one at a time."""
    failures: int = 0
    """How often it has ended in a row, as its back-off counts."""
    started_at: float | None = None
    """When its incarnation had started, if that matters to its back-off."""

    def __repr__(self) -> str:
        return f"<Child {self.address.path} {self.state}, incarnation {self.address.incarnation}>"

    def take_on_started(self) -> ReplySlot | None:
        """Give who waits for its start, once."""
        slot, self.on_started = self.on_started, None
        return slot

    @property
    def ref(self) -> ActorRef:
        """A ref of its present incarnation."""
        return self.spec.make_ref(self.address, self.cell)
