"""The log: every event as one JSON line, made by structlog's processors, written by a subscriber of the bus.

The last processor is `render`, which makes the line; what a caller gives comes before it, and structlog runs the chain. Where
nobody gives any, the line is made without structlog: an event is whole, has no level and no bound context, so there is nothing
for a logger to do, and loading structlog, which loads rich, takes as long as making some four thousand lines.

Lines are buffered (64 KiB) and flushed at least every `FLUSH_SECONDS`, at the end, and when the reading task is ended
in whatever way. Pieces of text are left out: the message that ends them holds the whole. What a `Gap` stands for is a line
too, so a loss is never silent. A file that cannot be written is told once, as an event, and hurts nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import EventBus, Subscription, block
from tinyagent_actors.events import Event, Gap, SubscriberFailedEvent, as_fact
from tinyagent_actors.tracing._line import Line, Recorder, join, line_of

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
    _processors: tuple[Any, ...] = attrs.field(default=(), repr=False)
    _line_logger: LineLogger | None = attrs.field(default=None, init=False, repr=False)
    _has_failed: bool = attrs.field(default=False, init=False)
    """Whether it was told that a processor fails."""
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
        record = self._recorder.record(event)
        record["event"] = event.type
        line = self._processed(record) if self._processors else line_of(record)
        if line is None:
            return
        self._lines.append(line)
        self._size += len(line.own) + len(line.messages)
        if self._size >= BUFFER_BYTES:
            self._flush()

    def _processed(self, record: dict[str, Any]) -> Line | None:
        """Give what the chain makes of a record; None if it drops it. A chain that fails is told, once, and the record stands as it was."""
        if self._line_logger is None:
            from tinyagent_actors.tracing._line_logger import LineLogger  # slow to import, and few need it

            self._line_logger = LineLogger(self._processors)
        try:
            return self._line_logger.line(dict(record))
        except Exception as error:  # noqa: BLE001  # a hook: what it raises must not cost a line
            if not self._has_failed:
                self._has_failed = True
                self._bus.publish(SubscriberFailedEvent, "/", subscriber="log processors", error=as_fact(error))
            return line_of(record)

    def _flush(self) -> None:
        data, self._lines, self._size = join(self._lines), [], 0
        try:
            while data and not self.is_broken:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            self.is_broken = True
            self._bus.publish(SubscriberFailedEvent, "/", subscriber=f"log {self.path}", error=as_fact(error))


def open_log(path: str | Path, bus: EventBus, *, processors: Iterable[Any] = ()) -> EventLog:
    """Open a log that appends to `path`; its `follow` must be run.

    Args:
        path: The file.
        bus: Whose events.
        processors: structlog's, run before the line is made; one that raises `structlog.DropEvent` leaves the line out. The members
            of messages are rendered already when they come to them.

    Raises:
        SpecError: The file cannot be opened for writing.
    """
    where = Path(path)
    try:
        file = FileIO(where, "ab")
    except OSError as error:
        raise SpecError("log", f"{where}: {error.strerror}") from error
    return EventLog(
        where, bus, file, bus.open_subscription("**", policy=block(CAPACITY), has_deltas=False), tuple(processors)
    )
