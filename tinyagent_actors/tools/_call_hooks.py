"""CallHooks: what an application has to say before a tool runs, and about what it gave.

The hooks run in the task of their call, in its cancel scope and on its clock. So a hook that hangs is ended by the tool's
deadline or the run's cancel as the tool itself is, one that raises is that call's error result and nobody else's, and a sibling
never waits for it. They are called only where a tool is about to run: a call that was cut, names no tool or does not fit its
schema has its result before.

What `before` gives is validated again: a hook cannot hand a tool what its schema refuses. Where it refuses the call, `after` is
not called: no tool has run. A tool that raised has an error result, which `after` is given like any other; one that was cancelled
or timed out has no time left, so there it is not called.

Refused: hooks of the run's own task, before the calls and after them (one that hangs would hold all of them, one that raises
would leave calls without a result), and hooks by name of the tool (an application has a dictionary for that).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from tinyagent_actors.messages import AgentToolResult, TextContent, ToolCall
from tinyagent_actors.tools._loop_control import ToolLoopControl
from tinyagent_actors.tools._result import error_text, to_result
from tinyagent_actors.tools._tool import Tool

BeforeToolCall: TypeAlias = Callable[
    [ToolCall, Tool, dict[str, Any]],
    "ToolLoopControl | Mapping[str, Any] | Awaitable[ToolLoopControl | Mapping[str, Any] | None] | None",
]
AfterToolCall: TypeAlias = Callable[
    [ToolCall, AgentToolResult],
    "ToolLoopControl | AgentToolResult | Awaitable[ToolLoopControl | AgentToolResult | None] | None",
]
_REFUSED: Final = "refused: the tool did not run"


@attrs.frozen
class CallHooks:
    """The hooks around the tools of an agent; plain or async functions."""

    before: BeforeToolCall | None = None
    after: AfterToolCall | None = None

    async def read(
        self, call: ToolCall, tool: Tool, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any] | ToolLoopControl:
        """Give the arguments with which a tool runs, or why it does not.

        Args:
            call: The call as the model made it.
            tool: Its tool.
            arguments: What was read from the call, in the types of the signature; given back if the hook changes nothing.

        Raises:
            Exception: What the hook raises; `TypeError` if it gives something else.
            InvalidArgumentsError: What it gives does not fit the schema.
        """
        if self.before is None:
            return arguments
        given = copy.deepcopy(dict(call.arguments))
        said: Any = self.before(call, tool, given)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, ToolLoopControl):
            return said
        if said is None:
            said = given
        if not isinstance(said, Mapping):
            message = f"before_tool_call must give None, arguments or a ToolLoopControl, gave {type(said).__name__}"
            raise TypeError(message)
        return arguments if said == call.arguments else tool.reader.read(said)

    async def review(self, call: ToolCall, result: AgentToolResult) -> AgentToolResult:
        """Give the result of a tool as it stands after the hook.

        Raises:
            Exception: What the hook raises; `TypeError` if it gives something else.
        """
        if self.after is None:
            return result
        said: Any = self.after(call, result)
        if inspect.isawaitable(said):
            said = await said
        if said is None:
            return result
        if isinstance(said, AgentToolResult):
            return to_result(said)
        if not isinstance(said, ToolLoopControl):
            message = f"after_tool_call must give None, a result or a ToolLoopControl, gave {type(said).__name__}"
            raise TypeError(message)
        is_error = said.is_error or (said.result is None and result.is_error)
        return attrs.evolve(said.result or result, terminate=said.terminate or result.terminate, is_error=is_error)


def refusal(control: ToolLoopControl) -> AgentToolResult:
    """Give the result of a call that `before` did not let through."""
    result = control.result or AgentToolResult((TextContent(_REFUSED),), is_error=True)
    return attrs.evolve(
        result,
        terminate=control.terminate or result.terminate,
        is_error=control.is_error or result.is_error,
    )


def error_result(error: Exception) -> AgentToolResult:
    """Give the result of a tool that raised."""
    return AgentToolResult((TextContent(error_text(error)),), is_error=True)
