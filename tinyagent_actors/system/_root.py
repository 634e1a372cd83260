"""The root: the top of a system's tree, in a task of its own that no caller's cancellation reaches."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from tinyagent_actors.actors import ActorContext, Address, CancelCause, Cell, ChildSpec, Mailbox, Runtime
from tinyagent_actors.supervision import SupervisorRef, abandon


@attrs.define(eq=False)
class Root:
    """Runs the root supervisor and hears of its end; the owner of the top of the tree."""

    _runtime: Runtime
    _spec: ChildSpec
    cell: Cell = attrs.field(init=False)
    ref: SupervisorRef = attrs.field(init=False)
    started: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the root has started, or failed to."""
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the end of the root was told."""
    on_end: Callable[[], None] | None = attrs.field(default=None, init=False)
    """Called when the root ends, or is about to be killed."""
    cancelling: CancelCause | None = attrs.field(default=None, init=False)
    """Nothing above the root cancels it."""
    _closed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        mailbox = Mailbox("/", self._runtime.dead_letters, self._runtime.pacer)
        address = Address("/", "", self._runtime.next_uid(), self._runtime, mailbox, self)
        address.incarnation = 1
        self.cell = address.cell = Cell(address, 1)
        self.ref = SupervisorRef(address, self.cell)

    async def run(self) -> None:
        """Hold the nursery of the root supervisor until everything below has ended."""
        try:
            async with trio.open_nursery() as nursery:
                self.cell.spawn(nursery, self._spec.run, ActorContext(self.ref, self.cell))
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until no task of the tree is left; not for one that was given up."""
        await self.ended.wait()
        if self.cell.exit is None or not self.cell.exit.abandoned:
            await self._closed.wait()

    def abandon(self) -> None:
        """Give up what will not end."""
        abandon(self.cell)

    def child_started(self, cell: Cell) -> None:  # noqa: ARG002  # the owner's protocol; there is one cell
        """Hear that the root has started."""
        self.started.set()

    def child_exited(self, cell: Cell) -> None:
        """Hear that the root has ended."""
        cell.address.retire()
        self.started.set()
        self.ended.set()
        self._tell_end()

    def kill_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Cancel everything."""
        self.cell.cancel(cause)
        self._tell_end()

    def end_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Stop everything in order."""
        self.cell.request_stop(cause)

    def _tell_end(self) -> None:
        if self.on_end is not None:
            self.on_end()
