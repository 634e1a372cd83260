"""Receipt: what became of a message that was to steer a run, or to follow up."""

from __future__ import annotations

from typing import final

import attrs
import trio

from tinyagent_actors.messages import Message


@attrs.frozen
class Applied:
    """The message entered the transcript; the model was to read it in this turn's request."""

    turn: int
    run: int


@attrs.frozen
class Returned:
    """The message entered no transcript; send it again, if it still matters."""

    reason: str
    """``idle``: no run went on and none was to come. ``full``: 64 were pending. ``interrupted``: the run was interrupted, or the agent
    stopped or ended. ``ended``: the run came to another end first. ``cleared``: the queue was cleared. ``gone``: the agent is gone."""


@final
@attrs.define(eq=False)
class Receipt:
    """Says what became of messages, once it is known; each receipt comes to exactly one outcome."""

    messages: tuple[Message, ...] = attrs.field(repr=False)
    outcome: Applied | Returned | None = attrs.field(default=None, init=False)
    """None: still pending."""
    _settled: trio.lowlevel.ParkingLot | None = attrs.field(default=None, init=False, repr=False)
    """Where those wait who want to know; made by the first."""

    def settle(self, outcome: Applied | Returned) -> None:
        """Say what became of them; for the run and the queue. The first outcome stays."""
        if self.outcome is None:
            self.outcome = outcome
            if self._settled is not None:
                self._settled.unpark_all()

    async def wait(self) -> Applied | Returned:
        """Wait until it is known what became of them. Cancelling it changes nothing: they stay pending."""
        if self.outcome is not None:
            await trio.lowlevel.checkpoint()
        while self.outcome is None:
            if self._settled is None:
                self._settled = trio.lowlevel.ParkingLot()
            await self._settled.park()
        return self.outcome


def returned(messages: tuple[Message, ...], reason: str) -> Receipt:
    """Give the receipt of messages that were given back at once."""
    receipt = Receipt(messages)
    receipt.settle(Returned(reason))
    return receipt
