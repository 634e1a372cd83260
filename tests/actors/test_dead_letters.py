"""Dead letters: all counted, few told, nothing kept."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._kernel import told
from tinyagent_actors import DeadLetterEvent
from tinyagent_actors.actors import DeadLetters, EventBus


def office() -> tuple[DeadLetters, EventBus]:
    bus = EventBus()
    return DeadLetters(bus), bus


async def test_a_letter_is_an_event() -> None:
    """S67: to whom, of what type, why, and because of which event; never the message itself."""
    letters, bus = office()
    async with bus.subscribe() as events:
        letters.add("/a", "secret", "stopped", cause=7)
        (event,) = told(events)

    assert (event.path, event.message_type, event.reason, event.cause, event.count) == ("/a", "str", "stopped", 7, 1)
    assert "secret" not in repr(event)


async def test_ten_a_second_are_told_of_one_target(autojump_clock: trio.testing.MockClock) -> None:
    """S67: the others are counted and told with the next; another target has its own ten."""
    letters, bus = office()
    async with bus.subscribe() as events:
        for _ in range(100):
            letters.add("/a", None, "stopped")
        letters.add("/b", None, "stopped")
        await trio.sleep(1)
        letters.add("/a", None, "stopped")
        counts = [(event.path, event.count) for event in told(events)]

    assert letters.count == 102
    assert counts == [*[("/a", 1)] * 10, ("/b", 1), ("/a", 91)]


async def test_the_end_of_the_system_tells_the_rest() -> None:
    """S67: what was counted and not told; once."""
    letters, bus = office()
    async with bus.subscribe() as events:
        for _ in range(15):
            letters.add("/a", None, "stopped")
        told(events)
        letters.flush()
        letters.flush()

        assert [(event.message_type, event.count) for event in told(events)] == [("(several)", 5)]


async def test_the_number_of_targets_is_bounded() -> None:
    """S67: a million short-lived actors leave no pile; what was not told of them is told first."""
    letters, bus = office()
    for number in range(25_000):
        letters.add(f"/{number}", None, "stopped")

    assert len(letters._targets) <= 10_000
    assert bus.events == letters.count == 25_000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 0.5), max_size=80))
def test_no_second_has_more_than_ten(pauses: list[float]) -> None:
    """S67: whichever second one looks at; and the counts that were told add up to all."""

    async def main() -> None:
        letters, bus = office()
        async with bus.subscribe() as events:
            for pause in pauses:
                await trio.sleep(pause)
                letters.add("/a", None, "stopped")
            letters.flush()
            found = told(events, DeadLetterEvent)
        times = [event.monotonic_time for event in found if event.message_type != "(several)"]
        for place, time in enumerate(times):
            assert sum(time - 1 < earlier <= time for earlier in times[: place + 1]) <= 10
        assert sum(event.count for event in found) == letters.count == len(pauses)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
