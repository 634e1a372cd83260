"""Tool and `@tool`: a typed function that a model may call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, overload

import attrs

from tinyagent_actors._errors import SpecError, ToolDefinitionError
from tinyagent_actors.actors import check_seconds
from tinyagent_actors.messages import AgentToolResult, ToolDefinition
from tinyagent_actors.tools._arguments import ArgumentReader
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._schema import read_signature
from tinyagent_actors.tools._signal import Signal

DEFAULT_TIMEOUT: Final = 120.0
"""Seconds."""

Execute: TypeAlias = Callable[[Mapping[str, Any], ToolContext], Any]
"""Runs a tool on arguments that were read: a coroutine, an async generator, or (if sync) the value itself."""


@attrs.frozen(eq=False)
class Tool:
    """A tool: what the model sees of it, and how it runs."""

    definition: ToolDefinition
    reader: ArgumentReader = attrs.field(repr=False)
    execute: Execute = attrs.field(repr=False)
    is_sync: bool = False
    """Whether it runs in a thread."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds; ``inf`` for none."""
    function: Callable[..., Any] | None = attrs.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What the model calls it by."""
        return self.definition.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        if self.function is None:
            message = f"{self.name} has no function of its own"
            raise TypeError(message)
        return self.function(*args, **kwargs)


SeedExecute: TypeAlias = Callable[[str, dict[str, Any], Signal, Callable[[Any], None]], Awaitable[AgentToolResult]]


@attrs.frozen(eq=False)
class AgentTool:
    """A tool of the seed's shape: ``await execute(tool_call_id, args, signal, on_update)`` gives an `AgentToolResult`."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=lambda: {"type": "object", "properties": {}})
    """A JSON Schema; arguments are checked against it before anything runs."""
    label: str = ""
    execute: SeedExecute | None = None
    timeout: float = DEFAULT_TIMEOUT

    def to_tool(self) -> Tool:
        """Give the tool.

        Raises:
            ToolDefinitionError: It has no `execute`, or its schema is none.
        """
        seed_execute = self.execute
        if seed_execute is None:
            raise ToolDefinitionError(self.name, "execute is missing")

        async def execute(arguments: Mapping[str, Any], ctx: ToolContext) -> AgentToolResult:
            return await seed_execute(ctx.tool_call_id, dict(arguments), ctx.signal, ctx.report)

        definition = ToolDefinition(self.name, self.description, self.parameters)
        return Tool(definition, _reader(self.name, self.parameters, {}), execute, timeout=_seconds(self.timeout))


def _reader(name: str, parameters: Mapping[str, Any], hints: Mapping[str, Any]) -> ArgumentReader:
    try:
        return ArgumentReader(name, parameters, hints)
    except ValueError as error:
        raise ToolDefinitionError(name, f"its parameters are no JSON Schema: {error}") from error


def _seconds(value: float) -> float:
    check_seconds("timeout", value)
    return value


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout: float = DEFAULT_TIMEOUT
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,  # the tool's own, told to the model's side; not of this function
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool: its signature and docstring become the schema that the model sees and arguments must fit.

    An async function runs as a task in a scope of its own; a sync one in a thread, which a cancel abandons; of an
    async generator each value but the last is progress. A parameter annotated `ToolContext` gets one.

    Args:
        function: The function.
        name: What the model calls it by; its own name if None.
        description: What the model is told; the docstring's text if None.
        timeout: Seconds it may run; ``inf`` for no limit.

    Raises:
        ToolDefinitionError: No schema can be made of a parameter; it is named.

    Example:
        >>> @tool(timeout=10)
        ... async def word_count(text: str) -> int:
        ...     '''Count the words of a text.'''
        ...     return len(text.split())
        >>> word_count.definition.parameters["required"]
        ['text']
    """
    if function is None:
        return lambda decorated: _make(decorated, name, description, timeout)
    return _make(function, name, description, timeout)


def _make(function: Callable[..., Any], name: str | None, description: str | None, seconds: float) -> Tool:
    named = name or function.__name__
    signature = read_signature(function, named)
    reader = _reader(named, signature.parameters, signature.hints)
    context_name = signature.context_name

    def execute(arguments: Mapping[str, Any], ctx: ToolContext) -> Any:
        return function(**arguments) if context_name is None else function(**arguments, **{context_name: ctx})

    is_sync = not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
    definition = ToolDefinition(named, description or signature.description, signature.parameters)
    return Tool(definition, reader, execute, is_sync, _seconds(seconds), function)


def to_tools(tools: Iterable[Tool | AgentTool]) -> tuple[Tool, ...]:
    """Give the tools of an agent.

    Raises:
        SpecError: One is no tool, or two have one name.
    """
    made: dict[str, Tool] = {}
    for item in tools:
        one = item.to_tool() if isinstance(item, AgentTool) else item
        if not isinstance(one, Tool):
            raise SpecError("tools", f"must be tools (see @tool), not {type(item).__name__}")
        if one.name in made:
            raise SpecError("tools", f"two tools are named {one.name!r}")
        made[one.name] = one
    return tuple(made.values())
