"""Events of actors, supervisors and the system."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.events._header import Event


@attrs.frozen(kw_only=True)
class ActorStartedEvent(Event):
    """An actor has started: it is ready for work."""

    type: ClassVar[Literal["actor_started"]] = "actor_started"

    incarnation: int


@attrs.frozen(kw_only=True)
class ActorRestartedEvent(Event):
    """An actor has started again in the place of one that went."""

    type: ClassVar[Literal["actor_restarted"]] = "actor_restarted"

    incarnation: int


@attrs.frozen(kw_only=True)
class ActorRestartScheduledEvent(Event):
    """An actor that ended will be started again, after a back-off."""

    type: ClassVar[Literal["actor_restart_scheduled"]] = "actor_restart_scheduled"

    incarnation: int
    """The one that ended."""
    seconds: float
    """How long it waits."""
    failures: int
    """How often it ended in a row without a quiet period between, this time included."""


@attrs.frozen(kw_only=True)
class _ExitEvent(Event):
    incarnation: int
    reason: str
    """normal, shutdown, killed, error, start_failed or ignored."""
    error: TinyAgentError | None = None
    by: str | None = None
    """Who ended it: a path, or a name such as ``SIGINT``."""
    why: str | None = None
    source: str | None = None
    """Through what: stop, kill, link, deadline, strategy, auto_shutdown, shutdown, outer."""


@attrs.frozen(kw_only=True)
class ActorStoppedEvent(_ExitEvent):
    """An actor ended as it should: by itself, or because it was stopped. Its task is gone."""

    type: ClassVar[Literal["actor_stopped"]] = "actor_stopped"


@attrs.frozen(kw_only=True)
class ActorCrashedEvent(_ExitEvent):
    """An actor ended abnormally. Its task is gone."""

    type: ClassVar[Literal["actor_crashed"]] = "actor_crashed"


@attrs.frozen(kw_only=True)
class SupervisorGaveUpEvent(Event):
    """Children of a supervisor died too often; it stops them all and ends."""

    type: ClassVar[Literal["supervisor_gave_up"]] = "supervisor_gave_up"

    max_restarts: int
    max_seconds: float
    error: TinyAgentError | None = None


@attrs.frozen(kw_only=True)
class DeadLetterEvent(Event):
    """Messages that nobody will handle. At most 10 a second are told for one target; `count` says how many it stands for."""

    type: ClassVar[Literal["dead_letter"]] = "dead_letter"

    message_type: str
    reason: str
    """stopped, late_reply, crashed_in_hand, parked, dropped, second_reply, unhandled or no_asker."""
    count: int = 1


@attrs.frozen(kw_only=True)
class SubscriberFailedEvent(Event):
    """A listener or sink raised, or was too slow and was cut off. Nobody else was touched."""

    type: ClassVar[Literal["subscriber_failed"]] = "subscriber_failed"

    subscriber: str
    error: TinyAgentError


@attrs.frozen(kw_only=True)
class LoopBlockedEvent(Event):
    """An actor held the loop, and with it everybody else, in one step that took too long. ``/``: it was no actor."""

    type: ClassVar[Literal["loop_blocked"]] = "loop_blocked"

    seconds: float
    """For how long at least."""
    where: str
    """File, line and function in which it was seen last."""


@attrs.frozen(kw_only=True)
class SystemStoppedEvent(Event):
    """The last event of a system: everything below it is gone but what is counted here."""

    type: ClassVar[Literal["system_stopped"]] = "system_stopped"

    tasks: int = 0
    threads: int = 0
    streams: int = 0
    processes: int = 0
    names: tuple[str, ...] = ()
    """What is left, named."""
