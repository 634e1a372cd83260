"""Monitors: being told of an actor's end, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tinyagent_actors.actors._exit import Exit

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
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
    """One watch of one incarnation by another. Monitoring twice gives two of them, and two `Down`s (S51).

    It ends with whichever of the two ends first: the watcher's next incarnation hears nothing of it.
    """

    ref: ActorRef
    _watcher: Cell = attrs.field(repr=False)
    _watched: Cell | None = attrs.field(default=None, repr=False)
    _down: Down | None = attrs.field(default=None, init=False, repr=False)

    def begin(self) -> None:
        """Set the watch. Of an incarnation that has ended, or never was, the `Down` comes at once."""
        if self._watched is None or self._watched.exit is not None:
            self.fire(Exit("noproc"))
        else:
            self._watched.watched_by(self)
            self._watcher.watches(self)

    def fire(self, exit: Exit) -> None:  # noqa: A002  # the field term
        """Tell the watcher."""
        self._watched = None
        self._watcher.watches_no_more(self)
        self._down = Down(self.ref, exit, self)
        self._watcher.address.mailbox.post(self._down)

    def demonitor(self) -> None:
        """Stop watching. A `Down` of this monitor that lies unread is taken out; none comes afterwards."""
        if self._down is not None:
            self._watcher.address.mailbox.unpost(self._down)
        elif self._watched is not None:
            self._watched.watched_no_more(self)
            self._watched = None
            self._watcher.watches_no_more(self)
