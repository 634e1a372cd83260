"""Every exception of the package, in one tree.

::

    TinyAgentError
    ├── ForeignError               somebody else's exception, as a value in a record
    ├── ValueShapeError            data from outside does not have the shape asked for; names the field
    ├── SpecError                  a child spec or an option is wrong; names the field; nothing was started
    ├── ActorError                 something about one actor
    │   ├── ActorStoppedError      the actor is gone: ask somebody else
    │   │   └── ActorDiedError     it crashed with your ask in hand; `cause` says how
    │   ├── AlreadyRegisteredError somebody has that name; `owner` is it
    │   ├── AskCycleError          this ask would wait for itself; `cycle` is the path
    │   ├── MailboxFullError       no room; wait with `tell`, or send less
    │   ├── NoMembersError         there is nobody (left) to send to
    │   ├── NotAnsweredError       the actor went on without a reply
    │   ├── NotRegisteredError     nobody has that name (now)
    │   └── StartFailedError       the actor failed before it had started
    │       └── StartTimeoutError  it had not started after `start_timeout`
    ├── SupervisionError           a supervisor refused
    │   ├── AlreadyPresentError    a stopped child has that name
    │   ├── AlreadyStartedError    a running child has that name; `ref` is it
    │   ├── ChildNotFoundError     no child has that name
    │   ├── ChildRunningError      the child must be stopped first
    │   ├── RestartIntensityExceededError   children died too often
    │   ├── SupervisorStoppingError         the supervisor is stopping
    │   └── SystemFailedError      the root supervisor gave up; raised by `open_system`
    ├── SubscriberTooSlowError     a blocking subscriber did not make room in time and was cut off
    ├── LogFileError               the log cannot be written; the run goes on without it
    ├── EngineUnavailableError     the engine that was named is not built here
    ├── ProviderError              what a model's provider did wrong; a value as well as an exception
    ├── ToolError                  something about a tool
    │   ├── InvalidArgumentsError  the model's arguments do not fit; every problem is named
    │   ├── ToolDefinitionError    a function cannot be made a tool
    │   └── ToolTimeoutError       a deadline ended the tool; `deadline` names which
    └── RunError                   a run was ended by a limit, or could not be begun
        ├── AgentBusyError         a run is going on
        ├── BudgetExceededError    the lease is spent
        ├── DeadlineExceededError  a deadline ended the run; `deadline` names which
        ├── RepeatedCallError      the model repeats itself
        └── TurnLimitError         too many turns

Each class takes facts as attributes and writes its sentence in ``__str__``; all can be pickled. How a supervisor treats an
exit is read from ``restart_policy`` of its error and from nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs

RestartPolicy = Literal["default", "backoff", "compact", "never"]

ErrorKind = Literal[
    "truncated",
    "timeout",
    "connection_error",
    "provider_error",
    "rate_limited",
    "overloaded",
    "auth",
    "protocol_error",
    "malformed_event",
    "empty_response",
    "content_filter",
    "refusal",
    "redirect",
    "event_too_large",
    "context_overflow",
]


class TinyAgentError(Exception):
    """The root of everything this package raises on its own account.

    Two of one class are equal when their facts are, so that an error read back from a record equals the one written.
    """

    restart_policy: ClassVar[RestartPolicy] = "default"

    def facts(self) -> dict[str, Any]:
        """Give what it says, by name: the fields that make two of a class equal, and that a record keeps."""
        cls = type(self)
        if attrs.has(cls):
            return {field.name: getattr(self, field.name) for field in attrs.fields(cls) if field.eq}
        return {"args": self.args}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TinyAgentError) and type(self) is type(other) and self.facts() == other.facts()

    def __hash__(self) -> int:
        return hash((type(self).__name__, str(self)))


def _name_cause(cause: BaseException | None) -> str:
    """Give a cause for a sentence or a repr: ours in full; of anybody else's the class only, its text may hold secrets."""
    if cause is None:
        return "unknown"
    if isinstance(cause, TinyAgentError):
        return str(cause)
    return type(cause).__name__


