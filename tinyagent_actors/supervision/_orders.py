"""What reaches a supervisor's lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from tinyagent_actors.actors import Address, CancelCause, Cell, ChildSpec, ReplySlot

if TYPE_CHECKING:
    from tinyagent_actors.supervision._own_children import SupervisorBehind


@attrs.define(eq=False)
class Started:
    """An incarnation has started."""

    cell: Cell


@attrs.define(eq=False)
class Exited:
    """An incarnation has ended, or was given up; `cell.exit` says how."""

    cell: Cell


@attrs.define(eq=False)
class Killed:
    """An incarnation was cancelled by somebody else; see that it ends."""

    cell: Cell


@attrs.define(eq=False)
class OwnChildrenEnded:
    """What a child had started below itself has ended."""

    children: SupervisorBehind


@attrs.define(eq=False)
class EndChild:
    """A child is to be stopped for good: `ref.stop()`."""

    address: Address
    cause: CancelCause


@attrs.define(eq=False)
class StartChild:
    """A new child is to be started."""

    spec: ChildSpec
    slot: ReplySlot


@attrs.define(eq=False)
class TerminateChild:
    """A child is to be stopped; its spec is kept unless it is temporary."""

    name: str
    cause: CancelCause
    slot: ReplySlot


@attrs.define(eq=False)
class RestartChild:
    """A stopped child is to be started again."""

    name: str
    slot: ReplySlot


@attrs.define(eq=False)
class DeleteChild:
    """The spec of a stopped child is to go."""

    name: str
    slot: ReplySlot


@attrs.define(eq=False)
class RollBack:
    """Whoever asked for this start has gone away: undo it."""

    address: Address
    cause: CancelCause


Mutation: TypeAlias = StartChild | TerminateChild | RestartChild | DeleteChild
Order: TypeAlias = Started | Exited | Killed | OwnChildrenEnded | EndChild | RollBack | Mutation
