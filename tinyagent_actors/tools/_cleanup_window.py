"""CleanupWindow: time for a cancelled tool to clean up with awaits, without a scope of its own.

Trio cancels by level: in a cancelled scope every await raises, also those in ``except trio.Cancelled:`` and ``finally:``. A tool
that does not shield its cleanup (most do not: ``__aexit__`` of somebody else's client, say) has none. Here a tool hears of its
cancel once; while it handles that, its awaits work, until the runner closes the window.

The design. The tool runs in a second scope inside the cancelled one, and what drives its coroutine (`_Steps`) sees each `Cancelled`
on its way in. At the tool's next await it looks whether that exception is still alive, and shields the second scope exactly
as long as it is. An exception lives while a handler or a ``finally`` deals with it, or what was raised meanwhile has it as its
context; it dies when somebody swallows it. So the window is open in the cleanup and nowhere else: a tool that swallows its
cancel and goes on is cancelled again at its next await, as Trio would. To see the death at once, what goes in is a copy, which
nobody but the tool holds. The shield is set at an await, not before: until then the scopes that the exception passes see
their parent cancelled, and let it pass.

A nursery of the tool's own. While one is open in the tool's task there is no window: a nursery whose children fail cancels
itself, and behind a shield it would take the `Cancelled` for its own and end as if all had been done. There Trio's level rules, and the
tool shields its cleanup itself. Nurseries that the cleanup opens work.

Refused: a shield for all that is left of the tool (one that swallows its cancel would run on, unharmed, for the whole grace),
and a function to be called by tools (the code that needs it most is not theirs).
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Coroutine, Generator
from types import FrameType
from typing import Any, TypeVar

import attrs
import outcome
import trio

from tinyagent_actors.actors import ClockScope

ResultT = TypeVar("ResultT")


@attrs.define(eq=False)
class CleanupWindow:
    """The window of one call; closed until it is cancelled, and for good when its time is over."""

    outer: ClockScope
    """The one that cancels the call."""
    was_told: bool = attrs.field(default=False, init=False)
    """Whether the tool has dealt with the cancel: what it returned then is not what it was to do."""
    _inner: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _in_hand: weakref.ref[BaseException] | None = attrs.field(default=None, init=False)
    """The `Cancelled` that the tool deals with, as long as it does."""
    _has_news: bool = attrs.field(default=False, init=False)
    """Whether a `Cancelled` went in since the tool's latest await."""
    _is_over: bool = attrs.field(default=False, init=False)

    async def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run the tool inside `outer`. Cancelled, it may clean up with awaits until `close`."""
        with self._inner:
            result = await _Steps(coroutine, self)
            self.was_told |= self._has_news
            return result
        message = "nobody cancels the inner scope"
        raise AssertionError(message)

    def close(self) -> None:
        """End the time for cleanup: a tool that still awaits something is cancelled again."""
        self._is_over = True
        self._inner.shield = False

    def on_way_in(self, value: outcome.Outcome[Any] | None) -> outcome.Outcome[Any] | None:
        """Look at what the tool is about to get; a `Cancelled` that may be the call's is replaced by a copy."""
        if not isinstance(value, outcome.Error) or not isinstance(value.error, trio.Cancelled):
            return value
        if self._is_over or not self.outer.cancel_called:
            return value
        self._has_news = True
        told = copy.copy(value.error)
        if not self._is_handling and not trio.lowlevel.current_task().child_nurseries:
            self._in_hand = weakref.ref(told)
        return outcome.Error(told)

    def on_await(self) -> None:
        """Open or close, now that the tool is about to wait."""
        if self._in_hand is not None and not self._is_over:
            self._inner.shield = self._is_handling
            self.was_told |= self._is_handling
        self._has_news = False

    @property
    def _is_handling(self) -> bool:
        return self._in_hand is not None and self._in_hand() is not None


@attrs.define(eq=False)
class _Steps(Generator[Any, Any, ResultT]):
    """Drives a coroutine step by step. Trio's walk over a task's frames goes on through it."""

    _coroutine: Coroutine[Any, Any, ResultT]
    _window: CleanupWindow

    def __await__(self) -> Generator[Any, Any, ResultT]:
        return self

    def send(self, value: Any) -> Any:
        # Nothing here may keep what is sent: the window watches for its death.
        steps = [self._window.on_way_in(value)]
        del value
        trap = self._coroutine.send(steps.pop())
        self._window.on_await()
        return trap

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    @property
    def cr_frame(self) -> FrameType | None:
        return getattr(self._coroutine, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        return getattr(self._coroutine, "cr_await", None)
