"""Tools: typed functions that models call, and the runner that gives every call exactly one result."""

from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools._arguments import ArgumentReader
from tinyagent_actors.tools._batch import CallBatch
from tinyagent_actors.tools._call_hooks import AfterToolCall, BeforeToolCall, CallHooks
from tinyagent_actors.tools._command import end_of
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._execution import place_of_frame
from tinyagent_actors.tools._isolation import Isolation
from tinyagent_actors.tools._loop_control import ToolLoopControl
from tinyagent_actors.tools._options import CLEANUP_GRACE, DEFAULT_TIMEOUT, Effect, ToolOptions
from tinyagent_actors.tools._process_group import ProcessGroup, open_process_group
from tinyagent_actors.tools._result import OUTPUT_LIMIT
from tinyagent_actors.tools._running_call import RunningCall
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._source import ToolSource, split_sources, with_sources
from tinyagent_actors.tools._spill import SpillFiles, SpillPolicy, set_spill_policy, spill_files
from tinyagent_actors.tools._tool import AgentTool, Tool, to_tools, tool

__all__ = [
    "CLEANUP_GRACE",
    "DEFAULT_TIMEOUT",
    "OUTPUT_LIMIT",
    "AfterToolCall",
    "AgentTool",
    "AgentToolResult",
    "ArgumentReader",
    "BeforeToolCall",
    "CallBatch",
    "CallHooks",
    "Effect",
    "Isolation",
    "ProcessGroup",
    "RunningCall",
    "Signal",
    "SpillFiles",
    "SpillPolicy",
    "Tool",
    "ToolContext",
    "ToolLoopControl",
    "ToolOptions",
    "ToolSource",
    "end_of",
    "open_process_group",
    "place_of_frame",
    "set_spill_policy",
    "spill_files",
    "split_sources",
    "to_tools",
    "tool",
    "with_sources",
]
