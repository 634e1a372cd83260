"""Groups: actors under a common name, and messages to all of them.

A member is an incarnation: its membership ends with it, and its successor joins anew if it wants to. A group is there as long as
it has members; its name may be made of several (``news/sport``), so that a pattern (``news/**``) is a topic.

`publish` is a fan-out that never waits and never raises for a member: one whose mailbox is full loses this message (or its oldest,
if that is its policy), which its own statistics count and a dead letter tells. So a slow member costs the publisher and the others
nothing. Whoever must not lose a message is told one by one, with `tell`, which waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
from trio.lowlevel import enable_ki_protection

from tinyagent_actors._errors import ActorStoppedError
from tinyagent_actors.actors._name import check_group
from tinyagent_actors.actors._pattern import path_matcher

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._ref import ActorRef


@attrs.frozen
class Publication:
    """What became of a message to many."""

    sent: int
    """Members that have it in their mailbox."""
    dropped: int
    """Members whose mailbox was full, and lost a message."""


@attrs.define(eq=False)
class Groups:
    """The groups of one system."""

    _groups: dict[str, dict[Cell, ActorRef]] = attrs.field(factory=dict, init=False)
    """Members by group, in the order they joined; no group is empty."""
    _joined: dict[Cell, set[str]] = attrs.field(factory=dict, init=False)

    @enable_ki_protection
    def join(self, group: str, ref: ActorRef) -> None:
        """Make the incarnation that `ref` names a member; one that is a member stays one.

        Raises:
            SpecError: That is no name of a group.
            ActorStoppedError: That incarnation has ended.
        """
        check_group(group)
        cell = ref.living
        if cell is None:
            raise ActorStoppedError(ref.path)
        self._groups.setdefault(group, {})[cell] = ref
        self._joined.setdefault(cell, set()).add(group)
        cell.tie(self)

    @enable_ki_protection
    def leave(self, group: str, ref: ActorRef) -> bool:
        """Make the incarnation that `ref` names a member no more; whether it was one."""
        cell = ref.living
        if cell is None or cell not in self._groups.get(group, ()):
            return False
        self._joined[cell].discard(group)
        self._drop(group, cell)
        return True

    def members(self, pattern: str) -> tuple[ActorRef, ...]:
        """Give the members of a group, or of all groups that match a pattern, each once, in the order they joined.

        Raises:
            SpecError: The pattern is none.
        """
        return tuple(self._matching(pattern).values())

    @enable_ki_protection
    def publish(self, pattern: str, message: object, cause: int | None = None) -> Publication:
        """Send a message to every member of a group, or of all groups that match a pattern, once; never waits.

        Args:
            pattern: A group (``news/sport``), or a pattern such as ``news/**``, the group `news` and all below it.
            message: What each of them gets.
            cause: `seq` of the event that led to it.

        Raises:
            SpecError: The pattern is none.
        """
        sent = dropped = 0
        for ref in self._matching(pattern).values():
            mailbox = ref.address.mailbox
            if not mailbox.takes_work:
                continue  # it is on its way out
            if mailbox.offer_or_drop((message, cause)):
                sent += 1
            else:
                dropped += 1
        return Publication(sent, dropped)

    def forget(self, cell: Cell) -> None:
        """End every membership of an incarnation that has ended."""
        for group in self._joined.pop(cell, ()):
            self._drop(group, cell)

    def _drop(self, group: str, cell: Cell) -> None:
        members = self._groups[group]
        del members[cell]
        if not members:
            del self._groups[group]

    def _matching(self, pattern: str) -> dict[Cell, ActorRef]:
        if "*" not in pattern:
            return self._groups.get(pattern, {})
        found: dict[Cell, ActorRef] = {}
        for group in self._names_matching(pattern):
            found.update(self._groups[group])
        return found

    def _names_matching(self, pattern: str) -> Iterator[str]:
        matches = path_matcher(pattern)
        return (group for group in self._groups if matches("/" + group))
