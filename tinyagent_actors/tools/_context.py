"""ToolContext: what a tool may know of the call it serves."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tinyagent_actors.tools._signal import Signal


@attrs.define(eq=False)
class ToolContext:
    """Given to a parameter named `ctx` that is annotated with this class."""

    tool_call_id: str
    path: str
    """The agent's."""
    run: int
    turn: int
    signal: Signal
    _report: Callable[[object], None]
    _keep: Callable[[Callable[[], object]], None]

    def report(self, progress: object) -> None:
        """Tell progress: whatever a tool may return. Never waits."""
        self._report(progress)

    def keep(self, partial: Callable[[], object]) -> None:
        """Say what gives the work that is done so far: it is asked if a deadline or a cancel ends the call.

        The model reads it after the sentence that says how the call ended. The last one that was given counts.

        Args:
            partial: A plain function; it gives whatever a tool may return.
        """
        self._keep(partial)
