"""The bus: every event numbered and given out in order, whatever its readers do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests._kernel import settle, told
from tinyagent_actors import SpecError, SubscriberTooSlowError
from tinyagent_actors.actors import EventBus, Policy, block, conflate, path_matcher
from tinyagent_actors.events import (
    ActorStartedEvent,
    Gap,
    MessageUpdateEvent,
    SubscriberFailedEvent,
    TextDelta,
    ToolExecutionUpdateEvent,
)
from tinyagent_actors.messages import AgentToolResult


def start_events(bus: EventBus, count: int, path: str = "/a") -> None:
    for _ in range(count):
        bus.publish(ActorStartedEvent, path, incarnation=1)


def say(bus: EventBus, text: str, block_index: int = 0, path: str = "/a") -> int:
    return bus.publish(
        MessageUpdateEvent, path, assistant_message_event=TextDelta(content_index=block_index, text=text)
    )


def progress(bus: EventBus, *calls: str) -> None:
    for call in calls:
        bus.publish(
            ToolExecutionUpdateEvent, "/a", tool_call_id=call, tool_name="t", partial_result=AgentToolResult(content=[])
        )


async def test_only_what_matches_comes_and_in_order() -> None:
    """A pattern leaves holes in `seq`, and nothing else; who subscribes later gets nothing of before."""
    bus = EventBus()
    start_events(bus, 1)
    async with bus.subscribe("a") as a, bus.subscribe() as everything:
        start_events(bus, 1)
        start_events(bus, 1, "/b")
        start_events(bus, 1)
        bus.close()

        assert [event.seq async for event in a] == [2, 4]
        assert [event.seq async for event in everything] == [2, 3, 4]
    assert bus.events == 4
    assert not bus.wants_deltas("/a")


async def test_deltas_are_made_only_for_who_wants_them() -> None:
    """A reader of the rest gets none, and alone makes no producer make any; with another one beside it only that one gets them."""
    bus = EventBus()
    rest = bus.open_subscription("**", has_deltas=False)
    assert not bus.wants_deltas("/a")
    everything = bus.open_subscription("a")
    assert bus.wants_deltas("/a")
    assert not bus.wants_deltas("/b")
    say(bus, "one")
    start_events(bus, 1)
    bus.close()

    assert [event.seq async for event in rest] == [2]
    assert [event.seq async for event in everything] == [1, 2]


async def test_a_subscriber_that_is_cut_off_upsets_nobodys_order(autojump_clock: trio.testing.MockClock) -> None:
    """That it was too slow is an event like others: everybody else gets it after the one that was too much."""
    bus = EventBus()
    slow = bus.open_subscription("**", policy=block(1, stall=0))
    other = bus.open_subscription("**")
    start_events(bus, 2)
    await trio.sleep(1)
    start_events(bus, 2)

    assert [event.seq for event in told(other)] == [1, 2, 3, 4, 5]
    assert [event.seq for event in told(slow)] == [1, 2, 3]
    with pytest.raises(SubscriberTooSlowError):
        await slow.__anext__()


async def test_lifecycle_events_wait_for_nobody_and_crowd_out_a_reader_in_the_end() -> None:
    """A `block` buffer keeps all of them, up to 16 times its capacity; then its reader is cut off, and the others are told."""
    bus = EventBus()
    slow, other = bus.open_subscription("**", policy=block(2)), bus.open_subscription("**")
    start_events(bus, 32)
    assert told(other, SubscriberFailedEvent) == []

    start_events(bus, 1)
    (report,) = told(other, SubscriberFailedEvent)
    assert (report.path, report.subscriber) == ("/", "**")
    assert len(told(slow)) == 33


@pytest.mark.parametrize("is_rerouted", [False, True])
async def test_a_producer_of_deltas_waits_for_room(
    is_rerouted: bool,  # noqa: FBT001  # a parameter
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It goes on when the reader has read, also if subscriptions came and went in between."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=block(1))
    say(bus, "full")
    if is_rerouted:
        bus.close_subscription(bus.open_subscription("elsewhere"))

    async def read_later() -> None:
        await trio.sleep(2)
        await subscription.__anext__()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_later)
        await bus.make_room("/a")
        assert trio.current_time() - began == 2
    assert subscription.statistics() == {"depth": 0, "peak": 1, "capacity": 1, "waiting": 0}


async def test_a_reader_that_does_not_come_holds_a_producer_for_its_stall(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Then the reader is cut off, not the producer; it reads what it has, and is told."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=block(1, stall=3))
    say(bus, "full")
    began = trio.current_time()
    await bus.make_room("/a")

    assert trio.current_time() - began == 3
    assert (await subscription.__anext__()).seq == 1
    with pytest.raises(SubscriberTooSlowError):
        await subscription.__anext__()
    await bus.make_room("/a")


async def test_neighbouring_deltas_of_one_block_become_one() -> None:
    """`conflate`: their texts join, `first_seq` and `seq` say which they were; another block, or event, begins anew."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=conflate())
    for text in "abc":
        say(bus, text)
    say(bus, "other block", 1)
    say(bus, "again", 0)
    start_events(bus, 1)
    say(bus, "after it", 0)

    events = told(subscription)
    assert [(event.first_seq, event.seq) for event in events if isinstance(event, MessageUpdateEvent)] == [
        (1, 3),
        (4, 4),
        (5, 5),
        (7, 7),
    ]
    assert events[0].assistant_message_event == TextDelta(content_index=0, text="abc")
    assert [event.seq for event in events] == [3, 4, 5, 6, 7]


