"""Tools: typed functions that models call, and the runner that gives every call exactly one result."""

from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools._batch import CLEANUP_GRACE, CallBatch
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._result import OUTPUT_LIMIT
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._tool import DEFAULT_TIMEOUT, AgentTool, Tool, to_tools, tool

__all__ = [
    "CLEANUP_GRACE",
    "DEFAULT_TIMEOUT",
    "OUTPUT_LIMIT",
    "AgentTool",
    "AgentToolResult",
    "CallBatch",
    "Signal",
    "Tool",
    "ToolContext",
    "to_tools",
    "tool",
]
