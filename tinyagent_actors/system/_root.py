"""The root: the top of a system's tree, in a task of its own that no caller's cancellation reaches."""

from __future__ import annotations

import attrs
import trio

from tinyagent_actors.actors import ActorContext, Address, CancelCause, Cell, ChildSpec, Mailbox, Runtime
from tinyagent_actors.supervision import SupervisorRef


@attrs.define(eq=False)
class Root:
    """Runs the root supervisor and hears of its end; the owner of the top of the tree."""

    _runtime: Runtime
    _spec: ChildSpec
    cell: Cell = attrs.field(init=False)
    ref: SupervisorRef = attrs.field(init=False)
    started: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the root has started, or failed to."""
    on_end: trio.Event = attrs.field(factory=trio.Event, init=False)
    cancelling: CancelCause | None = attrs.field(default=None, init=False)
    """Nothing above the root cancels it."""

    def __attrs_post_init__(self) -> None:
        mailbox = Mailbox("/", self._runtime.dead_letters, self._runtime.pacer)
        address = Address("/", self._runtime.next_uid(), self._runtime, mailbox, self)
        address.incarnation = 1
        self.cell = address.cell = Cell(address, 1)
        self.ref = SupervisorRef(address, self.cell)

    async def run(self) -> None:
        """Hold the nursery of the root supervisor until everything below has ended."""
        async with trio.open_nursery() as nursery:
            spec = self._spec
            self.cell.spawn(nursery, lambda ctx: spec.start(ctx, *spec.args), ActorContext(self.ref, self.cell))

    def child_started(self, cell: Cell) -> None:  # noqa: ARG002  # the owner's protocol; there is one cell
        """Hear that the root has started."""
        self.started.set()

    def child_exited(self, cell: Cell) -> None:
        """Hear that the root has ended."""
        cell.address.retire()
        self.started.set()
        self.on_end.set()

    def kill_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Cancel everything."""
        self.cell.cancel(cause)

    def end_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Stop everything in order."""
        self.cell.request_stop(cause)
