"""What becomes of a subscription, of its reader and of its writers when one of them ends."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import settle
from tests.actors.test_bus import say, start_events
from tinyagent_actors.actors import EventBus, Policy, block, conflate


@pytest.mark.parametrize("policy", [block(8), conflate(8)])
async def test_what_lies_there_is_read_before_the_end(policy: Policy) -> None:
    """T27: the bus is closed by its last writer: each reader gets what was published before, then the end; later events go nowhere."""
    bus = EventBus()
    readers = [bus.open_subscription("**", policy=policy) for _ in range(2)]
    start_events(bus, 3)
    bus.close()
    start_events(bus, 1)

    assert [[event.seq async for event in reader] for reader in readers] == [[1, 2, 3]] * 2
    for reader in readers:
        with pytest.raises(StopAsyncIteration):
            await reader.__anext__()


async def test_a_reader_that_crashes_frees_whoever_waits_for_it(autojump_clock: trio.testing.MockClock) -> None:
    """T27: the block is left by an exception in the middle of reading: the writer goes on at once, not after the stall, and nobody is kept."""
    bus = EventBus()
    say(bus, "before")
    is_free: list[float] = []

    async def read(task_status: trio.TaskStatus[None]) -> None:
        async with bus.subscribe("**", policy=block(1, stall=60)) as events:
            task_status.started()
            await events.__anext__()
            await trio.sleep(3)
            raise LookupError

    async with trio.open_nursery() as nursery:

        async def crash(task_status: trio.TaskStatus[None]) -> None:
            with pytest.raises(LookupError):
                await read(task_status)

        await nursery.start(crash)
        say(bus, "read")
        await settle()
        say(bus, "never read")
        await bus.make_room("/a")
        is_free.append(trio.current_time())
        say(bus, "to nobody")

    assert is_free == [3]
    assert bus.subscriptions == ()


async def test_closing_ends_a_reader_that_waits(autojump_clock: trio.testing.MockClock) -> None:
    """T27: it is closed while another task iterates: that iteration ends, in order and without an error."""
    bus = EventBus()
    subscription = bus.open_subscription("**")
    seen: list[int] = []

    async def read() -> None:
        seen.extend([event.seq async for event in subscription])

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            start_events(bus, 1)
            await settle()
            bus.close_subscription(subscription)

    assert seen == [1]


async def test_every_subscription_is_closed_when_its_task_is_cancelled() -> None:
    """T27: of tasks that are cancelled while they read, none leaves a subscription at the bus."""
    bus = EventBus()

    async def read() -> None:
        async with bus.subscribe("**") as events:
            async for _ in events:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(read)
        await settle()
        assert len(bus.subscriptions) == 50
        nursery.cancel_scope.cancel()

    assert bus.subscriptions == ()
    start_events(bus, 1)
    assert bus.events == 1
