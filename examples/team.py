"""A supervised team: two agents with a tool, their events, and an interrupt."""

import trio

from tinyagent_actors import AgentRef, AgentSpec, Model, conflate, open_system, supervisor, tool
from tinyagent_actors.testing import CallSpec, ToolLoopPolicy, open_endpoint


@tool(timeout=10)
async def word_count(text: str) -> int:
    """Count the words of a text.

    Args:
        text: What to count.
    """
    return len(text.split())


async def watch(system, lines):
    """Note what the tools of the team do."""
    async with system.subscribe("team/**", policy=conflate(256)) as events:
        async for event in events:
            if event.type == "tool_execution_end":
                lines.append(f"{event.path}: {event.tool_name} -> {event.result.content[0].text}")


async def main():
    """Let two agents answer side by side."""
    policy = ToolLoopPolicy(calls=[CallSpec(name="word_count", arguments={"text": "to be or not"})], answer="Four.")
    lines = []
    async with open_endpoint(policy) as endpoint, open_system(name="demo") as system:
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        agents = [AgentSpec(name, model=model, tools=[word_count]) for name in ("reader", "writer")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, system, lines)
            team = await system.start_child(supervisor("team", children=agents))
            async with trio.open_nursery() as asking:
                for name in ("reader", "writer"):
                    asking.start_soon(ask, team.child(name, AgentRef))
            nursery.cancel_scope.cancel()
    print("\n".join(sorted(lines)))


async def ask(agent):
    """Ask one agent."""
    with trio.fail_after(10):
        answer = await agent.ask("How many words has 'to be or not'?")
    print(answer.text)


if __name__ == "__main__":
    trio.run(main)
