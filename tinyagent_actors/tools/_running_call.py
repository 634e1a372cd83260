"""RunningCall: one call, as the way in which it runs sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from tinyagent_actors.actors import LeftoverKind, Runtime
from tinyagent_actors.tools._context import ToolContext

if TYPE_CHECKING:
    from tinyagent_actors.tools._tool import Tool


@attrs.define(eq=False)
class RunningCall:
    """What an `Isolation` is given."""

    tool: Tool
    arguments: Mapping[str, Any] = attrs.field(repr=False)
    """Validated, in the types of the signature."""
    ctx: ToolContext = attrs.field(repr=False)
    runtime: Runtime = attrs.field(repr=False)
    tell: Callable[[object], Awaitable[None]] = attrs.field(repr=False)
    """Publishes progress, and waits for room where a subscriber needs it; `ctx.report` never waits, and may leave some out."""
    _on_late_end: Callable[[], None] = attrs.field(repr=False)
    _left: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """What it is called among the leftovers."""
        return f"tool {self.tool.name} of {self.ctx.path}"

    @property
    def is_left(self) -> bool:
        """Whether something of it still runs though the call has its outcome."""
        return self._left > 0

    def leave(self, kind: LeftoverKind) -> Callable[[], None]:
        """Enter what this call runs among the leftovers, because it cannot be ended. The call's locks stay held.

        Returns:
            To be called in the loop when it has ended after all: takes it out, and tells of the late completion.
        """
        token = self.runtime.leftovers.add(kind, self.name)
        self._left += 1

        def ended() -> None:
            self.runtime.leftovers.remove(token)
            self._left -= 1
            if not self._left:
                self._on_late_end()

        return ended
