"""What is measured: agents, streams and their cancellation, on the engines of the package."""

from __future__ import annotations

from typing import Any

import trio

from benchmarks._child import run_timed
from tinyagent_actors import (
    AgentSpec,
    Context,
    Model,
    StreamOptions,
    System,
    UserMessage,
    open_stream,
    open_system,
    tool,
)
from tinyagent_actors.messages import Message


@tool
async def count_words(text: str) -> int:
    """Count.

    Args:
        text: What to count.
    """
    return len(text)


@tool
async def count_letters(text: str) -> int:
    """Count.

    Args:
        text: What to count.
    """
    return len(text)


TOOLS = (count_words, count_letters)


def make_model(base_url: str) -> Model:
    """Give the model at an endpoint."""
    return Model("bench", provider="custom", base_url=base_url)


async def ask_once(system: System, name: str, base_url: str, engine: Any) -> None:
    """Start an agent as an actor in the tree, ask it, stop it: 2 model calls, 2 parallel tools."""
    spec = AgentSpec(
        name,
        model=make_model(base_url),
        system_prompt="Be brief.",
        tools=list(TOOLS),
        options=StreamOptions(engine=engine),
        restart="temporary",
    )
    agent = await system.start_child(spec)
    answer = await agent.ask("Count the words and the letters.")
    assert answer.error is None, answer.error
    await agent.stop()


async def agent_runs(base_url: str, engine: Any, at_once: str, rounds: str) -> None:
    """Time rounds of asks to so many agents at once, each an actor in the tree; a fresh agent a round, as the reference."""
    async with open_system() as system:
        number = 0

        async def a_round() -> None:
            nonlocal number
            async with trio.open_nursery() as nursery:
                for _ in range(int(at_once)):
                    number += 1
                    nursery.start_soon(ask_once, system, f"agent-{number}", base_url, engine)

        async def timed() -> None:
            for _ in range(int(rounds)):
                await a_round()

        await run_timed(timed, warm_up=a_round)


async def one_stream(base_url: str, engine: Any, messages: tuple[Message, ...] = (UserMessage("Go."),)) -> None:
    """Read one answer to its end."""
    context = Context("", messages)
    async with open_stream(make_model(base_url), context, StreamOptions(engine=engine)) as stream:
        while await stream.next_events():
            pass
        message = await stream.result()
        assert message.error is None, message.error


async def streams(base_url: str, engine: Any, at_once: str, rounds: str) -> None:
    """Time rounds of streams, so many at once."""
    async with open_system():

        async def a_round() -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(int(at_once)):
                    nursery.start_soon(one_stream, base_url, engine)

        async def timed() -> None:
            for _ in range(int(rounds)):
                await a_round()

        await run_timed(timed, warm_up=a_round)
