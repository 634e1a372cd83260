"""The root of the tree of errors, and what stands alone below it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

RestartPolicy = Literal["default", "backoff", "compact", "never"]


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


def name_cause(cause: BaseException | None) -> str:
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
