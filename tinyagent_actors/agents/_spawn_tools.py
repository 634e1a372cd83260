"""spawn_tools: tools with which a model starts agents, gives them work, and waits for them."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.agents._agent_ref import AgentRef
from tinyagent_actors.agents._agent_spec import AgentSpec
from tinyagent_actors.agents._agent_tool import agent_here
from tinyagent_actors.agents._crew import Crew
from tinyagent_actors.agents._run import Run
from tinyagent_actors.tools import Tool, tool

FAN_OUT: Final = 32
"""Children of one agent."""
LONGEST_WAIT: Final = 3_600.0
"""Seconds that a model may wait at once."""


def spawn_tools(*agents: AgentSpec, fan_out: int = FAN_OUT) -> tuple[Tool, ...]:
    """Give the tools with which a model starts agents of these kinds: spawn, send, wait, list, interrupt and close.

    What it starts are children of its agent: they end with it, draw on its budget, and, when the run that wanted them is interrupted
    or fails, are stopped. Runs may ask one another to the depth of `Limits.depth`; an agent has `fan_out` children at most, of
    which those that have answered make room for new ones.

    Args:
        agents: The kinds; each is called by the name of its spec.
        fan_out: How many children one agent may have.

    Raises:
        SpecError: There is no kind, or two have one name.

    Example:
        >>> from tinyagent_actors import Model
        >>> [tool.name for tool in spawn_tools(AgentSpec("reader", model=Model("m")))][:2]
        ['spawn_agent', 'send_to_agent']
    """
    kinds = {spec.name: spec for spec in agents}
    if not agents or len(kinds) < len(agents):
        raise SpecError("agents", "must be at least one kind, each of a name of its own")
    if type(fan_out) is not int or fan_out < 1:
        raise SpecError("fan_out", f"must be a whole number of at least 1, is {fan_out!r}")
    about = "; ".join(f"{spec.name}: {spec.system_prompt[:200]}" for spec in agents)

    async def spawn_agent(kind: str, prompt: str) -> dict[str, Any]:
        crew, run = _here()
        if kind not in kinds:
            raise SpecError("kind", f"must be one of {', '.join(kinds)}, is {kind!r}")

        def make(name: str) -> AgentSpec:
            return attrs.evolve(kinds[kind], name=name, restart="temporary")

        return (await crew.spawn(make, kind, prompt, run, fan_out)).report()

    spawn = tool(
        description=f"Start an agent that works on a prompt while you go on. Its name is in the result. Kinds: {about}"
    )(spawn_agent)
    return (spawn, send_to_agent, wait_for_agents, list_agents, interrupt_agent, close_agent)


@tool
async def send_to_agent(name: str, prompt: str) -> dict[str, Any]:
    """Send a prompt to an agent you have started. One that works takes it up as soon as it can; one that is idle begins to work."""
    crew, run = _here()
    member = crew.named(name)
    if member.state == "working":
        assert isinstance(member.ref, AgentRef), "it was made of an AgentSpec"
        member.ref.steer(prompt)
    else:
        crew.send(member, prompt, run)
    return member.report()


@tool(timeout=LONGEST_WAIT + 60)
async def wait_for_agents(
    names: list[str], mode: Literal["all", "any"] = "all", seconds: float = 60.0
) -> list[dict[str, Any]]:
    """Wait until agents you have started have answered, and read their answers. Those that still work when the time is over go on.

    Args:
        names: Which.
        mode: Whether to wait for all of them, or for any one.
        seconds: How long at most.
    """
    crew, _ = _here()
    seconds = min(max(seconds, 0.0), LONGEST_WAIT)
    return [member.report() for member in await crew.wait(names, wants_all=mode == "all", seconds=seconds)]


@tool
async def list_agents() -> list[dict[str, Any]]:
    """List the agents you have started, with what each is doing."""
    crew, _ = _here()
    return [member.report() for member in crew.members.values()]


@tool
async def interrupt_agent(name: str) -> dict[str, Any]:
    """End what an agent you have started is doing; the agent stays, and keeps what it has found so far."""
    crew, _ = _here()
    member = crew.named(name)
    assert isinstance(member.ref, AgentRef), "it was made of an AgentSpec"
    if await member.ref.interrupt("interrupted by the agent that started it"):
        await crew.wait([name], wants_all=True, seconds=LONGEST_WAIT)
    return member.report()


@tool
async def close_agent(name: str) -> str:
    """Stop an agent you have started, for good."""
    crew, _ = _here()
    await crew.close(name, "closed by the agent that started it")
    return f"{name} is gone"


def _here() -> tuple[Crew, Run]:
    body = agent_here()
    assert body.run is not None, "a tool runs in a run"
    return body.crew, body.run
