"""Standard input as lines and as keys, over a pseudo-terminal."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest
import trio

from tinyagent_actors.cli._terminal import Terminal

Ends = tuple[int, Terminal]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Whoever types, and the terminal."""
    typing, shown = pty.openpty()
    yield typing, Terminal(shown)
    os.close(typing)
    os.close(shown)


async def type_during_a_turn(ends: Ends, text: bytes) -> None:
    """Have keys come in at the end of a turn, when nobody reads any more of them."""
    typing, terminal = ends
    with terminal.keys():
        os.write(typing, text)
        with trio.fail_after(20):
            await trio.lowlevel.wait_readable(terminal.fd)


async def test_the_last_key_of_a_turn_may_be_the_end(ends: Ends) -> None:
    """Ctrl-D that came too late to be a key of the turn, and too early for the terminal to make an end of it."""
    await type_during_a_turn(ends, b"\x04")

    with trio.fail_after(20):
        assert await ends[1].read_line() is None


async def test_keys_that_were_left_of_a_turn_are_of_the_next_line(ends: Ends) -> None:
    """They are not lost; an end among them means nothing in the middle of a line, and the lines before it count."""
    await type_during_a_turn(ends, b"on\x04e\ntwo\n\x04three\n")

    with trio.fail_after(20):
        assert [await ends[1].read_line() for _ in range(3)] == ["one", "two", None]
