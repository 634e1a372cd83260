"""Address: what every ref of a child shares, whichever incarnation it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._exit import CancelCause
    from tinyagent_actors.actors._mailbox import Mailbox
    from tinyagent_actors.actors._runtime import Runtime


class Owner(Protocol):
    """Whoever starts and ends the child: its supervisor, or for the root the system. Nothing here waits."""

    def child_started(self, cell: Cell) -> None:
        """Hear that an incarnation has started."""

    def child_exited(self, cell: Cell) -> None:
        """Hear that an incarnation has ended; `cell.exit` says how."""

    @property
    def cancelling(self) -> CancelCause | None:
        """Who cancels this owner with everything below it, if somebody does."""

    def kill_child(self, address: Address, cause: CancelCause) -> None:
        """Cancel the running incarnation now, and see to it that it ends."""

    def end_child(self, address: Address, cause: CancelCause) -> None:
        """Stop the child for good, in its `shutdown` time; the address is gone when that is done."""


@attrs.define(eq=False)
class Address:
    """The place of a child in the tree, and the way to it."""

    path: str
    uid: int
    """Unique in the system: a child that takes the name of one that is gone has another."""
    runtime: Runtime = attrs.field(repr=False)
    mailbox: Mailbox = attrs.field(repr=False)
    owner: Owner = attrs.field(repr=False)
    cell: Cell | None = attrs.field(default=None, init=False, repr=False)
    """The incarnation that lives, or is starting."""
    incarnation: int = attrs.field(default=0, init=False)
    """The latest one, counted from 1."""
    body: Any = attrs.field(default=None, init=False, repr=False)
    """What the incarnation shows to refs of its kind: a supervisor's state, an agent."""
    is_gone: bool = attrs.field(default=False, init=False)
    """Whether no incarnation will come any more."""
    _gone: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)

    async def wait_gone(self) -> None:
        """Wait until the child is finally gone. Cancelling it leaves nothing behind."""
        if self.is_gone:
            await trio.lowlevel.checkpoint()
        while not self.is_gone:
            await self._gone.park()

    def retire(self) -> None:
        """Close the mailbox for good; refs lead nowhere from now on."""
        self.is_gone = True
        self.cell = None
        self.mailbox.close()
        self._gone.unpark_all()