@attrs.define(slots=False, eq=False)
class ForeignError(TinyAgentError):
    """An exception that is not ours, as a value: what is left of it in a record. `__cause__` is the exception itself."""

    error_type: str
    message: str

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}"


@attrs.define(slots=False, eq=False)
class ValueShapeError(TinyAgentError):
    """Data from outside (a dict, a file, a record) does not have the shape asked for."""

    field: str
    """Path of the offending member, such as ``messages[2].content[0].text``."""
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@attrs.define(slots=False, eq=False)
class SpecError(TinyAgentError):
    """A child spec or an option is wrong. Nothing was started."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class ActorError(TinyAgentError):
    """Something about one actor."""


@attrs.define(slots=False, eq=False)
class ActorStoppedError(ActorError):
    """The actor is gone, or went before it could answer."""

    path: str
    reason: str = "stopped"

    def __str__(self) -> str:
        return f"{self.path} is not running ({self.reason})"


@attrs.define(slots=False, eq=False)
class ActorDiedError(ActorStoppedError):
    """The actor crashed while it had this ask in hand."""

    reason: str = "error"
    cause: BaseException | None = attrs.field(default=None, repr=_name_cause)
    """What it crashed with, if it was an exception."""

    def __str__(self) -> str:
        return (
            f"{self.path} died before it answered: {_name_cause(self.cause)}"
            if self.cause is not None
            else super().__str__()
        )


@attrs.define(slots=False, eq=False)
class AlreadyRegisteredError(ActorError):
    """Somebody has that name. A child that was to take it has failed to start, for that cause."""

    name: str
    path: str
    """Whose it is."""
    owner: Any = attrs.field(default=None, eq=False, repr=False)
    """The ref of that actor, as long as the error stays in the process that raised it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.path)

    def __str__(self) -> str:
        return f"the name {self.name!r} is that of {self.path}"


@attrs.define(slots=False, eq=False)
class NotRegisteredError(ActorError):
    """Nobody has that name now. Whoever had it may be starting again: wait for it, or try later."""

    name: str

    def __str__(self) -> str:
        return f"nobody has the name {self.name!r}"


@attrs.define(slots=False, eq=False)
class NoMembersError(ActorError):
    """There is nobody to send to: every member is gone, or none ever came."""

    where: str
    """The router or queue."""

    def __str__(self) -> str:
        return f"{self.where} has no members"


@attrs.define(slots=False, eq=False)
class AskCycleError(ActorError):
    """This ask would close a circle of actors that wait for each other, for ever."""

    cycle: tuple[str, ...]
    """Paths, beginning and ending with the same one."""

    def __str__(self) -> str:
        return "asking would close a cycle: " + " -> ".join(self.cycle)


@attrs.define(slots=False, eq=False)
class MailboxFullError(ActorError):
    """The mailbox has no room. `tell` waits for room; `tell_nowait` raises this."""

    path: str
    capacity: int

    def __str__(self) -> str:
        return f"the mailbox of {self.path} is full ({self.capacity} messages)"


@attrs.define(slots=False, eq=False)
class NotAnsweredError(ActorError):
    """The actor finished with the message without a reply."""

    path: str

    def __str__(self) -> str:
        return f"{self.path} went on without answering"


@attrs.define(slots=False, eq=False)
class StartFailedError(ActorError):
    """The actor failed before it had started."""

    path: str
    cause: BaseException | None = attrs.field(default=None, repr=_name_cause)

    def __str__(self) -> str:
        return (
            f"{self.path} failed to start: {_name_cause(self.cause)}"
            if self.cause is not None
            else f"{self.path} failed to start"
        )


@attrs.define(slots=False, eq=False)
class StartTimeoutError(StartFailedError):
    """The actor had not started when `start_timeout` was over."""

    cause: BaseException | None = attrs.field(default=None, repr=_name_cause)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.path} had not started after {self.seconds:g} s"


class SupervisionError(TinyAgentError):
    """A supervisor refused what was asked of it."""


@attrs.define(slots=False, eq=False)
class _ChildError(SupervisionError):
    supervisor: str
    child: str

    problem: ClassVar[str] = ""

    def __str__(self) -> str:
        return f"{self.supervisor}: child {self.child!r} {self.problem}"


