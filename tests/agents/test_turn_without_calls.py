"""A model that says that it wants tools, and calls none."""

from __future__ import annotations

import trio

from tinyagent_actors import AgentRef, AgentSpec, Model, open_system
from tinyagent_actors.testing import Reply, open_endpoint


async def test_a_finish_reason_alone_makes_no_turn() -> None:
    """P66: `tool_calls` without a call ends the run; the model is not asked again and again."""
    async with open_endpoint([Reply(text="done", finish="tool_calls"), Reply(text="never")]) as endpoint:
        async with open_system() as system:
            model = Model("scripted", provider="custom", base_url=endpoint.url)
            agent: AgentRef = await system.start_child(AgentSpec("agent", model=model))
            with trio.fail_after(30):
                answer = await agent.ask("go")

        assert (answer.text, answer.stop_reason) == ("done", "tool_use")
        assert endpoint.statistics().requests == 1
