"""LineLogger: structlog's chain of processors, for a log that takes the line back instead of a logger that writes it."""

from __future__ import annotations

from typing import Any

import structlog

from tinyagent_actors.tracing._line import Line, render


class LineLogger(structlog.BoundLoggerBase):
    """A wrapper class of structlog, as it offers them: one method, no levels, nothing bound.

    An event is whole and always logged, so what structlog's own wrapper does for each call (a filter, two copies of the members,
    the look-up of the logger's method) is half of what a line costs.
    """

    def __init__(self) -> None:
        super().__init__(None, [render], {})

    def line(self, name: str, record: dict[str, Any]) -> Line:
        """Give the line of a record."""
        (line,), _ = self._process_event("info", name, record)
        return line  # type: ignore[no-any-return]  # structlog knows not what the last processor gives
