"""Fifty agents with real parts: an endpoint that stalls, breaks off and refuses, tools that hang, crash and fork."""

from __future__ import annotations

import random
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

from tests.chaos._laws import MARK, Ledger, check_leases, check_nothing_left, renew
from tinyagent_actors import (
    AgentRef,
    AgentSpec,
    Budget,
    ChildSpec,
    Limits,
    Model,
    StreamOptions,
    System,
    TinyAgentError,
    block,
    conflate,
    open_system,
    supervisor,
    tool,
    with_budget,
)
from tinyagent_actors.providers import Timeouts
from tinyagent_actors.testing import (
    CallSpec,
    ChatRequest,
    Cut,
    Delivery,
    Reply,
    Reset,
    Stall,
    assert_quiescent,
    open_endpoint,
)
from tinyagent_actors.tools import Tool
from tinyagent_actors.tools.library import shell_tool

TEAMS = 5
NAMES = ("quick", "hang", "crash", "thread", "tidy", "run_command")


def tools_of(folder: Path, mark: str) -> list[Tool]:
    """Give one tool of each kind."""

    @tool
    async def quick(number: int = 0) -> int:
        """Answer at once."""
        await trio.lowlevel.checkpoint()
        return number

    @tool(timeout=0.3)
    async def hang() -> None:
        """Never answer."""
        await trio.sleep_forever()

    @tool
    async def crash() -> None:
        """Fail."""
        raise ExceptionGroup("broken", [ValueError("one"), RuntimeError("two")])

    @tool(timeout=0.2)
    def thread(seconds: float = 0.1) -> str:
        """Block a thread, sometimes for longer than it may."""
        time.sleep(seconds)
        return "slept"

    @tool(timeout=0.3)
    async def tidy() -> None:
        """Take a moment to end."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(0.1, shield=True):
                await trio.sleep_forever()

    return [quick, hang, crash, thread, tidy, shell_tool(folder, env={MARK: mark}, seconds=0.4, grace=0.2)]


def policy_of(rng: random.Random) -> Any:
    """Give a provider that does something else at each request."""

    def policy(_: ChatRequest) -> Reply:
        fault = rng.random()
        if fault < 0.05:
            return Reply.rate_limited(0.05)
        if fault < 0.08:
            return Reply.error(500, "broken")
        calls = tuple(_call(rng) for _ in range(rng.choice([0, 0, 1, 2, 4])))
        how: dict[str, Any] = {
            "delivery": Delivery(delay_between=rng.choice([0, 0, 0.01]), coalesce=rng.random() < 0.5)
        }
        if fault < 0.25:
            how["fault"] = rng.choice([Stall, Cut, Reset])(after_chunks=rng.randrange(4))
        return Reply(text="word " * rng.randrange(1, 20), tool_calls=calls, **how)

    return policy


def _call(rng: random.Random) -> CallSpec:
    name = rng.choice(NAMES)
    arguments: dict[str, Any] = {}
    if name == "run_command":
        arguments = {"command": rng.choice(["echo hi", "sleep 60 & sleep 60", "trap '' TERM; sleep 60", "exit 3"])}
    elif name == "thread":
        arguments = {"seconds": rng.choice([0.01, 0.1, 0.4])}
    elif name == "quick":
        arguments = rng.choice([{}, {"number": 3}, {"number": "x"}, {"what": None}])
    return CallSpec(name, arguments)


async def storm(seed: int, seconds: float, folder: Path, *, agents: int = 50) -> Ledger:
    """Have agents asked, interrupted, cancelled and killed for so long, then see that the laws hold.

    Raises:
        AssertionError: One does not.
    """
    rng = random.Random(seed)
    mark, seen = uuid.uuid4().hex, Ledger()
    async with open_endpoint(policy_of(random.Random(seed + 1))) as endpoint:
        async with open_system("chaos") as system:
            refs = await _tree(system, Model("chaos", provider="custom", base_url=endpoint.url), folder, mark, agents)
            async with trio.open_nursery() as watching:
                async with system.subscribe("**", policy=block(1_000_000)) as events:
                    watching.start_soon(_read, events, seen)
                    until = trio.current_time() + seconds
                    async with trio.open_nursery() as nursery:
                        for name, team in refs:
                            nursery.start_soon(_disturb, team, name, random.Random(rng.random()), until, seen)
                    for name, team in refs:
                        agent: AgentRef = team.child(name)
                        await agent.interrupt("the storm is over")
                    await _settled(system)
                    check_leases(system, seen)
                watching.cancel_scope.cancel()
        await check_nothing_left(system, mark)  # first, because it waits for threads that were given up
        assert_quiescent(system)
        with trio.fail_after(30):
            await endpoint.wait_for(lambda now: now.open_streams == 0)
    return seen


async def _tree(system: System, model: Model, folder: Path, mark: str, agents: int) -> list[tuple[str, Any]]:
    tools = tools_of(folder, mark)
    options = StreamOptions(timeouts=Timeouts(connect=5, first_byte=0.5, idle=0.3), retries=2, max_retry_wait=1)
    refs: list[tuple[str, Any]] = []
    for number in range(TEAMS):
        names = [f"agent-{place}" for place in range(agents // TEAMS)]
        children: list[AgentSpec | ChildSpec[Any, Any, Any]] = [
            AgentSpec(
                name, model=model, tools=tools, options=options, limits=Limits(turns=4), budget=Budget(tokens=10**9)
            )
            for name in names
        ]
        team = await system.start_child(
            with_budget(
                supervisor(f"team-{number}", children=children, max_restarts=100_000, max_seconds=1),
                Budget(tokens=10**9),
            )
        )
        refs += [(name, team) for name in names]
    return refs


async def _disturb(team: Any, name: str, rng: random.Random, until: float, seen: Ledger) -> None:
    """Be somebody who uses an agent, and not kindly."""
    while trio.current_time() < until:
        agent: AgentRef = team.child(name)
        what = rng.random()
        try:
            if what < 0.08:
                agent.kill("chaos")
                await trio.lowlevel.checkpoint()
            elif what < 0.16:
                agent.tell_nowait("Go on.")
                await trio.lowlevel.checkpoint()
            else:
                await _ask(agent, rng)
        except TinyAgentError:
            await trio.lowlevel.checkpoint()
        await renew(team, name, seen)


async def _ask(agent: AgentRef, rng: random.Random) -> None:
    how = rng.random()
    async with trio.open_nursery() as nursery:
        if how < 0.3:
            nursery.start_soon(_interrupt_later, agent, rng.uniform(0, 0.4))
        with trio.move_on_after(rng.uniform(0.05, 0.6) if how > 0.6 else float("inf")), suppress(TinyAgentError):
            if rng.random() < 0.3:
                async with agent.stream("Work.", policy=conflate(64)) as events:
                    async for _ in events:
                        if rng.random() < 0.01:
                            break
            else:
                await agent.ask("Work.")
        nursery.cancel_scope.cancel()


async def _interrupt_later(agent: AgentRef, seconds: float) -> None:
    await trio.sleep(seconds)
    await agent.interrupt("chaos")


async def _read(events: Any, seen: Ledger) -> None:
    async for event in events:
        seen.take(event)


async def _settled(system: System) -> None:
    """Wait until no request is under way: what was told last may still lie in a mailbox."""
    with trio.fail_after(60):
        while any(lease.reserved_tokens for lease in system.leases()):  # noqa: ASYNC110  # nothing tells of it
            await trio.sleep(0.05)
