"""The pump: all native streams of a runtime, brought over from Rust by one task.

The hub (Rust) runs every response on one worker thread of its own and decodes it there. Its items wait in it until
somebody asks. Hence the shape: **one** task asks for all streams. It gets everything that is ready for anybody, lays each entry
before its stream, wakes each reader once, and asks again. While the readers work, Rust piles up the next batch; the busier the
program, the bigger the batches and the fewer the wake-ups.

How it waits. On Linux the hub has a descriptor that becomes readable when there is a batch (at once after a pause, half a millisecond
later under load); Trio polls it like a socket, which costs 20 us a batch. Elsewhere the hub can only block, so the wait is a hop into
a thread, one for all streams: 100 us, and one more wake-up on the way of a token (measured on Linux: 1.7 times the latency of
straight httpx, where the descriptor takes 1.0).

What bounds it: *credit*. A stream may have so many events and bytes under way; at the limit Rust stops reading its
socket, and the server feels it. The credit of an entry goes back when the reader has taken it, not when the pump has
delivered it, so a reader that stops costs one credit's worth of memory. A stream that ends or is aborted
takes its credit with it.

How it ends. The task is detached: it belongs to the runtime, no reader's scope can cancel it, and its scope is shielded,
because a thread cannot be cancelled. It ends when the hub is closed, which wakes it: `aclose`, called at the
end of the system or of `trio.run`. Streams that are still open then get an error as their last item. A second
`trio.run` makes a second pump; two runs in two threads have one each. At the exit of the interpreter a waiting thread is
a daemon's and is let go. In a forked child every call to the hub raises.

Refused: a thread per stream (three hundred streams, three hundred threads); a wake-up per event; handing items to the readers
through memory channels (a switch per item).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import trio

from tinyagent_actors.actors import Runtime
from tinyagent_actors.providers._items import END, ERROR, Item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinyagent_actors._alchemy import Hub

WAIT_SECONDS: Final = 60.0
"""How long the thread stays in Rust when nothing comes; it only looks around and goes back."""


@attrs.define(eq=False)
class Inbox:
    """What has come for one stream and was not taken yet; read by one task."""

    _items: list[Item] = attrs.field(factory=list, init=False)
    _events: int = attrs.field(default=0, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _has_entry: bool = attrs.field(default=False, init=False)
    _reader: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def put(self, items: list[Item], events: int, size: int) -> None:
        """Lay an entry down and wake the reader."""
        if self._has_entry:
            self._items += items
        else:
            self._items = items
            self._has_entry = True
        self._events += events
        self._bytes += size
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None

    def close(self, error: Item) -> None:
        """Lay down the last item, unless one is here already."""
        if not self._items or self._items[-1][0] not in (ERROR, END):
            self.put([error], 0, 0)

    async def take(self) -> tuple[list[Item], int, int]:
        """Wait for an entry; give all that lies here, with its cost. Cancelling takes nothing."""
        if not self._has_entry:
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        taken = (self._items, self._events, self._bytes)
        self._items, self._events, self._bytes, self._has_entry = [], 0, 0, False
        return taken

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED


@attrs.define(eq=False)
class Pump:
    """The hub of a runtime and the task that empties it."""

    hub: Hub
    _runtime: Runtime
    _inboxes: dict[int, Inbox] = attrs.field(factory=dict, init=False)
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)
    """Its own, so that a program whose threads are all busy still gets its tokens."""
    _ended: trio.Event | None = attrs.field(default=None, init=False)
    """None until the task was started."""
    _closing: str | None = attrs.field(default=None, init=False)
    """Why no stream can be opened any more."""

    def attach(self, stream: int) -> Inbox:
        """Give the inbox of a stream that was just opened."""
        inbox = self._inboxes[stream] = Inbox()
        if self._closing is not None:
            inbox.close(self._last_item())
        elif self._ended is None:
            self._ended = trio.Event()
            self._runtime.start_service(self._run, name="tinyagent_actors: pump of the native engine")
        return inbox

    def detach(self, stream: int) -> None:
        """Forget a stream; what still comes for it is dropped."""
        self._inboxes.pop(stream, None)

    def statistics(self) -> Mapping[str, int]:
        """Give the hub's numbers, and how many streams are read here."""
        return {**self.hub.statistics(), "inboxes": len(self._inboxes)}

    async def aclose(self) -> None:
        """Abort all streams, and wait until the thread has come back."""
        if self._closing is None:
            self._closing = "the engine was closed"
        self.hub.close()
        if self._ended is not None:
            await self._ended.wait()

    async def _run(self) -> None:
        with trio.CancelScope(shield=True):
            try:
                while await self._bring_one():
                    pass
            except Exception as error:  # noqa: BLE001  # nobody could hear it; the readers are told instead
                self._closing = f"the engine failed: {type(error).__name__}: {error}"
            self._tell_all()
        if self._ended is not None:
            self._ended.set()

    async def _next_batch(self) -> list[tuple[int, list[Item], int, int]] | None:
        bell = self.hub.fileno()
        if bell is None:
            return await trio.to_thread.run_sync(self.hub.next_batch, WAIT_SECONDS, limiter=self._limiter)
        await trio.lowlevel.wait_readable(bell)
        return self.hub.poll_batch()

    async def _bring_one(self) -> bool:
        batch = await self._next_batch()
        if batch is None:
            return False
        for stream, items, events, size in batch:
            inbox = self._inboxes.get(stream)
            if inbox is not None:
                inbox.put(items, events, size)
        return True

    def _tell_all(self) -> None:
        if self._closing is None:
            self._closing = "the engine was closed"
        for inbox in self._inboxes.values():
            inbox.close(self._last_item())

    def _last_item(self) -> Item:
        return (ERROR, ("connection_error", self._closing or "the engine was closed"))