async def test_deltas_of_two_actors_do_not_keep_each_other_from_merging() -> None:
    """Neighbours are told by path."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=conflate())
    for text in "xy":
        say(bus, text, path="/a")
        say(bus, text, path="/b")

    assert [(event.path, event.assistant_message_event.text) for event in told(subscription)] == [
        ("/a", "xy"),
        ("/b", "xy"),
    ]


async def test_of_progress_the_latest_stays() -> None:
    """`conflate`: it stands for the first to the last of what one tool call told in a row; another call's is another."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=conflate())
    progress(bus, "1", "1", "2")

    assert [(event.tool_call_id, event.first_seq, event.seq) for event in told(subscription)] == [
        ("1", 1, 2),
        ("2", 3, 3),
    ]


async def test_what_exceeds_a_conflating_buffer_is_a_gap() -> None:
    """The oldest go; the gap in their place counts events, also those that were merged; the latest is never lost."""
    bus = EventBus()
    subscription = bus.open_subscription("**", policy=conflate(2))
    say(bus, "a")
    say(bus, "b")
    start_events(bus, 3)

    gap, *rest = told(subscription)
    assert gap == Gap(1, 3, 3)
    assert [event.seq for event in rest] == [4, 5]
    assert subscription.peak == 2

    progress(bus, "1", "1", "1")
    start_events(bus, 2)
    assert told(subscription)[0] == Gap(6, 8, 3)


async def test_a_cancelled_reader_loses_no_event() -> None:
    """T26: the pop comes after the wake-up: cancelled before it, the event stays; in the same tick, it is given out."""
    bus = EventBus()
    subscription = bus.open_subscription("**")
    got: list[int] = []

    async def read(scope: trio.CancelScope) -> None:
        with scope:
            event = await subscription.__anext__()
            got.append(event.seq)

    for is_late in (True, False):
        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, scope)
            await settle()
            if is_late:
                start_events(bus, 1)
            scope.cancel()
    start_events(bus, 1)

    assert got + [event.seq for event in told(subscription)] == [1, 2]


async def test_after_the_end_there_is_nothing() -> None:
    """A subscription that is opened after the bus was closed has ended; closing twice changes nothing."""
    bus = EventBus()
    bus.close()
    bus.close()
    async with bus.subscribe() as late:
        assert [event async for event in late] == []


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("**", {"/", "/a", "/a/b", "/a/b/c", "/ab"}),
        ("/", {"/"}),
        ("*", {"/a", "/ab"}),
        ("a", {"/a"}),
        ("/a/", {"/a"}),
        ("a*", {"/a", "/ab"}),
        ("a/*", {"/a/b"}),
        ("a/**", {"/a", "/a/b", "/a/b/c"}),
        ("**/b", {"/a/b"}),
        ("a/**/c", {"/a/b/c"}),
        ("a.*", set()),
    ],
)
def test_patterns(pattern: str, matched: set[str]) -> None:
    """`*` within one name, which is not empty; `**` for any number of names, also none; the rest is literal."""
    matches = path_matcher(pattern)

    assert {path for path in ("/", "/a", "/a/b", "/a/b/c", "/ab") if matches(path)} == matched


@pytest.mark.parametrize("pattern", ["a//b", "a**", "**b/c"])
def test_wrong_patterns_are_refused(pattern: str) -> None:
    """A segment that is empty, or mixes `**` with other characters."""
    with pytest.raises(SpecError) as caught:
        path_matcher(pattern)

    assert caught.value.field == "pattern"


@pytest.mark.parametrize("make", [lambda: block(0), lambda: block(stall=-1), lambda: conflate(0)])
def test_wrong_policies_are_refused(make: Callable[[], Policy]) -> None:
    """A buffer holds at least one event, and nobody is waited for less than no time."""
    with pytest.raises(SpecError) as caught:
        make()

    assert caught.value.field == "policy"
