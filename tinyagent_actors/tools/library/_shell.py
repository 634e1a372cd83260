"""The shell as a tool: a command in a session of its own, with a clean environment and bounded output.

Safe in what it leaves (nothing) and in what it is told (no variable of this process but those that a shell needs). It is
no sandbox: a command has the rights of this process. Give it to models that you trust that far, or put a container around it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from tinyagent_actors.actors import current_runtime
from tinyagent_actors.tools._command import CommandOutput, end_of, run_command
from tinyagent_actors.tools._context import ToolContext
from tinyagent_actors.tools._process_group import GRACE
from tinyagent_actors.tools._spill import spill_files
from tinyagent_actors.tools._tool import Tool, tool

INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""The variables that a command gets of this process's environment: none that holds a key."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment without secrets: the `INHERITED` variables, and what is given besides."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(extra or {})


def shell_tool(
    root: Path | str,
    *,
    env: Mapping[str, str] | None = None,
    seconds: float = 120.0,
    grace: float = GRACE,
    program: str = "/bin/sh",
) -> Tool:
    """Make a tool that runs commands of the shell in a folder.

    A command that is cancelled, or takes too long, ends with all that it started, and the model reads what it had put out. So
    does one that leaves something running: nothing outlives the call.

    Args:
        root: Where commands start. They may go elsewhere: it is no sandbox.
        env: Variables besides those that a shell needs; the keys of this process are not among these.
        seconds: How long a command may take at most; a model may ask for less.
        grace: Seconds between TERM and KILL; a run that is cancelled waits so long for a command that does not end.
        program: The shell.
    """
    folder = Path(root).resolve()
    environment = clean_environment(env)

    @tool(name="run_command", timeout=seconds + grace + 5, cleanup_grace=grace + 3)
    async def run(ctx: ToolContext, command: str, timeout_seconds: float | None = None) -> str:
        """Run a command in the shell and give what it puts out (stdout and stderr) with its exit code.

        Nothing is asked: there is no terminal and no input. What it leaves running in the background is ended with it.

        Args:
            ctx: The call.
            command: The command, as typed in a shell.
            timeout_seconds: End it after so many seconds.
        """
        limit = seconds if timeout_seconds is None else max(0.0, min(timeout_seconds, seconds))
        output = CommandOutput(lambda: spill_files(current_runtime()).open("run_command"))
        ctx.keep(output.text)
        with trio.move_on_after(limit) as scope:
            returncode = await run_command(
                [program, "-c", command],
                name=f"run_command of {ctx.path}",
                output=output,
                cwd=folder,
                env=environment,
                grace=grace,
            )
        ending = f"timed out after {limit:g} s" if scope.cancelled_caught else end_of(returncode)
        return f"{output.text().rstrip()}\n[{ending}]".lstrip("\n")

    return run
