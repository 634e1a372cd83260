"""From what an MCP server lists and answers to tools and results of ours. All of it is a stranger's: bounded, checked, never believed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from tinyagent_actors.actors import Runtime, Via
from tinyagent_actors.messages import AgentToolResult, Content, ImageContent, TextContent, ToolDefinition
from tinyagent_actors.tools import ArgumentReader, Tool, ToolContext, ToolOptions

MOST_TOOLS: Final = 256
"""Tools of one server."""
LONGEST_SCHEMA: Final = 64 * 1024
"""Bytes of JSON."""
LONGEST_DESCRIPTION: Final = 4096
"""Characters."""
_LONGEST_NAME: Final = 64
"""Characters; what providers allow."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_ELSEWHERE: Final = frozenset({"$schema", "$id", "id"})
"""Members that would make a validator look for a schema somewhere else."""


@attrs.frozen
class CallTool:
    """An ask to the actor of a server: call a tool."""

    name: str
    """As the server calls it."""
    arguments: Mapping[str, Any] = attrs.field(repr=False)
    report: Callable[[object], None] = attrs.field(repr=False)


class UnfitToolError(Exception):
    """A tool that a server lists cannot be used."""


@attrs.define(eq=False)
class McpTools:
    """What tools the servers of one system have now."""

    by_server: dict[str, tuple[Tool, ...]] = attrs.field(factory=dict)

    async def aclose(self) -> None:
        """Nothing to close."""


def mcp_tools(runtime: Runtime) -> McpTools:
    """Give what tools the servers of a system have now."""
    return runtime.resource(McpTools, lambda _: McpTools())


def name_of(prefix: str, name: str) -> str:
    """Give the name by which a model calls a tool: prefixed, of letters that every provider takes, and short."""
    fit = _UNFIT.sub("_", f"{prefix}{name}")
    if len(fit) <= _LONGEST_NAME and fit == f"{prefix}{name}":
        return fit
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{fit[: _LONGEST_NAME - 7]}_{digest}"


def make_tools(
    listed: Iterable[Any], *, prefix: str, server: str, runtime: Runtime, seconds: float
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """Make tools of what a server lists; and say of those that are unfit, why.

    Args:
        listed: The library's `Tool` values.
        prefix: What their names begin with.
        server: The name under which its actor is registered.
        runtime: Of the system it belongs to.
        seconds: How long a call may take.
    """
    made: dict[str, Tool] = {}
    refused: list[str] = []
    for place, one in enumerate(listed):
        name = name_of(prefix, one.name)
        if place == MOST_TOOLS:  # none of them is made, nor looked at: each takes its time
            refused.append(f"{name}: more than {MOST_TOOLS} tools; it and what follows is left out")
            break
        if name in made:
            refused.append(f"{name}: its name is listed twice")
            continue
        try:
            made[name] = _make_tool(one, name, server, runtime, seconds)
        except UnfitToolError as error:
            refused.append(f"{name}: {error}")
    return tuple(made.values()), tuple(refused)


def _make_tool(listed: Any, name: str, server: str, runtime: Runtime, seconds: float) -> Tool:
    schema = _checked(listed.input_schema)
    description = (listed.description or listed.title or "")[:LONGEST_DESCRIPTION]
    try:
        reader = ArgumentReader(name, schema, {})
    except ValueError as error:
        raise UnfitToolError(f"its schema is none: {str(error)[:200]}") from error
    remote = listed.name

    async def execute(arguments: Mapping[str, Any], ctx: ToolContext) -> Any:
        return await Via(server, runtime).ask(CallTool(remote, dict(arguments), ctx.report))

    return Tool(ToolDefinition(name, description, schema), reader, execute, options=ToolOptions(timeout=seconds))


def _checked(schema: Any) -> dict[str, Any]:
    """Give a schema that leads nowhere else.

    Raises:
        UnfitToolError: It is too long, is none of an object, or refers to something outside itself.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise UnfitToolError("its schema is not that of an object")
    try:
        if len(orjson.dumps(schema)) > LONGEST_SCHEMA:
            raise UnfitToolError(f"its schema is longer than {LONGEST_SCHEMA} bytes")
    except (TypeError, orjson.JSONEncodeError, RecursionError) as error:
        raise UnfitToolError("its schema is no JSON") from error
    _check_references(schema)
    return {name: value for name, value in schema.items() if name not in _ELSEWHERE}


def _check_references(schema: Any) -> None:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            for name in _REFERENCES & part.keys():
                if not (isinstance(part[name], str) and part[name].startswith("#")):
                    raise UnfitToolError("its schema refers to something outside itself")
            if part is not schema and isinstance(part.get("$id"), str):
                raise UnfitToolError("its schema refers to something outside itself")


def to_tool_result(answer: Any) -> AgentToolResult:
    """Give the result for what a server answered."""
    blocks = tuple(_to_block(block) for block in answer.content)
    structured = answer.structured_content
    if not blocks and structured is not None:
        blocks = (TextContent(orjson.dumps(structured).decode()),)
    return AgentToolResult(blocks or (TextContent("done"),), details=structured, is_error=bool(answer.is_error))


def _to_block(block: Any) -> Content:
    match block.type:
        case "text":
            return TextContent(block.text)
        case "image":
            return ImageContent(data=block.data, mime_type=block.mime_type)
        case "resource" if getattr(block.resource, "text", None) is not None:
            return TextContent(f"[{block.resource.uri}]\n{block.resource.text}")
        case "resource":
            return TextContent(f"[{block.resource.uri}: {len(block.resource.blob)} characters of base64, left out]")
        case "resource_link":
            return TextContent(f"[{block.name}: {block.uri}]")
        case kind:
            return TextContent(f"[{kind}, left out]")
