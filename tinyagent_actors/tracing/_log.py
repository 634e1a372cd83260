"""The log: every event as one JSON line, rendered by structlog, written by a subscriber of the bus.

Lines are buffered (64 KiB) and flushed at least every `FLUSH_SECONDS`, at the end, and when the reading task is ended
in whatever way. Pieces of text are left out: the message that ends them holds the whole. What a `Gap` stands for is a line
too, so a loss is never silent. A file that cannot be written is told once, as an event, and hurts nobody.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import EventBus, Subscription, block
from tinyagent_actors.events import Event, Gap, SubscriberFailedEvent, as_fact
from tinyagent_actors.tracing._line import Line, Recorder, join

if TYPE_CHECKING:
    from tinyagent_actors.tracing._line_logger import LineLogger

FLUSH_SECONDS: Final = 0.1
BUFFER_BYTES: Final = 64 * 1024
CAPACITY: Final = 65_536
"""Events that may lie unread before producers of deltas have to wait."""


@attrs.define(eq=False)
class EventLog:
    """Writes the events of one bus to a file. Made by `open_log`; `follow` runs until the bus is closed."""

    path: Path
    _bus: EventBus = attrs.field(repr=False)
    _file: FileIO = attrs.field(repr=False)
    _subscription: Subscription = attrs.field(repr=False)
    _lines: list[Line] = attrs.field(factory=list, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False)
    _recorder: Recorder = attrs.field(factory=Recorder, init=False, repr=False)
    _line_logger: LineLogger | None = attrs.field(default=None, init=False, repr=False)
    is_broken: bool = attrs.field(default=False, init=False)
    """Whether the file could not be written any more."""
    ended: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    """Set when the last line is in the file."""

    async def follow(self) -> None:
        """Write events until the bus is closed. Cancelling it flushes what was taken."""
        try:
            await self._follow()
        finally:
            while (event := self._subscription.next_nowait()) is not None:
                self._take(event)
            self._flush()
            self._file.close()
            self.ended.set()

    async def _follow(self) -> None:
        flush_at = trio.current_time() + FLUSH_SECONDS
        while True:
            with trio.CancelScope(deadline=flush_at if self._lines else float("inf")):
                try:
                    self._take(await self._subscription.__anext__())
                except StopAsyncIteration:
                    return
            while (event := self._subscription.next_nowait()) is not None:
                self._take(event)
            now = trio.current_time()
            if now >= flush_at or self._size >= BUFFER_BYTES:
                self._flush()
                flush_at = now + FLUSH_SECONDS

    def _take(self, event: Event | Gap) -> None:
        if self.is_broken:
            return
        line = self._rendered(event.type, self._recorder.record(event))
        self._lines.append(line)
        self._size += len(line.own) + len(line.messages)
        if self._size >= BUFFER_BYTES:
            self._flush()

    def _rendered(self, name: str, record: dict[str, Any]) -> Line:
        if self._line_logger is None:
            from tinyagent_actors.tracing._line_logger import LineLogger  # slow to import, and only a log needs it

            self._line_logger = LineLogger()
        return self._line_logger.line(name, record)

    def _flush(self) -> None:
        data, self._lines, self._size = join(self._lines), [], 0
        try:
            while data and not self.is_broken:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            self.is_broken = True
            self._bus.publish(SubscriberFailedEvent, "/", subscriber=f"log {self.path}", error=as_fact(error))


def open_log(path: str | Path, bus: EventBus) -> EventLog:
    """Open a log that appends to `path`; its `follow` must be run.

    Raises:
        SpecError: The file cannot be opened for writing.
    """
    where = Path(path)
    try:
        file = FileIO(where, "ab")
    except OSError as error:
        raise SpecError("log", f"{where}: {error.strerror}") from error
    return EventLog(where, bus, file, bus.open_subscription("**", policy=block(CAPACITY), has_deltas=False))
