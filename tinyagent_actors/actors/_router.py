"""Routers: one way to several actors, which chooses one of them for each message.

A router is no actor and has no queue of its own: it chooses, and the message goes to the chosen one's mailbox, in the caller's task.
So it costs no hop, can be made anywhere, and a sender's messages to one member keep their order; those to different members have
none. Members are given as refs, or as a function that gives them (the members of a group, say), asked at each message; whoever is
gone, or on its way out, is passed over. One that is being started again is not: its mailbox takes what comes.

An ask is sent to no member that waits, directly or not, for the asker, as long as there is another: a circle is closed only if every
member the router may choose would close it. Where work should wait for whoever is free, rather than with whoever was chosen, take
a `pool`; where everybody should have the message, a group and `publish`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from tinyagent_actors._errors import NoMembersError
from tinyagent_actors.actors._hash_ring import HashRing
from tinyagent_actors.actors._ref import ActorRef, waiting_cell
from tinyagent_actors.actors._runtime import find_place

if TYPE_CHECKING:
    from collections.abc import Iterator

Members: TypeAlias = "Iterable[ActorRef] | Callable[[], Iterable[ActorRef]]"
Key: TypeAlias = Callable[[Any], "str | bytes | int"]


def _source(members: Members) -> Callable[[], Iterable[ActorRef]]:
    if callable(members):
        return members
    kept = tuple(members)
    return lambda: kept


@attrs.define(eq=False)
class Router(ABC):
    """Chooses one of its members for each message."""

    _members: Callable[[], Iterable[ActorRef]] = attrs.field(converter=_source, repr=False)

    @abstractmethod
    def order(self, members: Sequence[ActorRef], message: object) -> Iterable[ActorRef]:
        """Give those of the members that a message may go to, the one it is to go to first. There is at least one member."""

    def members(self) -> tuple[ActorRef, ...]:
        """Give the members that take messages now."""
        return tuple(ref for ref in self._members() if ref.address.mailbox.takes_work)

    async def tell(self, message: object) -> None:
        """Send a message to one member, as `ActorRef.tell`. Cancelling it while it waits for room: not sent.

        Raises:
            NoMembersError: There is none.
            MailboxFullError: Its mailbox is full and the policy is `reject`.
        """
        await self._choose(message).tell(message)

    def tell_nowait(self, message: object) -> None:
        """Send a message to one member if it has room.

        Raises:
            NoMembersError: There is none.
            MailboxFullError: It has no room.
        """
        self._choose(message).tell_nowait(message)

    async def ask(self, message: object) -> Any:
        """Send a message to one member and wait for its answer, as `ActorRef.ask`.

        Raises:
            NoMembersError: There is none.
            AskCycleError: Every member that it may go to waits, directly or not, for the actor that asks.
            ActorError: As `ActorRef.ask`.
        """
        first: ActorRef | None = None
        for ref in self._candidates(message):
            first = first or ref
            runtime = ref.address.runtime
            asker = waiting_cell(runtime, find_place())
            if asker is None or runtime.wait_graph.cycle(asker.path, ref.path) is None:
                return await ref.ask(message)
        if first is None:
            raise NoMembersError(type(self).__name__)
        return await first.ask(message)  # which raises, with the path of its circle

    def _choose(self, message: object) -> ActorRef:
        for ref in self._candidates(message):
            return ref
        raise NoMembersError(type(self).__name__)

    def _candidates(self, message: object) -> Iterable[ActorRef]:
        members = self.members()
        return self.order(members, message) if members else ()


@attrs.define(eq=False)
class RoundRobin(Router):
    """One after the other.

    Example:
        >>> RoundRobin([]).members()
        ()
    """

    _turn: int = attrs.field(default=0, init=False)

    def order(self, members: Sequence[ActorRef], message: object) -> Iterator[ActorRef]:  # noqa: ARG002  # alike to it
        """Begin with the one after the one before."""
        first = self._turn % len(members)
        self._turn = first + 1
        yield from members[first:]
        yield from members[:first]


@attrs.define(eq=False)
class LeastMailbox(Router):
    """The one that has least to do: in its mailbox, waiting to come in, and in hand. Of several the first one after the one before."""

    _turns: RoundRobin = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._turns = RoundRobin(())

    def order(self, members: Sequence[ActorRef], message: object) -> Iterable[ActorRef]:
        """Begin with the one that has least to do."""
        return sorted(self._turns.order(members, message), key=_load)


def _load(ref: ActorRef) -> int:
    mailbox = ref.address.mailbox
    return len(mailbox.work) + len(mailbox.senders) + (mailbox.reader is None)


@attrs.define(eq=False)
class KeySticky(Router):
    """All messages of one key to one member, as long as the members stay the same; one that comes or goes moves about its share.

    The key of a message is a string, bytes or a whole number; members are told apart by their paths, so a restart moves nothing.
    """

    key: Key = attrs.field(kw_only=True)
    """Gives the key of a message."""
    _ring: HashRing = attrs.field(factory=lambda: HashRing(()), init=False, repr=False)

    def order(self, members: Sequence[ActorRef], message: object) -> tuple[ActorRef, ...]:
        """Give the one that keeps the key, and no other.

        Raises:
            TypeError: The key is neither a string, bytes nor a whole number.
        """
        by_path = {ref.path: ref for ref in members}
        if self._ring.members != tuple(by_path):
            self._ring = HashRing(tuple(by_path))
        return (by_path[self._ring.owner(self.key(message))],)
