"""SupervisorBehind: the children of an actor that is no supervisor itself, in the hands of a supervisor that stands behind it.

The design. `ctx.start_child` makes a supervisor for the actor, once, at the actor's own path, so that its children's paths
are below the actor's; of its start and end no event tells, for the actor's tell enough. It runs in the nursery in which the
actor runs, not inside the actor's task: so it can outlive an incarnation, and a stuck child below holds no body above. It
is a supervisor like any other, and what it does for its children is said there.

When the actor's body has ended, its children are stopped in order before its end is told: whoever hears of the end
(a monitor, the supervisor that starts it again) finds nothing of it running, and what is sent meanwhile waits in its mailbox
(S66). `ChildSpec(keep_children=True)` keeps them when it crashes: the next incarnation finds them where they were. When
it is stopped, ends as it should, or will not come again, they end in any case.

The races. *It is cancelled while its children are being stopped* (its `shutdown` time is over, or somebody kills it): they
are cancelled too. *Its children give up*: so does the actor, with the same error, since it cannot do without what it
started. *A child below will not end*: it is given up by its own supervisor, and the actor's end says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import trio

from tinyagent_actors.actors import ActorContext, Address, CancelCause, Cell, Mailbox
from tinyagent_actors.events import (
    ActorCrashedEvent,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    Event,
)
from tinyagent_actors.supervision._ref import SupervisorRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinyagent_actors.actors import Body

_UNTOLD = (ActorStartedEvent, ActorRestartedEvent, ActorStoppedEvent, ActorCrashedEvent)


class _UntoldCell(Cell):
    """A cell whose start and end are no events: they are the actor's."""

    __slots__ = ()

    def publish(self, kind: type[Event], **fields: Any) -> int:
        """Publish what is not about its own start and end."""
        if kind in _UNTOLD:
            return self.event or 0
        return super().publish(kind, **fields)


@attrs.define(eq=False)
class SupervisorBehind:
    """What an actor has started below itself. The owner of the supervisor that stands behind the actor."""

    _actor: Address
    _on_end: Callable[[SupervisorBehind], None]
    cell: Cell = attrs.field(init=False)
    ref: SupervisorRef = attrs.field(init=False)
    _is_started: trio.Event = attrs.field(factory=trio.Event, init=False)
    _is_ended: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        actor, runtime = self._actor, self._actor.runtime
        mailbox = Mailbox(actor.path, runtime.dead_letters, runtime.pacer)
        address = Address(actor.path, actor.name, runtime.next_uid(), runtime, mailbox, self)
        address.incarnation = 1
        self.cell = address.cell = _UntoldCell(address, 1)
        self.ref = SupervisorRef(address, self.cell)
        self.cell.event = None if actor.cell is None else actor.cell.event

    def open(self, nursery: trio.Nursery, body: Body) -> None:
        """Start the supervisor."""
        nursery.start_soon(self._hold, body, name=f"children of {self._actor.path}")

    async def _hold(self, body: Body) -> None:
        async with trio.open_nursery() as nursery:
            self.cell.spawn(nursery, body, ActorContext(self.ref, self.cell))

    # The actor's side.

    async def wait_started(self) -> None:
        """Wait until the supervisor takes orders. Cancelling it leaves nothing behind."""
        await self._is_started.wait()

    def stop(self, cause: CancelCause) -> None:
        """Stop them all, in reverse order, each in its own `shutdown` time. Does not wait."""
        self.cell.request_stop(cause)

    def cancel(self, cause: CancelCause) -> None:
        """Cancel them all."""
        self.cell.cancel(cause)

    @property
    def failure(self) -> BaseException | None:
        """Why the supervisor gave up; None if it did not."""
        ended = self.cell.exit
        return ended.error if ended is not None and ended.is_abnormal else None

    @property
    def is_held(self) -> bool:
        """Whether they have ended, but for something that would not and was given up."""
        return self.cell.exit is not None and self.cell.exit.abandoned

    async def wait_ended(self) -> None:
        """Wait until nothing of them runs any more, but for what was given up. Cancelling it leaves nothing behind."""
        await self._is_ended.wait()

    # The owner's side.

    @property
    def cancelling(self) -> CancelCause | None:
        """Who cancels the actor, or everything around it."""
        actor = self._actor.cell
        return (None if actor is None else actor.cancelling) or self._actor.owner.cancelling

    def child_started(self, cell: Cell) -> None:  # noqa: ARG002  # the owner's protocol; there is one cell
        """Hear that the supervisor has started."""
        self._is_started.set()

    def child_exited(self, cell: Cell) -> None:
        """Hear that the supervisor has ended; if it gave up, so does the actor."""
        cell.address.retire()
        self._is_started.set()
        self._is_ended.set()
        actor = self._actor.cell
        if self.failure is not None and actor is not None:
            actor.cancel(CancelCause(self._actor.path, "its children died too often", "children"))
        elif self._actor.children is self:
            self._actor.children = None
        self._on_end(self)

    def kill_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Cancel them all."""
        self.cell.cancel(cause)

    def end_child(self, address: Address, cause: CancelCause) -> None:  # noqa: ARG002  # the owner's protocol
        """Stop them all in order; the actor may start others later."""
        self.cell.request_stop(cause)
