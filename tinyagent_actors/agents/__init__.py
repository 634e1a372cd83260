"""Agents: runs of turns, agents as actors, and the seed's `Agent`."""

from tinyagent_actors.agents._agent import Agent
from tinyagent_actors.agents._agent_actor import run_agent_actor
from tinyagent_actors.agents._agent_options import AgentOptions, AgentState
from tinyagent_actors.agents._agent_ref import AgentRef, RunEvents
from tinyagent_actors.agents._agent_spec import AgentSpec
from tinyagent_actors.agents._agent_tool import agent_tool, hand_off_tool
from tinyagent_actors.agents._budget import UNITS, Budget, Unit
from tinyagent_actors.agents._compaction import AskOnce, Compaction, SummariseOldest
from tinyagent_actors.agents._hooks import Hooks
from tinyagent_actors.agents._lease import LeaseState
from tinyagent_actors.agents._ledger import Ledger, ledger_of
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.agents._mcp_server import McpServer
from tinyagent_actors.agents._model_call import ModelCall, ModelStream
from tinyagent_actors.agents._receipt import Applied, Receipt, Returned
from tinyagent_actors.agents._run import Run, RunConfig
from tinyagent_actors.agents._spawn_tools import spawn_tools
from tinyagent_actors.agents._spending import Spending
from tinyagent_actors.agents._thinking_budgets import ThinkingBudgets
from tinyagent_actors.agents._with_budget import with_budget

__all__ = [
    "UNITS",
    "Agent",
    "AgentOptions",
    "AgentRef",
    "AgentSpec",
    "AgentState",
    "Applied",
    "AskOnce",
    "Budget",
    "Compaction",
    "Hooks",
    "LeaseState",
    "Ledger",
    "Limits",
    "McpServer",
    "ModelCall",
    "ModelStream",
    "Receipt",
    "Returned",
    "Run",
    "RunConfig",
    "RunEvents",
    "Spending",
    "SummariseOldest",
    "ThinkingBudgets",
    "Unit",
    "agent_tool",
    "hand_off_tool",
    "ledger_of",
    "run_agent_actor",
    "spawn_tools",
    "with_budget",
]