class AlreadyPresentError(_ChildError):
    """A child of that name is kept, stopped. Restart or delete it."""

    problem = "is already present (stopped)"


@attrs.define(slots=False, eq=False)
class AlreadyStartedError(_ChildError):
    """A child of that name runs; `ref` is it, as long as the error stays in the process that raised it."""

    ref: Any = attrs.field(default=None, eq=False, repr=False)
    problem = "is already started"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.supervisor, self.child)


class ChildNotFoundError(_ChildError):
    """No child of this supervisor has that name (or that ref)."""

    problem = "is not a child of it"


@attrs.define(slots=False, eq=False)
class ChildRunningError(_ChildError):
    """The child must be stopped first; `state` says what it does."""

    state: str = "running"

    def __str__(self) -> str:
        return f"{self.supervisor}: child {self.child!r} is {self.state}"


@attrs.define(slots=False, eq=False)
class RestartIntensityExceededError(SupervisionError):
    """Children died more than `max_restarts` times in `max_seconds`; the supervisor gave up."""

    path: str
    max_restarts: int
    max_seconds: float
    cause: BaseException | None = attrs.field(default=None, repr=_name_cause)
    """What the last child died of, if it was an exception."""

    def __str__(self) -> str:
        last = f"; last: {_name_cause(self.cause)}" if self.cause is not None else ""
        return f"{self.path} gave up: more than {self.max_restarts} restarts in {self.max_seconds:g} s{last}"


@attrs.define(slots=False, eq=False)
class SupervisorStoppingError(SupervisionError):
    """The supervisor is stopping and takes no more orders."""

    path: str

    def __str__(self) -> str:
        return f"{self.path} is stopping"


@attrs.define(slots=False, eq=False)
class SystemFailedError(SupervisionError):
    """The root supervisor gave up; `open_system` raises this."""

    system: str
    cause: BaseException | None = attrs.field(default=None, repr=_name_cause)

    def __str__(self) -> str:
        return f"the system {self.system!r} failed: {_name_cause(self.cause)}"


@attrs.define(slots=False, eq=False)
class SubscriberTooSlowError(TinyAgentError):
    """A subscriber with the policy `block` made no room within `seconds` and was cut off."""

    pattern: str
    seconds: float

    def __str__(self) -> str:
        return f"the subscriber to {self.pattern!r} made no room for {self.seconds:g} s"


@attrs.define(slots=False, eq=False)
class LogFileError(TinyAgentError):
    """A log file cannot be opened or written. What is lost of the log is told in it as a gap; no run is touched."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"cannot write the log {self.file}: {self.problem}"


@attrs.define(slots=False, eq=False)
class EngineUnavailableError(TinyAgentError):
    """The engine that was named is not built here. Nothing falls back in silence."""

    restart_policy = "never"

    engine: str
    reason: str

    def __str__(self) -> str:
        return f"the engine {self.engine!r} is not available: {self.reason}"


_KIND_RESTARTS: dict[str, RestartPolicy] = {
    "auth": "never",
    "refusal": "never",
    "content_filter": "never",
    "redirect": "never",
    "context_overflow": "compact",
    "malformed_event": "backoff",
    "protocol_error": "backoff",
    "event_too_large": "never",
}


@attrs.define(slots=False, eq=False)
class ProviderError(TinyAgentError):
    """What a provider did wrong: a value on `AssistantMessage.error`, an exception where a caller wants one.

    Two of them are equal when their fields are. `retry_after` is in seconds. `message` never holds a credential.
    """

    kind: ErrorKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    retryable: bool = False

    @property
    def restart_policy(self) -> RestartPolicy:  # type: ignore[override]  # by kind, so not a class variable here
        """How a supervisor treats an agent that died of it."""
        return _KIND_RESTARTS.get(self.kind, "backoff" if self.retryable else "never")

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        return f"{self.kind}{status}: {self.message}"


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

    restart_policy = "never"


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
class DeadlineExceededError(RunError):
    """A deadline ended the run; `deadline` names which."""

    deadline: str

    def __str__(self) -> str:
        return f"the {self.deadline} deadline has passed"


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
