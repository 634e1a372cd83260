"""Streams in the shape of stream functions: awaited, then iterated, without a block around them."""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from types import TracebackType
from typing import Protocol, Self, final

import attrs
import trio

from tinyagent_actors.events import Partial, StreamEvent
from tinyagent_actors.messages import AssistantMessage
from tinyagent_actors.providers._seed_event import AssistantMessageEvent, last_seed_event, to_seed_event
from tinyagent_actors.providers._stream import ProviderStream


class Signal(Protocol):
    """Says that work is no longer wanted, such as a `trio.Event`."""

    def is_set(self) -> bool:
        """Whether it is so."""

    async def wait(self) -> None:
        """Wait until it is so."""


@attrs.frozen
class SimpleStreamOptions:
    """The options of stream functions."""

    api_key: str | None = attrs.field(default=None, repr=False)
    """None: from the environment, by provider."""
    temperature: float | None = None
    max_tokens: int | None = None
    signal: Signal | None = None
    """Ends the stream as `aborted` once it is set."""


@final
@attrs.define(eq=False, repr=False, slots=False)
class SeedStream:
    """What a stream function gives: iterate it, or await `result()`.

    The last event is ``done`` or ``error``. Nothing needs closing after it. A stream that is left before should be closed
    with `aclose` (or stand in an ``async with``); one that is forgotten is closed when it is collected.
    """

    provider_stream: ProviderStream
    """The stream under it, with our own events."""
    _base: AssistantMessage
    """Who answers, for the partial messages."""
    _signal: Signal | None = None
    _log: list[StreamEvent] = attrs.field(factory=list, init=False)
    _ready: deque[AssistantMessageEvent] = attrs.field(factory=deque, init=False)
    _message: AssistantMessage | None = attrs.field(default=None, init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        token = trio.lowlevel.current_trio_token()
        self._forgotten = weakref.finalize(self, _close_later, token, self.provider_stream)
        self._forgotten.atexit = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AssistantMessageEvent:
        """Give the next event. Cancelling leaves the stream to be closed."""
        if not self._ready:
            await self._fill()
            if not self._ready:
                raise StopAsyncIteration
        return self._ready.popleft()

    async def result(self) -> AssistantMessage:
        """Give the message, reading to the end if that was not done; it is the one in the last event."""
        while not self._is_over:
            self._ready.clear()
            await self._fill()
        return self.provider_stream.message if self._message is None else self._message

    async def aclose(self) -> None:
        """End the stream; its socket is closed, or given back after a proper end. Events not read are dropped."""
        self._ready.clear()
        await self._close()

    async def _close(self) -> None:
        self._is_over = True
        self._forgotten.detach()
        await self.provider_stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _fill(self) -> None:
        """Read the next events, if there are any to come."""
        if self._is_over:
            return
        is_wanted, events = await self._next_events()
        for event in events:
            self._log.append(event)
            self._ready.append(to_seed_event(event, Partial(self._log, len(self._log), self._base)))
        if not is_wanted:
            self._message = self.provider_stream.message
            self._ready.append(last_seed_event(self._message, Partial(self._log, len(self._log), self._base)))
        if not is_wanted or self.provider_stream.is_over:
            await self._close()

    async def _next_events(self) -> tuple[bool, list[StreamEvent]]:
        """Give the next events, and whether they are still wanted."""
        signal = self._signal
        if signal is None:
            return True, await self.provider_stream.next_events()
        events: list[StreamEvent] = []
        if not signal.is_set():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, signal, nursery.cancel_scope)
                events = await self.provider_stream.next_events()
                nursery.cancel_scope.cancel()
        return bool(events) or not signal.is_set(), events


async def _cancel_when(signal: Signal, scope: trio.CancelScope) -> None:
    await signal.wait()
    scope.cancel()


def _close_later(token: trio.lowlevel.TrioToken, stream: ProviderStream) -> None:
    with contextlib.suppress(trio.RunFinishedError):
        token.run_sync_soon(_start_closing, stream)


def _start_closing(stream: ProviderStream) -> None:
    trio.lowlevel.spawn_system_task(stream.aclose, name="tinyagent_actors: close a forgotten stream")
