"""Errors of one actor: who is gone, full, silent, or waits in a circle."""

from __future__ import annotations

from typing import Any

import attrs

from tinyagent_actors._errors._root import TinyAgentError, name_cause


@attrs.define(slots=False, eq=False)
class ActorDefinitionError(TinyAgentError):
    """A class cannot be an actor; raised when it is defined. `problem` names the handler."""

    actor: str
    problem: str

    def __str__(self) -> str:
        return f"{self.actor}: {self.problem}"


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
    cause: BaseException | None = attrs.field(default=None, repr=name_cause)
    """What it crashed with, if it was an exception."""

    def __str__(self) -> str:
        return (
            f"{self.path} died before it answered: {name_cause(self.cause)}"
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
class DeathPactError(ActorError):
    """An actor that this one monitors has ended, and it has no handler for `Down`: it ends too, as its supervisor's affair.

    Handle `Down` where the end of another is to be lived with. As in Akka, where it has the same name.
    """

    path: str
    """The actor that was monitored."""
    reason: str
    cause: BaseException | None = attrs.field(default=None, repr=name_cause)
    """What it ended with, if it was an exception."""

    def __str__(self) -> str:
        how = f"{self.reason}: {name_cause(self.cause)}" if self.cause is not None else self.reason
        return f"{self.path}, which is monitored, has ended ({how})"


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
class UnhandledMessageError(NotAnsweredError):
    """The actor has no handler for such a message (in its present state)."""

    message_type: str = "?"

    def __str__(self) -> str:
        return f"{self.path} has no handler for {self.message_type}"


@attrs.define(slots=False, eq=False)
class StashFullError(ActorError):
    """The actor has stashed as many messages as its mailbox may hold. Unstash some, or fail."""

    path: str
    capacity: int

    def __str__(self) -> str:
        return f"the stash of {self.path} is full ({self.capacity} messages)"


@attrs.define(slots=False, eq=False)
class StartFailedError(ActorError):
    """The actor failed before it had started."""

    path: str
    cause: BaseException | None = attrs.field(default=None, repr=name_cause)

    def __str__(self) -> str:
        return (
            f"{self.path} failed to start: {name_cause(self.cause)}"
            if self.cause is not None
            else f"{self.path} failed to start"
        )


@attrs.define(slots=False, eq=False)
class StartTimeoutError(StartFailedError):
    """The actor had not started when `start_timeout` was over."""

    cause: BaseException | None = attrs.field(default=None, repr=name_cause)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.path} had not started after {self.seconds:g} s"
