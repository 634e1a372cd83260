"""Links: two actors that end together, unless one of them wants to hear of it instead.

A link is between two incarnations, one for each pair, and of both sides alike: whichever ends first tells the other, after
its cleanup. What that means is Erlang's rule, the reason of the end carried over: a normal end changes nothing; a `shutdown`
makes the other end `shutdown`, which a transient child is not restarted for; anything else makes it end `killed`. Either way
its scope is cancelled, now, with the source ``link``. One that traps exits is not touched: it gets each of them, the
normal ones too, as a `LinkExit`, before its work. Supervisors trap exits, and heed none but those of their children.

The races. *Linking to what is gone*: an exit `noproc` comes at once, fatal as any other. *Both end in one tick*: the first
to be told has taken the link out, so the second tells nobody. *Unlinking after the end*: an exit that lies unread is taken
out; one that was fatal has been carried out already, and stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tinyagent_actors.actors._exit import CancelCause, Exit

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._ref import ActorRef


@attrs.frozen(eq=False)
class LinkExit:
    """Comes out of `ctx.messages()`, before work, if the actor traps exits: one that it was linked to has ended."""

    ref: ActorRef
    exit: Exit
    """How. `noproc`: it was gone when the link was made."""


@attrs.define(eq=False)
class Links:
    """Whom one incarnation is linked to, and what their ends mean to it. Made with its first link."""

    _cell: Cell = attrs.field(repr=False)
    peers: dict[Cell, ActorRef] = attrs.field(factory=dict, init=False, repr=False)
    traps_exits: bool = attrs.field(default=False, init=False)
    fatal: Exit | None = attrs.field(default=None, init=False)
    """The end of another that this one was cancelled for."""

    def hear(self, link_exit: LinkExit) -> None:
        """Do what the end of another means: nothing, a message, or this one's own end."""
        cell, ended = self._cell, link_exit.exit
        if self.traps_exits:
            cell.address.mailbox.post(link_exit)
        elif ended.reason != "normal" and cell.cancelling is None and cell.address.owner.cancelling is None:
            self.fatal = ended
            error = "" if ended.error is None else f" ({type(ended.error).__name__})"
            why = f"linked to {link_exit.ref.path}, which ended: {ended.reason}{error}"
            cell.address.owner.kill_child(cell.address, CancelCause(link_exit.ref.path, why, "link"))

    def end(self, own: ActorRef, exit: Exit) -> None:  # noqa: A002  # the field term
        """Tell the others that this one has ended, as `own`."""
        peers, self.peers = self.peers, {}
        for peer in peers:
            if peer.links is not None:
                peer.links.peers.pop(self._cell, None)
                peer.links.hear(LinkExit(own, exit))


def links_of(cell: Cell) -> Links:
    """Give the links of an incarnation; made now, if it has none yet."""
    if cell.links is None:
        cell.links = Links(cell)
    return cell.links


def link(cell: Cell, ref: ActorRef, other: Cell | None) -> None:
    """Link `cell` to the incarnation `other` that `ref` is of. A second time, and to itself, changes nothing."""
    if other is None or other.exit is not None:
        links_of(cell).hear(LinkExit(ref, Exit("noproc")))
    elif other is not cell:
        links_of(cell).peers[other] = ref
        links_of(other).peers[cell] = cell.ref


def unlink(cell: Cell, ref: ActorRef, other: Cell | None) -> None:
    """Undo a link, if there is one; an exit that lies unread is taken out."""
    if cell.links is None:
        return
    if other is not None:
        cell.links.peers.pop(other, None)
        if other.links is not None:
            other.links.peers.pop(cell, None)
    mailbox = cell.address.mailbox
    for unread in tuple(mailbox.control):
        if isinstance(unread, LinkExit) and unread.ref == ref:
            mailbox.unpost(unread)
