"""agent_tool and hand_off_tool: another agent as a tool."""

from __future__ import annotations

from typing import Any, Final

import attrs

from tinyagent_actors._errors import ActorStoppedError, ToolDefinitionError
from tinyagent_actors.actors import ActorRef, current_cell, current_runtime
from tinyagent_actors.agents._agent_actor import AgentActor
from tinyagent_actors.agents._agent_ref import AgentRef
from tinyagent_actors.agents._budget import Budget
from tinyagent_actors.messages import AgentToolResult, AssistantMessage, Message, TextContent, UserMessage
from tinyagent_actors.tools import Tool, tool

ASK_TIMEOUT: Final = 600.0
"""Seconds that another agent has for its answer."""


def agent_tool(
    agent: AgentRef | str,
    *,
    name: str | None = None,
    description: str | None = None,
    budget: Budget | None = None,
    timeout: float = ASK_TIMEOUT,
    **options: Any,
) -> Tool:
    """Give a tool with which a model asks another agent.

    Whatever ends the call ends the other agent's run as well: the timeout, a cancel of the turn or run that made it, a budget. That
    agent itself lives, remembers, and serves the next ask. What its run spends counts in the budget of the run that asks, too.
    What would wait for itself in a circle is refused, and so are runs that ask one another deeper than `Limits.depth`.

    Args:
        agent: Whom to ask: a ref, or a registered name or an absolute path (``/team/reader``), looked up at each call.
        name: What the model calls it by; None: ``ask_`` and the last part of the agent's name.
        description: What the model is told of it.
        budget: What one call may spend.
        timeout: Seconds that it has for its answer.
        **options: Further fields of `ToolOptions`, such as `approval`.

    Raises:
        ToolDefinitionError: `agent` is neither.
    """
    named = _last_part(agent)

    async def ask(prompt: str) -> str:
        answer = await _find(agent).ask(prompt, budget=budget)
        return _said(answer)

    told = (
        description
        or f"Ask the agent {named}. It remembers what you asked it before, and nothing else of your conversation."
    )
    return tool(name=name or f"ask_{named}", description=told, timeout=timeout, **options)(ask)


def hand_off_tool(
    agent: AgentRef | str,
    *,
    name: str | None = None,
    description: str | None = None,
    budget: Budget | None = None,
    timeout: float = ASK_TIMEOUT,
    **options: Any,
) -> Tool:
    """Give a tool with which a model hands the conversation over to another agent, whose answer is then that of the run.

    The other agent gets what the user and this agent have said, without tools and their results, and why it is handed over. Its
    answer is what whoever asked this agent gets; this agent's run is over, and it remembers the answer as the result of its call.
    Cancel, timeout, budget, circles and depth are as of `agent_tool`.

    Args:
        agent: As of `agent_tool`.
        name: What the model calls it by; None: ``hand_off_to_`` and the last part of the agent's name.
        description: What the model is told of it.
        budget: What the other agent's run may spend.
        timeout: Seconds that it has for its answer.
        **options: Further fields of `ToolOptions`, such as `approval`.

    Raises:
        ToolDefinitionError: `agent` is neither.
    """
    named = _last_part(agent)

    async def hand_off(reason: str) -> AgentToolResult:
        giver = agent_here()
        ref = _find(agent)
        note = UserMessage(f"[This conversation was handed over to you. Reason: {reason}]")
        answer = await ref.ask((*_spoken(giver.transcript), note), budget=budget)
        text = _said(answer)
        giver.handed = answer
        return AgentToolResult((TextContent(f"{named} answered in your place: {text}"),), terminate=True)

    told = (
        description
        or f"Hand the conversation over to the agent {named}, for good: its answer is the last word. Say why."
    )
    return tool(name=name or f"hand_off_to_{named}", description=told, timeout=timeout, **options)(hand_off)


def agent_here() -> AgentActor:
    """Give the agent whose tool this task runs.

    Raises:
        ActorStoppedError: There is none.
    """
    cell = current_cell()
    body = None if cell is None else cell.address.body
    if not isinstance(body, AgentActor):
        raise ActorStoppedError(
            "/" if cell is None else cell.path, "this tool works in the run of an agent of a system only"
        )
    return body


def _last_part(agent: AgentRef | str) -> str:
    path = agent.path if isinstance(agent, ActorRef) else agent
    if not isinstance(path, str) or not path.strip("/"):
        raise ToolDefinitionError("agent_tool", f"agent must be a ref, a name or a path, is {agent!r}")
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in path.rpartition("/")[2])


def _find(agent: AgentRef | str) -> AgentRef:
    found = current_runtime().whereis(agent) if isinstance(agent, str) else agent
    if not isinstance(found, AgentRef):
        raise ActorStoppedError(found.path, "it is no agent")
    return found


def _said(answer: AssistantMessage) -> str:
    if answer.error is not None:
        raise answer.error
    if answer.stop_reason == "aborted":
        return f"(interrupted; this is as far as it came) {answer.text}"
    return answer.text


def _spoken(transcript: list[Message]) -> list[Message]:
    """Give what was said in a conversation, without tools."""
    spoken: list[Message] = []
    for message in transcript:
        if isinstance(message, UserMessage):
            spoken.append(message)
        elif isinstance(message, AssistantMessage) and message.text:
            spoken.append(
                attrs.evolve(message, content=(TextContent(message.text),), stop_reason="stop", error=None, usage=None)
            )
    return spoken
