"""KnownContext: by what an actor is known to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import attrs

from tinyagent_actors.actors._types import MessageT, ReplyT
from tinyagent_actors.actors._via import Via

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._groups import Publication
    from tinyagent_actors.actors._ref import ActorRef


@attrs.define(eq=False)
class KnownContext(Generic[MessageT, ReplyT]):
    """The part of an actor's context that deals with names and groups. What it has of them ends with its incarnation."""

    ref: ActorRef[MessageT, ReplyT]
    """The actor itself, this incarnation."""
    cell: Cell = attrs.field(repr=False)

    def register(self, name: str) -> None:
        """Take a name that no other actor of the system has, until this incarnation ends.

        Raises:
            SpecError: It is no name.
            AlreadyRegisteredError: Somebody has it.
            ActorStoppedError: This incarnation was given up.
        """
        self.cell.runtime.registry.register(name, self.ref)

    def unregister(self, name: str) -> bool:
        """Give a name of one's own back; whether it was one's own."""
        return self.cell.runtime.registry.unregister(name, self.ref)

    def whereis(self, where: str) -> ActorRef:
        """Give the actor that has a name, or that stands at an absolute path (``/team/reader-1``).

        Raises:
            NotRegisteredError: Nobody has the name now.
            ChildNotFoundError: There is no such child.
        """
        return self.cell.runtime.whereis(where)

    def via(self, where: str) -> Via:
        """Give a way to whoever has a name, or stands at an absolute path, at the moment of each message."""
        return Via(where, self.cell.runtime)

    def join(self, group: str) -> None:
        """Become a member of a group until this incarnation ends; a member stays one.

        Raises:
            SpecError: That is no name of a group.
            ActorStoppedError: This incarnation was given up.
        """
        self.cell.runtime.groups.join(group, self.ref)

    def leave(self, group: str) -> bool:
        """Leave a group; whether one was a member."""
        return self.cell.runtime.groups.leave(group, self.ref)

    def members(self, group: str) -> tuple[ActorRef, ...]:
        """Give the members of a group, or of all that match a pattern, in the order they joined."""
        return self.cell.runtime.groups.members(group)

    def publish(self, group: str, message: object) -> Publication:
        """Send a message to every member of a group, or of all groups that match a pattern (``news/**``); never waits.

        A member whose mailbox is full loses it, which is counted and told. The actor itself gets it too, if it is a member.

        Raises:
            SpecError: The pattern is none.
        """
        return self.cell.runtime.groups.publish(group, message, self.cell.event)
