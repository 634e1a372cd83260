"""Hours of a tree of agents in virtual time: scripted models and tools, one seed, one course."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from tests.chaos._laws import Ledger, check_leases, renew
from tinyagent_actors import (
    AgentRef,
    Budget,
    ChildSpec,
    Limits,
    Model,
    ProviderError,
    TinyAgentError,
    block,
    open_system,
    supervisor,
    tool,
)
from tinyagent_actors.agents import RunConfig, run_agent_actor
from tinyagent_actors.events import StreamEvent, StreamStart, TextDelta, TextStart
from tinyagent_actors.messages import AssistantMessage, Context, TextContent, ToolCall
from tinyagent_actors.testing import assert_quiescent, run_seed
from tinyagent_actors.tools import Tool

AGENTS = 12
HOUR = 3600.0


@attrs.define(eq=False)
class RandomCall:
    """A `ModelCall` that takes its time, calls tools, and fails, at random."""

    rng: random.Random
    names: tuple[str, ...]

    @asynccontextmanager
    async def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AsyncIterator[_RandomStream]:
        """Open a stream."""
        yield _RandomStream(self.rng, self.names)


@attrs.define(eq=False)
class _RandomStream:
    rng: random.Random
    names: tuple[str, ...]
    model: None = None
    pieces: int = 0

    async def next_events(self) -> list[StreamEvent]:
        await trio.sleep(self.rng.uniform(0, 20))
        self.pieces += 1
        if self.pieces == 1:
            return [StreamStart(), TextStart(0)]
        return [TextDelta(0, "word ")] if self.pieces < self.rng.randrange(2, 6) else []

    async def result(self) -> AssistantMessage:
        await trio.lowlevel.checkpoint()
        if self.rng.random() < 0.1:
            kind: Any = self.rng.choice(["truncated", "rate_limited", "server_error", "timeout"])
            return AssistantMessage((TextContent("w"),), stop_reason="error", error=ProviderError(kind, "chaos"))
        calls = tuple(
            ToolCall(f"c{place}", self.rng.choice(self.names)) for place in range(self.rng.choice([0, 0, 1, 3]))
        )
        return AssistantMessage((TextContent("word"), *calls), stop_reason="tool_use" if calls else "stop")


def _tools(rng: random.Random) -> list[Tool]:
    @tool(timeout=HOUR)
    async def wait() -> str:
        """Take up to five minutes."""
        await trio.sleep(rng.uniform(0, 300))
        return "done"

    @tool(timeout=120)
    async def hang() -> None:
        """Never end."""
        await trio.sleep_forever()

    @tool
    async def crash() -> None:
        """Fail."""
        raise ValueError("chaos")

    @tool(timeout=60)
    async def stubborn() -> None:
        """End, but not at once; sometimes later than one may."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(rng.uniform(0, 8))

    return [wait, hang, crash, stubborn]


async def _storm(seed: int, hours: float) -> Ledger:
    rng = random.Random(seed)
    seen = Ledger()
    tools = {one.name: one for one in _tools(rng)}
    config = RunConfig(
        Model("chaos"),
        RandomCall(rng, (*tools, "nobody")),
        tools=tools,
        definitions=tuple(one.definition for one in tools.values()),
        limits=Limits(turns=6, run_seconds=1800.0),
    )
    specs = [
        ChildSpec(f"agent-{number}", run_agent_actor, args=(config, Budget(tokens=10**9)), ref_type=AgentRef)
        for number in range(AGENTS)
    ]
    async with open_system("chaos") as system:
        team = await system.start_child(supervisor("team", children=specs, max_restarts=10_000, max_seconds=1))
        async with trio.open_nursery() as watching:
            async with system.subscribe("**", policy=block(1_000_000)) as events:

                async def read() -> None:
                    async for event in events:
                        seen.take(event)

                watching.start_soon(read)
                until = trio.current_time() + hours * HOUR
                async with trio.open_nursery() as nursery:
                    for spec in specs:
                        nursery.start_soon(_use, team, spec.name, rng, until, seen)
                for spec in specs:
                    agent: AgentRef = team.child(spec.name)
                    await agent.interrupt("the storm is over")
                await trio.sleep(HOUR)
                check_leases(system, seen)
                assert system.leftovers().total == 0
            watching.cancel_scope.cancel()
    assert_quiescent(system)
    return seen


async def _use(team: Any, name: str, rng: random.Random, until: float, seen: Ledger) -> None:
    while trio.current_time() < until:
        agent: AgentRef = team.child(name)
        what = rng.random()
        try:
            if what < 0.05:
                agent.kill("chaos")
            elif what < 0.1:
                agent.tell_nowait("Go on.")
            elif what < 0.3:
                agent.steer("Think of something else.")
            else:
                with trio.move_on_after(rng.choice([30, 300, float("inf")])):
                    await agent.ask("Work.")
        except TinyAgentError:
            await trio.sleep(1)
        await renew(team, name, seen)
        await trio.sleep(rng.uniform(0, 60))


def storm(seed: int, hours: float) -> Ledger:
    """Have it go on for so many hours of virtual time, then see that the laws hold. The same seed, the same course.

    Raises:
        AssertionError: One does not.
    """
    return run_seed(_storm, seed, hours, seed=seed)
