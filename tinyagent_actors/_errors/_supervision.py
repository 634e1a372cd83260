"""Errors of supervisors: what they refuse, and that they gave up."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from tinyagent_actors._errors._root import TinyAgentError, name_cause


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
class MaxChildrenError(SupervisionError):
    """The supervisor has as many children as it may; those that wait for a restart or are kept, stopped, count too."""

    supervisor: str
    max_children: int

    def __str__(self) -> str:
        return f"{self.supervisor} has its {self.max_children} children already"


@attrs.define(slots=False, eq=False)
class RestartIntensityExceededError(SupervisionError):
    """Children died more than `max_restarts` times in `max_seconds`; the supervisor gave up."""

    path: str
    max_restarts: int
    max_seconds: float
    cause: BaseException | None = attrs.field(default=None, repr=name_cause)
    """What the last child died of, if it was an exception."""

    def __str__(self) -> str:
        last = f"; last: {name_cause(self.cause)}" if self.cause is not None else ""
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
    cause: BaseException | None = attrs.field(default=None, repr=name_cause)

    def __str__(self) -> str:
        return f"the system {self.system!r} failed: {name_cause(self.cause)}"
