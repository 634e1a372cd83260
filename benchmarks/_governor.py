"""Three hundred agents on one key at a provider that serves twenty at once: what is wasted, and when requests come.

The endpoint refuses with 429 and ``Retry-After: 1`` whatever comes while it gives twenty answers. The agents stand in ten teams of a
system and are all asked in the same moment, once each; every request of theirs is an arrival, served or refused.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import trio
import trio.testing

from tinyagent_actors import AgentSpec, Model, StreamOptions, open_system, supervisor
from tinyagent_actors.testing import CapacityPolicy, ChatRequest, Delivery, Reply, open_endpoint

AGENTS: Final = 300
TEAMS: Final = 10
CAPACITY: Final = 20
WIDTH: Final = 60
"""Characters of the longest bar."""

_ANSWER: Final = Reply(text="word " * 20, chunk_size=5, delivery=Delivery(delay_between=0.02, coalesce=False))


@attrs.frozen
class Outcome:
    """What came of it."""

    served: int
    """Agents that got their answer."""
    arrivals: tuple[float, ...]
    """Seconds since the first one."""
    refused: int
    most: int
    """Answers at once."""

    @property
    def wasted(self) -> float:
        """The share of the requests that were refused."""
        return self.refused / len(self.arrivals)

    def histogram(self, step: float = 0.5) -> str:
        """Draw the arrivals, a line for each `step` seconds."""
        counts = [0] * (int(self.arrivals[-1] / step) + 1)
        for at in self.arrivals:
            counts[int(at / step)] += 1
        scale = max(1.0, max(counts) / WIDTH)
        return "\n".join(
            f"{place * step:6.1f} s {count:4}  {'#' * round(count / scale)}" for place, count in enumerate(counts)
        )


def crowd(engine: Any) -> Outcome:
    """Let them all ask."""
    return trio.run(_crowd, engine)


async def _crowd(engine: Any) -> Outcome:
    policy = CapacityPolicy(_answer, capacity=CAPACITY, retry_after=1)
    served = 0

    async with open_endpoint(policy, on_answer=policy.answered) as endpoint, open_system() as system:
        model = Model("bench", provider="custom", base_url=endpoint.url)
        options = StreamOptions(engine=engine, api_key="sk-of-them-all")

        async def ask(team: Any, number: int) -> None:
            nonlocal served
            agent = await team.start_child(AgentSpec(f"agent-{number}", model=model, options=options))
            await all_there.wait()
            answer = await agent.ask("Go.")
            served += answer.error is None

        all_there = trio.Event()
        async with trio.open_nursery() as nursery:
            for number in range(TEAMS):
                team = await system.start_child(supervisor(f"team-{number}", strategy="dynamic", max_children=AGENTS))
                for agent in range(AGENTS // TEAMS):
                    nursery.start_soon(ask, team, agent)
            await trio.testing.wait_all_tasks_blocked(0.01)
            all_there.set()
        endpoint.check()
    first = policy.arrivals[0]
    return Outcome(served, tuple(at - first for at in policy.arrivals), policy.refused, policy.most)


def _answer(_: ChatRequest) -> Reply:
    return _ANSWER
