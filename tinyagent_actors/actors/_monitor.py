"""Monitors: being told of an actor's end, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._exit import Exit
    from tinyagent_actors.actors._mailbox import Mailbox
    from tinyagent_actors.actors._ref import ActorRef


@attrs.frozen(eq=False)
class Down:
    """Comes out of `ctx.messages()`, before work: an actor that this one monitors has ended, its cleanup included."""

    ref: ActorRef
    exit: Exit
    """How. `noproc`: it was gone when the monitor was set."""
    monitor: Monitor


@attrs.define(eq=False)
class Monitor:
    """One watch of one actor over one incarnation of another. Monitoring twice gives two of them, and two `Down`s (S51)."""

    ref: ActorRef
    _watcher: Mailbox = attrs.field(repr=False)
    _watched: Cell | None = attrs.field(default=None, repr=False)
    _down: Down | None = attrs.field(default=None, init=False, repr=False)

    def fire(self, exit: Exit) -> None:  # noqa: A002  # the field term
        """Tell the watcher."""
        if self._down is None:
            self._down = Down(self.ref, exit, self)
            self._watched = None
            self._watcher.post(self._down)

    def demonitor(self) -> None:
        """Stop watching. A `Down` of this monitor that lies unread is taken out; none comes afterwards."""
        if self._down is not None:
            self._watcher.unpost(self._down)
        elif self._watched is not None:
            self._watched.forget(self)
            self._watched = None
