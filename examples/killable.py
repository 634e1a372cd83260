"""A tool that never ends, in a process of its own: an interrupt kills it at once."""

import trio

from tinyagent_actors import AgentRef, AgentSpec, Model, ToolExecutionEndEvent, open_system, tool
from tinyagent_actors.testing import CallSpec, Reply, open_endpoint


@tool(isolation="process", timeout=60)
def factorise(number: int) -> list[int]:
    """Factorise a number, by trying.

    Args:
        number: The number.
    """
    factors, candidate = [], 2
    while number > 1:
        if number % candidate == 0:
            factors.append(candidate)
            number //= candidate
        else:
            candidate += 1
    return factors


async def main() -> None:
    """Ask for an easy one, and stop a hopeless one."""
    script = [Reply(tool_calls=[CallSpec(name="factorise", arguments={"number": n})]) for n in (84, 2**61 - 1)]
    script.insert(1, Reply(text="Easy."))
    async with open_endpoint(script) as endpoint, open_system() as system:
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model, tools=[factorise]))
        await agent.ask("Factorise 84.")
        print(endpoint.requests[1].json["messages"][-1]["content"])
        async with system.subscribe("agent") as events, trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "Now the ninth Mersenne prime.")
            async for event in events:
                if event.type == "tool_execution_start":
                    await agent.interrupt("it takes too long")
                if isinstance(event, ToolExecutionEndEvent):
                    print(event.outcome)
                    break
        print(system.leftovers().total, "left over")


if __name__ == "__main__":
    trio.run(main)
