"""Address: what every ref of a child shares, whichever incarnation it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio

from tinyagent_actors.actors._exit import CancelCause
from tinyagent_actors.actors._wait_set import WaitSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._mailbox import Mailbox
    from tinyagent_actors.actors._runtime import Runtime
    from tinyagent_actors.actors._work_queue import WorkQueue


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


class OwnChildren(Protocol):
    """What an actor has started below itself, in the hands of a supervisor that stands behind it."""

    @property
    def ref(self) -> Any:
        """A `SupervisorRef` of the supervisor."""

    @property
    def cell(self) -> Cell:
        """The supervisor."""

    @property
    def failure(self) -> BaseException | None:
        """Why the supervisor gave up; None if it did not."""

    @property
    def is_held(self) -> bool:
        """Whether they have ended, but for something that would not and was given up."""

    async def wait_started(self) -> None:
        """Wait until the supervisor takes orders."""

    async def wait_ended(self) -> None:
        """Wait until nothing of them runs any more, but for what was given up."""

    def stop(self, cause: CancelCause) -> None:
        """Stop them all in order. Does not wait."""

    def cancel(self, cause: CancelCause) -> None:
        """Cancel them all."""


@attrs.define(eq=False)
class Address:
    """The place of a child in the tree, and the way to it."""

    path: str
    name: str
    """The last part of the path."""
    uid: int
    """Unique in the system: a child that takes the name of one that is gone has another."""
    runtime: Runtime = attrs.field(repr=False)
    mailbox: Mailbox = attrs.field(repr=False)
    owner: Owner = attrs.field(repr=False)
    cell: Cell | None = attrs.field(default=None, init=False, repr=False)
    """The incarnation that lives, or is starting."""
    incarnation: int = attrs.field(default=0, init=False)
    """The latest one, counted from 1."""
    open_children: Callable[[Address], OwnChildren] | None = attrs.field(default=None, repr=False)
    """Makes what stands behind an actor that starts children of its own."""
    keeps_children: bool = attrs.field(default=False, repr=False)
    """Whether they outlive a crash."""
    children: OwnChildren | None = attrs.field(default=None, init=False, repr=False)
    """What it has started below itself, if it has."""
    body: Any = attrs.field(default=None, init=False, repr=False)
    """What the incarnation shows to refs of its kind: a supervisor's state, an agent."""
    source: WorkQueue | None = attrs.field(default=None, init=False, repr=False)
    """What it pulls from besides its mailbox, as a worker of a pool."""
    _when_gone: list[Callable[[], None]] | None = attrs.field(default=None, init=False, repr=False)
    is_gone: bool = attrs.field(default=False, init=False)
    """Whether no incarnation will come any more."""
    _waiting: WaitSet | None = attrs.field(default=None, init=False, repr=False)
    """Who waits until it is gone."""

    async def wait_gone(self) -> None:
        """Wait until the child is finally gone, with all it has started. Cancelling it leaves nothing behind."""
        if self.is_gone:
            await trio.lowlevel.checkpoint()
        while not self.is_gone:
            if self._waiting is None:
                self._waiting = WaitSet()
            await self._waiting.wait()
        if self.children is not None:
            await self.children.wait_ended()

    def call_when_gone(self, function: Callable[[], None]) -> None:
        """Have a function called, once, when no incarnation will come any more. It must not raise, nor wait."""
        if self._when_gone is None:
            self._when_gone = []
        self._when_gone.append(function)

    def retire(self) -> None:
        """Close the mailbox for good; refs lead nowhere from now on."""
        self.is_gone = True
        self.cell = None
        self.mailbox.close()
        if self.children is not None:
            self.children.stop(CancelCause(self.path, "their parent is gone", "shutdown"))
        if self.source is not None:
            self.source.lose(self)
        self.body = None  # else an agent that is gone is a circle, and so left to the garbage collector
        when_gone, self._when_gone = self._when_gone, None
        for function in when_gone or ():
            function()
        if self._waiting is not None:
            self._waiting.wake_all()
