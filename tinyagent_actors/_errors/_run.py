"""Errors of tools and of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from tinyagent_actors._errors._root import RestartPolicy, TinyAgentError, name_cause


class ToolError(TinyAgentError):
    """Something about a tool."""


def _strings(value: Sequence[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.define(slots=False, eq=False)
class InvalidArgumentsError(ToolError):
    """The arguments do not fit the tool's schema. The tool did not run; the model reads this."""

    tool: str
    problems: Sequence[str] = attrs.field(converter=_strings)
    """One sentence each, beginning with the path of the argument."""

    def __str__(self) -> str:
        return f"invalid arguments for {self.tool}: " + "; ".join(self.problems)


@attrs.define(slots=False, eq=False)
class ToolDefinitionError(ToolError):
    """A function cannot be made a tool; `problem` names the parameter."""

    tool: str
    problem: str

    def __str__(self) -> str:
        return f"{self.tool}: {self.problem}"


@attrs.define(slots=False, eq=False)
class ToolTimeoutError(ToolError):
    """A deadline ended the tool. `deadline` names which: ``tool``, ``turn``, ``run`` or a name of yours."""

    tool: str
    deadline: str
    seconds: float | None = None

    def __str__(self) -> str:
        after = f" after {self.seconds:g} s" if self.seconds is not None else ""
        return f"{self.tool} was ended by the {self.deadline} deadline{after}"


class RunError(TinyAgentError):
    """A run was ended by a limit, or could not be begun."""

    restart_policy: ClassVar[RestartPolicy] = "never"


@attrs.define(slots=False, eq=False)
class AgentBusyError(RunError):
    """A run is going on; wait for it, or steer it."""

    agent: str

    def __str__(self) -> str:
        return f"{self.agent} is in a run already"


@attrs.define(slots=False, eq=False)
class BudgetExceededError(RunError):
    """The lease is spent. `which` names the unit: tokens, cost, turns, tool_calls or seconds."""

    path: str
    which: str

    def __str__(self) -> str:
        return f"{self.path}: the budget of {self.which} is spent"


@attrs.define(slots=False, eq=False)
class ChildLimitError(RunError):
    """An agent has started as many others as it may, and all of them work."""

    path: str
    children: int

    def __str__(self) -> str:
        return f"{self.path} has its {self.children} agents already, and all of them work; wait for one, or close one"


@attrs.define(slots=False, eq=False)
class DepthLimitError(RunError):
    """Runs ask one another as deep as they may: this one would be one deeper."""

    path: str
    """Of the agent that was not asked, or may start none."""
    depth: int

    def __str__(self) -> str:
        return f"{self.path}: agents ask one another {self.depth} deep already; do it yourself"


@attrs.define(slots=False, eq=False)
class CompactionError(RunError):
    """The transcript does not fit into the model's context, and could not be made shorter. Start afresh, or with another model."""

    problem: str

    def __str__(self) -> str:
        return f"the transcript is too long for the model, and was not compacted: {self.problem}"


@attrs.define(slots=False, eq=False)
class DeadlineExceededError(RunError):
    """A deadline ended the run; `deadline` names which: ``turn``, ``run``, ``caller``, or a clock of whoever asked for the run."""

    deadline: str
    path: str | None = None
    """The agent whose deadline it was."""

    def __str__(self) -> str:
        whose = f" of {self.path}" if self.path else ""
        return f"the {self.deadline} deadline{whose} has passed"


@attrs.define(slots=False, eq=False)
class HookError(RunError):
    """A hook of the application around model or turn raised; the run ended with it. `__cause__` is the exception itself."""

    restart_policy: ClassVar[RestartPolicy] = "default"

    hook: str
    """Its name, as the options have it."""
    cause: TinyAgentError
    """What it raised."""

    def __str__(self) -> str:
        return f"the hook {self.hook} raised: {name_cause(self.cause)}"


@attrs.define(slots=False, eq=False)
class OutputError(RunError):
    """The run came to no value of the type that was asked for."""

    problems: Sequence[str] = attrs.field(converter=_strings)
    """What was wrong with the latest attempt, a sentence each."""
    attempts: int
    """How many there were."""

    def __str__(self) -> str:
        return f"no answer of the type that was asked for after {self.attempts} attempts: " + "; ".join(self.problems)


@attrs.define(slots=False, eq=False)
class RepeatedCallError(RunError):
    """The model asked for the same call, with the same arguments, `times` times in a row."""

    tool: str
    times: int

    def __str__(self) -> str:
        return f"the same call of {self.tool} came {self.times} times in a row"


@attrs.define(slots=False, eq=False)
class TurnLimitError(RunError):
    """The run used all its turns; no further request was made."""

    turns: int

    def __str__(self) -> str:
        return f"the run used all of its {self.turns} turns"
