"""LineLogger: structlog's chain of processors, for a log that takes the line back instead of a logger that writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog

from tinyagent_actors.tracing._line import Line, render


class LineLogger(structlog.BoundLoggerBase):
    """A wrapper class of structlog, as it offers them: one method, no levels, nothing bound."""

    def __init__(self, processors: Iterable[Any]) -> None:
        super().__init__(None, [*processors, render], {})

    def line(self, record: dict[str, Any]) -> Line | None:
        """Give the line of a record; None if a processor drops it."""
        try:
            (line,), _ = self._process_event("info", None, record)
        except structlog.DropEvent:
            return None
        return line  # type: ignore[no-any-return]  # structlog knows not what the last processor gives
