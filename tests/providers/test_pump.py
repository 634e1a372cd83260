"""The pump, over a hub made of a queue: the real one is in the tests that run on the native engine."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio

from tinyagent_actors.actors import current_runtime
from tinyagent_actors.providers._items import END, ERROR, TEXT, Item
from tinyagent_actors.providers._native_engine import NativeSource
from tinyagent_actors.providers._pump import Pump


@attrs.define(eq=False)
class QueueHub:
    """A hub whose batches the test makes."""

    batches: queue.Queue[Any] = attrs.field(factory=queue.Queue)
    released: list[tuple[int, int, int]] = attrs.field(factory=list)
    ended: list[int] = attrs.field(factory=list)
    aborted: list[int] = attrs.field(factory=list)
    threads: set[int] = attrs.field(factory=set)

    def put(self, batch: Any) -> None:
        """Have a batch ready."""
        self.batches.put(batch)

    def fileno(self) -> int | None:
        """There is nothing to poll."""
        return None

    def next_batch(self, timeout: float) -> list[tuple[int, list[Item], int, int]] | None:
        """Block until the test has put a batch; an exception is raised."""
        self.threads.add(threading.get_ident())
        batch = self.batches.get(timeout=30)
        if isinstance(batch, Exception):
            raise batch
        return batch  # type: ignore[no-any-return]  # whatever the test has put

    def release(self, stream: int, events: int, size: int) -> None:
        """Note the credit."""
        self.released.append((stream, events, size))

    def end(self, stream: int) -> None:
        """Note the end, and say the last item."""
        self.ended.append(stream)
        self.put([(stream, [(ERROR, ("truncated", "cut"))], 1, 3)])

    def abort(self, stream: int) -> None:
        """Note the abort."""
        self.aborted.append(stream)

    def statistics(self) -> dict[str, int]:
        """Nothing to count."""
        return {}

    def close(self) -> None:
        """Wake the thread for the last time."""
        self.put(None)


@attrs.define(eq=False)
class BellHub(QueueHub):
    """A hub that is polled: its descriptor is readable while there are batches."""

    ends: tuple[socket.socket, socket.socket] = attrs.field(factory=socket.socketpair)

    def put(self, batch: Any) -> None:
        """Have a batch ready, and ring."""
        self.batches.put(batch)
        self.ends[1].send(b"!")

    def fileno(self) -> int | None:
        """The end of whoever waits."""
        return self.ends[0].fileno()

    def next_batch(self, timeout: float) -> list[tuple[int, list[Item], int, int]] | None:
        """Nobody blocks where polling can be done."""
        raise AssertionError

    def poll_batch(self) -> list[tuple[int, list[Item], int, int]] | None:
        """Give the batch that was rung for."""
        self.ends[0].recv(1)
        return super().next_batch(0)


@pytest.fixture(params=[QueueHub, BellHub])
def hub(request: pytest.FixtureRequest) -> Iterator[QueueHub]:
    """A hub to feed."""
    made: QueueHub = request.param()
    yield made
    if isinstance(made, BellHub):
        for end in made.ends:
            end.close()


def make_pump(hub: QueueHub) -> Pump:
    """Give a pump of this run over that hub."""
    return Pump(hub, current_runtime())  # type: ignore[arg-type]  # what the pump uses of it


def open_source(pump: Pump, stream: int) -> NativeSource:
    """Give the source of a stream that was just opened."""
    return NativeSource(pump, stream, pump.attach(stream))


async def test_entries_reach_their_streams_and_credit_goes_back_when_they_are_taken(hub: QueueHub) -> None:
    """One batch serves many streams; what was not taken keeps its credit."""
    pump = make_pump(hub)
    one, two = open_source(pump, 1), open_source(pump, 2)
    hub.put([(1, [(TEXT, "a")], 1, 1), (2, [(TEXT, "b"), (TEXT, "c")], 2, 2)])

    assert await one.receive() == [(TEXT, "a")]
    assert hub.released == [(1, 1, 1)]
    assert await two.receive() == [(TEXT, "b"), (TEXT, "c")]
    assert hub.released == [(1, 1, 1), (2, 2, 2)]
    await pump.aclose()


async def test_entries_that_pile_up_are_taken_at_once(hub: QueueHub) -> None:
    """A slow reader gets all that lies there, and gives all of its credit back."""
    pump = make_pump(hub)
    slow, other = open_source(pump, 1), open_source(pump, 2)
    hub.put([(1, [(TEXT, "a")], 1, 1)])
    hub.put([(1, [(TEXT, "b")], 1, 1)])
    hub.put([(2, [(END, None)], 0, 0)])
    await other.receive()

    assert await slow.receive() == [(TEXT, "a"), (TEXT, "b")]
    assert hub.released == [(1, 2, 2)]
    await pump.aclose()


async def test_one_thread_for_all_streams(hub: QueueHub) -> None:
    """However many streams: at most one hop is under way."""
    pump = make_pump(hub)
    sources = [open_source(pump, number) for number in range(100)]
    for number in range(100):
        hub.put([(number, [(TEXT, "a")], 1, 1)])
    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(source.receive)

    assert pump._limiter.total_tokens == 1
    await pump.aclose()


async def test_the_last_item_needs_no_credit_and_no_abort(hub: QueueHub) -> None:
    """A stream that ended is forgotten; closing it does nothing more."""
    pump = make_pump(hub)
    source = open_source(pump, 1)
    hub.put([(1, [(TEXT, "a"), (END, None)], 1, 1)])

    assert await source.receive() == [(TEXT, "a"), (END, None)]
    await source.aclose()
    assert (hub.released, hub.aborted, pump.statistics()["inboxes"]) == ([], [], 0)
    await pump.aclose()


async def test_closing_early_aborts(hub: QueueHub) -> None:
    """The hub drops the stream, and what still comes for it is dropped too."""
    pump = make_pump(hub)
    source, other = open_source(pump, 1), open_source(pump, 2)
    await source.aclose()
    await source.aclose()
    hub.put([(1, [(TEXT, "late")], 1, 4), (2, [(END, None)], 0, 0)])
    await other.receive()

    assert hub.aborted == [1]
    await pump.aclose()


async def test_finish_gives_what_the_hub_still_says(hub: QueueHub) -> None:
    """After a deadline the stream is ended, and its last items are waited for."""
    pump = make_pump(hub)
    source = open_source(pump, 1)

    assert await source.finish("too late") == [(ERROR, ("truncated", "cut"))]
    assert hub.ended == [1]
    await pump.aclose()


async def test_a_cancelled_reader_loses_nothing(hub: QueueHub) -> None:
    """The entry that comes later is there for the next read."""
    pump = make_pump(hub)
    source = open_source(pump, 1)
    with trio.move_on_after(0.01) as scope:
        await source.receive()
    hub.put([(1, [(TEXT, "a")], 1, 1)])

    assert scope.cancelled_caught
    assert await source.receive() == [(TEXT, "a")]
    await pump.aclose()


async def test_closing_the_pump_tells_its_readers(hub: QueueHub) -> None:
    """Streams that are open get an error as their last item; so do streams opened after it."""
    pump = make_pump(hub)
    waiting, ended = open_source(pump, 1), open_source(pump, 2)
    hub.put([(2, [(END, None)], 0, 0)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect_error, waiting, "closed")
        await trio.testing.wait_all_tasks_blocked(0.02)
        await pump.aclose()

    assert await ended.receive() == [(END, None)]
    await _expect_error(open_source(pump, 3), "closed")


async def test_a_hub_that_fails_tells_its_readers(hub: QueueHub) -> None:
    """An exception of the engine is an error of every stream, and not of the program."""
    pump = make_pump(hub)
    source = open_source(pump, 1)
    hub.put(RuntimeError("the runtime is gone"))

    await _expect_error(source, "the runtime is gone")
    await pump.aclose()


async def _expect_error(source: NativeSource, words: str) -> None:
    ((kind, (code, text)),) = await source.receive()
    assert (kind, code) == (ERROR, "connection_error")
    assert words in text


async def test_cancelling_everybody_does_not_end_the_pump(hub: QueueHub) -> None:
    """The pump belongs to the run, not to the reader that happened to start it."""
    pump = make_pump(hub)
    with trio.CancelScope() as scope:
        first = open_source(pump, 1)
        scope.cancel()
        await first.receive()
    second = open_source(pump, 2)
    hub.put([(2, [(END, None)], 0, 0)])

    assert await second.receive() == [(END, None)]
    await pump.aclose()


def test_the_end_of_a_run_closes_the_hub(hub: QueueHub) -> None:
    """A pump that nobody closed ends with its `trio.run`, and so does its thread."""

    async def main() -> None:
        pump = current_runtime().resource(Pump, lambda runtime: Pump(hub, runtime))  # type: ignore[arg-type]
        source = open_source(pump, 1)
        hub.put([(1, [(TEXT, "a")], 1, 1)])
        await source.receive()

    trio.run(main)

    assert hub.batches.empty()
