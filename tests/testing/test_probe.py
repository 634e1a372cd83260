"""The probe: what came, what did not, and what is said about it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests._kernel import settle, start
from tinyagent_actors import Down, open_system, supervisor
from tinyagent_actors.testing import Probe


async def test_it_gives_the_messages_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """By class, by predicate, by value; all of them stay in `messages`."""
    probe = Probe()
    async with open_system() as system:
        await system.start_child(probe)
        for message in (1, "two", None):
            await probe.ref.tell(message)

        assert await probe.expect(int) == 1
        assert await probe.expect(lambda message: message.startswith("t")) == "two"
        assert await probe.expect(None) is None
    assert probe.messages == (1, "two", None)


async def test_it_waits_for_what_comes_later(autojump_clock: trio.testing.MockClock) -> None:
    """As long as its patience, which is on Trio's clock."""
    probe = Probe(patience=10)
    async with open_system() as system:
        await system.start_child(probe)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe.expect, "late")
            await trio.sleep(9)
            await probe.ref.tell("late")

        with pytest.raises(AssertionError, match="expected 'later', but nothing came within 10 s; before it: 'late'"):
            await probe.expect("later")
        assert trio.current_time() == 19


async def test_another_message_is_a_failure_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """It says what was wanted, what came, and what stands around it; the message stays unread."""
    probe = Probe("ear")
    async with open_system() as system:
        await system.start_child(probe)
        for message in (1, 2, 3):
            await probe.ref.tell(message)
        await settle()
        await probe.expect(1)
        with pytest.raises(AssertionError) as caught:
            await probe.expect(str)

        assert str(caught.value) == "the probe 'ear' expected an instance of str, but 2 came; before it: 1; after it: 3"
        assert trio.current_time() == 0
        assert await probe.expect(2) == 2


def is_big(message: object) -> bool:
    return isinstance(message, int) and message > 10


async def test_a_predicate_is_named(autojump_clock: trio.testing.MockClock) -> None:
    """By its name; a long message is cut."""
    probe = Probe()
    async with open_system() as system:
        await system.start_child(probe)
        await probe.ref.tell("x" * 1000)
        with pytest.raises(AssertionError, match=r"what is_big accepts, but 'x{199}\.\.\. came"):
            await probe.expect(is_big)


async def test_nothing_is_to_come(autojump_clock: trio.testing.MockClock) -> None:
    """It waits that long; what lies unread, or comes, is told with the time it took."""
    probe = Probe()
    async with open_system() as system:
        await system.start_child(probe)
        await probe.expect_nothing(60)
        assert trio.current_time() == 60

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 7)

            async def speak() -> None:
                await trio.sleep(5)
                await probe.ref.tell("boo")

            nursery.start_soon(speak)
            with pytest.raises(AssertionError, match="expected nothing, but after 5 s 'boo' came"):
                await probe.expect_nothing(60)
        with pytest.raises(AssertionError, match="after 0 s 'boo' came"):
            await probe.expect_nothing(60)


async def test_it_answers(autojump_clock: trio.testing.MockClock) -> None:
    """The ask that was expected last; a tell has no answer."""
    probe = Probe()
    answers: list[object] = []

    async def ask(message: object) -> None:
        answers.append(await probe.ref.ask(message))

    async with open_system() as system:
        await system.start_child(probe)
        with pytest.raises(RuntimeError, match="no ask to answer"):
            probe.reply("too early")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "first")
            await probe.expect("first")
            nursery.start_soon(ask, "second")
            await settle()
            probe.reply(1)
            await probe.expect("second")
            probe.reply(2)
        await probe.ref.tell("told")
        await probe.expect("told")
        with pytest.raises(RuntimeError, match="no ask to answer"):
            probe.reply(3)

    assert answers == [1, 2]


async def test_it_monitors(autojump_clock: trio.testing.MockClock) -> None:
    """The end of another actor comes to it as a `Down`."""
    probe = Probe()
    async with open_system() as system:
        await system.start_child(probe)
        ref = await start(system)
        monitor = probe.monitor(ref)
        await ref.stop()
        down = await probe.expect(Down)

        assert (down.ref, down.exit.reason, down.monitor) == (ref, "shutdown", monitor)


async def test_it_is_a_child_like_others(autojump_clock: trio.testing.MockClock) -> None:
    """A static one too; restarted, it goes on recording; not started, it has no ref."""
    probe = Probe("ear")
    with pytest.raises(RuntimeError, match="start_child"):
        _ = probe.ref
    async with open_system() as system:
        await system.start_child(supervisor("team", children=[probe]))
        await probe.ref.tell(1)
        await probe.expect(1)
        first = probe.ref
        first.kill()
        await first.wait_stopped()
        await first.tell(2)
        await probe.expect(2)

        assert (probe.ref.path, probe.ref.incarnation) == ("/team/ear", 2)
        assert probe.messages == (1, 2)
