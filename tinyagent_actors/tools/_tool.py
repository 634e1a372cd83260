"""Tool and `@tool`: a typed function that a model may call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, overload

import attrs

from tinyagent_actors._errors import SpecError, ToolDefinitionError
from tinyagent_actors.messages import AgentToolResult, ToolDefinition
from tinyagent_actors.tools._approval import APPROVAL_TIMEOUT, Approval
from tinyagent_actors.tools._arguments import ArgumentReader
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._isolation import Isolation
from tinyagent_actors.tools._options import CLEANUP_GRACE, DEFAULT_TIMEOUT, Effect, Locks, ToolOptions
from tinyagent_actors.tools._process_isolation import ProcessIsolation
from tinyagent_actors.tools._schema import read_signature
from tinyagent_actors.tools._signal import Signal
from tinyagent_actors.tools._task import TaskIsolation
from tinyagent_actors.tools._thread import ThreadIsolation

Execute: TypeAlias = Callable[[Mapping[str, Any], ToolContext], Any]
"""Runs a tool on arguments that were read: a coroutine, an async generator, or (if sync) the value itself."""


@attrs.frozen(eq=False)
class Tool:
    """A tool: what the model sees of it, and how it runs."""

    definition: ToolDefinition
    reader: ArgumentReader = attrs.field(repr=False)
    execute: Execute = attrs.field(repr=False)
    isolation: Isolation = attrs.field(factory=TaskIsolation)
    """The way it runs: as a task, in a thread, in a process."""
    options: ToolOptions = attrs.field(factory=ToolOptions)
    """How its calls are run."""
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
    approval: Approval = None
    """See `ToolOptions.approval`."""

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
        options = ToolOptions(timeout=self.timeout, approval=self.approval)
        return Tool(definition, _reader(self.name, self.parameters, {}), execute, options=options)


def _reader(name: str, parameters: Mapping[str, Any], hints: Mapping[str, Any]) -> ArgumentReader:
    try:
        return ArgumentReader(name, parameters, hints)
    except ValueError as error:
        raise ToolDefinitionError(name, f"its parameters are no JSON Schema: {error}") from error


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    cleanup_grace: float = CLEANUP_GRACE,
    effect: Effect = "once",
    retries: int = 0,
    locks: Locks = (),
    approval: Approval = None,
    approval_timeout: float = APPROVAL_TIMEOUT,
    fail_fast: bool = False,
    isolation: Isolation | Literal["process"] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(  # one keyword an option: it is how they are read in a user's code
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    isolation: Isolation | Literal["process"] | None = None,
    **options: Any,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool: its signature and docstring become the schema that the model sees and arguments must fit.

    An async function runs as a task in a scope of its own; a sync one in a thread, which a cancel abandons; of an
    async generator each value but the last is progress. A parameter annotated `ToolContext` gets one.

    Args:
        function: The function.
        name: What the model calls it by; its own name if None.
        description: What the model is told; the docstring's text if None.
        isolation: The way it runs, if not as said above; ``"process"``: in a process of its own, which a cancel kills at once.
        **options: The fields of `ToolOptions`: `timeout`, `cleanup_grace`, `effect`, `retries`, `locks`, `approval`,
            `approval_timeout`, `fail_fast`.

    Raises:
        ToolDefinitionError: No schema can be made of a parameter; it is named.
        SpecError: An option is wrong; it is named.

    Example:
        >>> @tool(timeout=10)
        ... async def word_count(text: str) -> int:
        ...     '''Count the words of a text.'''
        ...     return len(text.split())
        >>> word_count.definition.parameters["required"]
        ['text']
    """
    made = ToolOptions(**options)
    if function is None:
        return lambda decorated: _make(decorated, name, description, isolation, made)
    return _make(function, name, description, isolation, made)


def _make(
    function: Callable[..., Any],
    name: str | None,
    description: str | None,
    isolation: Isolation | Literal["process"] | None,
    options: ToolOptions,
) -> Tool:
    named = name or function.__name__
    signature = read_signature(function, named)
    reader = _reader(named, signature.parameters, signature.hints)
    context_name = signature.context_name

    def execute(arguments: Mapping[str, Any], ctx: ToolContext) -> Any:
        return function(**arguments) if context_name is None else function(**arguments, **{context_name: ctx})

    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    definition = ToolDefinition(named, description or signature.description, signature.parameters)
    if isolation == "process":
        isolation = ProcessIsolation.of(function, named)
    way = isolation or (TaskIsolation() if is_async else ThreadIsolation())
    return Tool(definition, reader, execute, way, options, function)


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
