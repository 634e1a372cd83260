"""Errors of what tools reach outside: files, addresses, processes, servers of tools."""

from __future__ import annotations

import attrs

from tinyagent_actors._errors._root import TinyAgentError
from tinyagent_actors._errors._run import ToolError


@attrs.define(slots=False, eq=False)
class PathRefusedError(ToolError):
    """A name leads out of the folder that a tool may use, or to what it must not open. Nothing was touched."""

    path: str
    """As it was given, or relative to the folder."""
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


@attrs.define(slots=False, eq=False)
class AddressRefusedError(ToolError):
    """An address must not be fetched from: a private one, or no address of the web. Nothing was sent to it."""

    address: str
    """Host or scheme; no user, password or query."""
    problem: str

    def __str__(self) -> str:
        return f"{self.address} {self.problem}"


@attrs.define(slots=False, eq=False)
class FetchError(ToolError):
    """A page could not be fetched; `problem` says why."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@attrs.define(slots=False, eq=False)
class ToolCrashedError(ToolError):
    """The process of a tool ended without a result."""

    tool: str
    how: str
    """Such as ``ended by SIGSEGV``."""
    said: str = ""
    """The end of what it wrote to stderr."""

    def __str__(self) -> str:
        return f"the process of {self.tool} gave no result: {self.how}" + (
            f"; it said: {self.said}" if self.said else ""
        )


@attrs.define(slots=False, eq=False)
class McpServerError(TinyAgentError):
    """An MCP server could not be started, broke the protocol, or went away. Its actor is started again, after a back-off."""

    restart_policy = "backoff"

    server: str
    problem: str

    def __str__(self) -> str:
        return f"the MCP server {self.server} {self.problem}"
