"""Hold: whoever's ask lies unread at an actor stands still as long as that actor does.

An agent whose call waits for an approval takes nothing out of its mailbox. Whoever has asked it waits on account of the same
human, whether the ask is in hand or lies unread; so the clock that came with each ask that lies there is paused (`Clock.pause`),
with all above it, until the agent goes on. One that comes meanwhile is paused when it comes (`ActorRef.ask` looks), and one whose
ask is over, withdrawn or refused, runs on at once: it may have other things to do.
"""

from __future__ import annotations

import attrs

from tinyagent_actors.actors._clock import Pause
from tinyagent_actors.actors._mailbox import Mailbox
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot


@attrs.define(eq=False)
class Hold:
    """The pauses of those who wait at one mailbox for a reader that stands still."""

    _mailbox: Mailbox
    _pauses: dict[ReplySlot, Pause] = attrs.field(factory=dict, init=False)

    def begin(self) -> None:
        """Have them stand: those whose asks lie there or wait for room, and those who come. A second time changes nothing."""
        if self._mailbox.hold is self:
            return
        self._mailbox.hold = self
        for item in (*self._mailbox.work, *self._mailbox.senders.values()):
            if isinstance(item, Envelope):
                self.add(item.slot)

    def end(self) -> None:
        """Let them run on."""
        if self._mailbox.hold is self:
            self._mailbox.hold = None
        while self._pauses:
            self._pauses.popitem()[1].end()

    def add(self, slot: ReplySlot) -> None:
        """Have one stand whose ask comes."""
        if slot.clock is not None:
            self._pauses[slot] = slot.clock.pause()

    def drop(self, slot: ReplySlot) -> None:
        """Let one run on whose ask is over."""
        pause = self._pauses.pop(slot, None)
        if pause is not None:
            pause.end()
