"""McpServer: an MCP server as a supervised actor, and as a source of tools."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import (
    ActorRef,
    Backoff,
    ChildSpec,
    RestartType,
    check_name,
    check_seconds,
    current_runtime,
)
from tinyagent_actors.agents._mcp_actor import run_mcp_server
from tinyagent_actors.agents._mcp_tools import mcp_tools
from tinyagent_actors.tools import Tool

CALL_TIMEOUT: Final = 120.0
"""Seconds."""


def _check_name(_: object, __: object, value: Any) -> None:
    check_name(value)


def _check_seconds(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    check_seconds(field.name, value)


def _to_command(value: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(value, str):
        raise SpecError("command", "must be a sequence of words, the program first; no shell reads it")
    return None if value is None else tuple(value)


@attrs.frozen
class McpServer:
    """A server of tools: a program that is started and spoken to by its stdin and stdout, or one that is reached by HTTP.

    It stands among a supervisor's children, which starts it again when it goes, and among an agent's tools, where it stands for
    those that it has when a request is made. Needs the extra `mcp`.

    Raises:
        SpecError: A field is wrong, or the extra is not installed. Nothing is started.

    Example:
        >>> files = McpServer("files", command=["mcp-server-files", "/srv/data"])
        >>> system.start_child(supervisor("team", children=[files, AgentSpec("clerk", model=model, tools=[files])]))
    """

    name: str = attrs.field(validator=_check_name)
    command: tuple[str, ...] | None = attrs.field(default=None, converter=_to_command, kw_only=True)
    """The program and its words. Or `url`."""
    url: str | None = attrs.field(default=None, kw_only=True)
    """Of its endpoint (streamable HTTP)."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, kw_only=True)
    """Sent with each request to `url`, such as ``Authorization``."""
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False, kw_only=True)
    """Variables for the program, besides those that a shell needs; keys of this process are not among these."""
    cwd: Path | str | None = attrs.field(default=None, kw_only=True)
    prefix: str | None = attrs.field(default=None, kw_only=True)
    """What the names of its tools begin with; None: its name and ``_``."""
    call_timeout: float = attrs.field(default=CALL_TIMEOUT, validator=_check_seconds, kw_only=True)
    """Seconds that it has for one call; then it is asked whether it lives."""
    calls: int = attrs.field(
        default=16, validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)], kw_only=True
    )
    """How many it has at once; others wait."""
    restart: RestartType = attrs.field(default="permanent", kw_only=True)
    start_timeout: float = attrs.field(default=30.0, validator=_check_seconds, kw_only=True)
    """Seconds to start, agree on the protocol and list its tools."""
    shutdown: float = attrs.field(default=10.0, validator=_check_seconds, kw_only=True)
    backoff: Backoff = attrs.field(factory=lambda: Backoff(min_seconds=1.0, max_seconds=30.0), kw_only=True)
    """How long to wait before it is started again."""

    def __attrs_post_init__(self) -> None:
        if (self.command is None) == (self.url is None):
            raise SpecError("command", "or url must be given, and not both")
        if self.command == ():
            raise SpecError("command", "must begin with a program")
        if importlib.util.find_spec("mcp") is None:
            raise SpecError("mcp", "is not installed: pip install 'tinyagent-actors[mcp]'")

    @property
    def registered(self) -> str:
        """The name under which its actor is found."""
        return f"mcp-{self.name}"

    @property
    def tool_prefix(self) -> str:
        """What the names of its tools begin with."""
        return f"{self.name}_" if self.prefix is None else self.prefix

    def current_tools(self) -> tuple[Tool, ...]:
        """Give the tools that it has now, in the system of this task; while it is started again, those that it had."""
        return mcp_tools(current_runtime()).by_server.get(self.name, ())

    def to_child_spec(self) -> ChildSpec[object, object, ActorRef]:
        """Give the spec of its actor."""
        from tinyagent_actors.tools.library import clean_environment

        environment = clean_environment(self.env)
        return ChildSpec(
            self.name,
            run_mcp_server,
            args=(self, environment),
            restart=self.restart,
            start_timeout=self.start_timeout,
            shutdown=self.shutdown,
            backoff=self.backoff,
            register=self.registered,
        )
