"""Tools: typed functions that models call, and the runner that gives every call exactly one result."""

from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools._batch import CallBatch
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._isolation import Isolation
from tinyagent_actors.tools._options import CLEANUP_GRACE, DEFAULT_TIMEOUT, Effect, ToolOptions
from tinyagent_actors.tools._result import OUTPUT_LIMIT
from tinyagent_actors.tools._running_call import RunningCall
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._tool import AgentTool, Tool, to_tools, tool

__all__ = [
    "CLEANUP_GRACE",
    "DEFAULT_TIMEOUT",
    "OUTPUT_LIMIT",
    "AgentTool",
    "AgentToolResult",
    "CallBatch",
    "Effect",
    "Isolation",
    "RunningCall",
    "Signal",
    "Tool",
    "ToolContext",
    "ToolOptions",
    "to_tools",
    "tool",
]
