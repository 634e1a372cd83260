"""Agents: runs of turns, agents as actors, and the seed's `Agent`."""

from tinyagent_actors.agents._agent import Agent, AgentOptions, AgentState
from tinyagent_actors.agents._agent_actor import run_agent_actor
from tinyagent_actors.agents._agent_ref import AgentRef, RunEvents
from tinyagent_actors.agents._agent_spec import AgentSpec
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.agents._model_call import ModelCall, ModelStream
from tinyagent_actors.agents._run import Run, RunConfig

__all__ = [
    "Agent",
    "AgentOptions",
    "AgentRef",
    "AgentSpec",
    "AgentState",
    "Limits",
    "ModelCall",
    "ModelStream",
    "Run",
    "RunConfig",
    "RunEvents",
    "run_agent_actor",
]
