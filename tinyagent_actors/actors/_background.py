"""Background: tasks that an actor starts beside its handling of messages, and whose results come to it as messages.

They run where the actor itself runs, in its supervisor's nursery, each in a scope of its own. The actor's incarnation does
not end before they have: when its body has ended, or its scope is cancelled, they are cancelled, and its end is told when they are
gone. So none outlives it, and nobody is told of an end that is not one. What one raises is a result, and touches nobody
else; a `KeyboardInterrupt` or `SystemExit` is nobody's result: it stops the system.

A background task is not the handler. It stands at a place of its own (`Beside`), so that what it asks records no wait-for
edge: the actor goes on reading, it does not wait for that answer, and no circle closes through it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import attrs
import outcome
import trio

from tinyagent_actors.actors._cancelled import is_cancelled, split_cancelled
from tinyagent_actors.actors._clock import current_clock
from tinyagent_actors.actors._exit import fatal_leaf
from tinyagent_actors.actors._runtime import Runtime, current_place

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._exit import CancelCause
    from tinyagent_actors.actors._own_lane import OwnLane

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


@attrs.frozen
class PipedValue(Generic[ResultT_co]):
    """Comes out of `ctx.messages()`: a function given to `ctx.pipe_to_self` has returned."""

    value: ResultT_co


@attrs.frozen
class PipedFailure:
    """Comes out of `ctx.messages()`: a function given to `ctx.pipe_to_self` has raised."""

    error: BaseException


Piped: TypeAlias = "PipedValue[ResultT] | PipedFailure"
OnDone: TypeAlias = Callable[["Piped[ResultT]"], Any]


@attrs.frozen(eq=False)
class Beside:
    """The place of a background task: at its actor, but not in its handler."""

    cell: Cell
    event: int | None
    """`seq` of the event that led to the task."""

    @property
    def runtime(self) -> Runtime:
        """The shared parts of its system."""
        return self.cell.runtime


@attrs.define(eq=False)
class Background:
    """The background tasks of one incarnation."""

    _cell: Cell = attrs.field(repr=False)
    _lane: OwnLane = attrs.field(repr=False)
    _scopes: set[trio.CancelScope] = attrs.field(factory=set, init=False, repr=False)
    """One for each task that has not ended."""
    _ended: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)
    _is_closing: bool = attrs.field(default=False, init=False, repr=False)

    def start(
        self, async_fn: Callable[..., Awaitable[Any]], args: tuple[object, ...], on_done: OnDone[Any] | None
    ) -> None:
        """Start a task.

        Raises:
            RuntimeError: The actor has ended, or is ending.
        """
        cell = self._cell
        if self._is_closing or cell.exit is not None or cell.nursery is None:
            message = f"{cell.path} has ended and starts no background task"
            raise RuntimeError(message)
        scope = trio.CancelScope()
        self._scopes.add(scope)
        name = f"{cell.path}: {getattr(async_fn, '__qualname__', repr(async_fn))}"
        cell.nursery.start_soon(
            self._run, scope, Beside(cell, cell.event), functools.partial(async_fn, *args), on_done, name=name
        )

    @trio.lowlevel.enable_ki_protection
    async def _run(
        self, scope: trio.CancelScope, place: Beside, work: Callable[[], Awaitable[Any]], on_done: OnDone[Any] | None
    ) -> None:
        current_place.set(place)
        current_clock.set(None)
        result: Piped[Any] | None = None
        try:
            with scope:
                result = PipedValue(await _run_unprotected(work))
        except GeneratorExit:
            raise
        except BaseException as raised:  # noqa: BLE001  # a boundary, as that of an actor: every end is a result
            cancelled, error = split_cancelled(raised)
            if cancelled is not None and not is_cancelled(trio.lowlevel.current_task()):
                cancelled, error = None, raised  # one that was kept and raised again
            if error is not None:
                result = self._failure(error)
            if cancelled is not None:
                raise cancelled from None
        finally:
            if trio.lowlevel.in_trio_task():
                self._scopes.discard(scope)
                self._ended.unpark_all()
                if result is not None:
                    self._hand_over(result, on_done, place.event)

    def _failure(self, error: BaseException) -> PipedFailure | None:
        fatal = fatal_leaf(error)
        if fatal is None:
            return PipedFailure(error)
        self._cell.runtime.fail_fatally(fatal)
        return None

    def _hand_over(self, result: Piped[Any], on_done: OnDone[Any] | None, cause: int | None) -> None:
        if self._is_closing or self._cell.exit is not None:
            return
        make = functools.partial(on_done, result) if on_done is not None else outcome.Value(result).unwrap
        self._lane.results.append((make, cause))
        self._lane.wake()

    def cancel(self, cause: CancelCause | None) -> None:
        """Cancel every task, and start none any more."""
        self._is_closing = True
        for scope in self._scopes:
            scope.cancel(reason="its actor has ended" if cause is None else f"{cause.source} by {cause.by}")

    async def close(self) -> None:
        """Cancel every task, and wait until they are gone, even under cancellation."""
        self.cancel(None)
        with trio.CancelScope(shield=True):
            while self._scopes:
                await self._ended.park()


@trio.lowlevel.disable_ki_protection
async def _run_unprotected(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
