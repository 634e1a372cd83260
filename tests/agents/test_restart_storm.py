"""A restart storm: hundreds of agents behind one provider that refuses, or is down."""

from __future__ import annotations

from collections import Counter

import trio

from tests._kernel import told
from tests.agents._answers import agent, says
from tinyagent_actors import (
    ActorRestartedEvent,
    ActorRestartScheduledEvent,
    AgentEndEvent,
    AgentSpec,
    AssistantMessage,
    Context,
    Model,
    ProviderError,
    StreamOptions,
    SupervisorRef,
    conflate,
    open_system,
    supervisor,
)
from tinyagent_actors.testing import ChatRequest, Endpoint, Reply, open_endpoint

AGENTS = 300
RETRY_AFTER = 3.0
"""Longer than the back-off of a first restart, so that it is the pause that holds them."""


async def test_a_provider_that_refuses_is_not_stormed(engine: str) -> None:
    """T38: 300 agents are refused at once and restarted: nobody asks in the pause, then one goes ahead, and a few at a time follow.

    Each asks once more, no supervisor gives up, and all are done.
    """
    arrivals: list[tuple[float, int]] = []
    found: list[Endpoint] = []
    are_there = trio.Event()

    async def policy(_request: ChatRequest) -> Reply:
        arrivals.append((trio.current_time(), found[0].statistics().open_streams))
        if len(arrivals) > AGENTS:
            return Reply(text="ok")
        if len(arrivals) == AGENTS:
            are_there.set()
        await are_there.wait()
        return Reply.rate_limited(RETRY_AFTER)

    async with open_endpoint(policy) as endpoint, open_system() as system:
        found.append(endpoint)
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        options = StreamOptions(engine=engine)  # type: ignore[arg-type]
        specs = [AgentSpec(f"a{n}", model=model, retries=0, options=options) for n in range(AGENTS)]
        team: SupervisorRef = await system.start_child(supervisor("team", children=specs))
        async with system.subscribe("team/**", policy=conflate(100_000)) as events:
            for spec in specs:
                await team.child(spec.name).tell("go")
            done: set[str] = set()
            restarts = Counter[str]()
            with trio.fail_after(240):
                while len(done) < AGENTS:
                    event = await anext(events)
                    if isinstance(event, ActorRestartedEvent):
                        restarts[event.path] += 1
                    elif isinstance(event, AgentEndEvent) and event.error is None:
                        done.add(event.path)
        assert team.living is not None

    first, second = arrivals[:AGENTS], arrivals[AGENTS:]
    assert len(second) == AGENTS
    assert set(restarts.values()) == {1}
    assert second[0][0] - first[-1][0] >= RETRY_AFTER
    assert second[0][1] == 1
    assert max(open_streams for _, open_streams in second) <= AGENTS // 10


async def test_a_provider_that_is_down_is_not_stormed(autojump_clock: object) -> None:
    """T38: 300 agents that cannot connect come back spread over the wait, not all at once, and ever more seldom.

    When the provider is back all are done, and no supervisor has given up.
    """
    is_down = True
    attempts: list[float] = []

    async def answer(context: Context) -> AssistantMessage:
        attempts.append(trio.current_time())
        if is_down:
            return AssistantMessage(stop_reason="error", error=ProviderError("connection_error", "", retryable=True))
        return await says()(context)

    async with open_system() as system:
        children = [agent(f"a{n}", answer) for n in range(AGENTS)]
        team: SupervisorRef = await system.start_child(supervisor("team", children=children))
        async with system.subscribe("team/**", policy=conflate(100_000)) as events:
            for child in children:
                await team.child(child.name).tell("go")
            await trio.sleep(300)
            waits = [event.seconds for event in told(events, ActorRestartScheduledEvent)]
        is_down = False
        await trio.sleep(130)

        assert team.living is not None
        assert system.spending("team").output == 5 * AGENTS
    buckets = Counter(int(at / 0.1) for at in attempts[AGENTS:])
    assert max(buckets.values()) <= AGENTS // 4
    assert sum(290 < at <= 300 for at in attempts) <= AGENTS // 2
    assert max(waits) > 30
