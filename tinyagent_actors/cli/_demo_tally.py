"""The demo's figures, kept from the events of the system and from nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Final

import attrs

from tinyagent_actors.events import (
    ActorCrashedEvent,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    AgentEndEvent,
    Event,
    Gap,
    MessageEndEvent,
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    TurnStartEvent,
)
from tinyagent_actors.messages import AssistantMessage, Usage

LEAD: Final = "/team/lead"
READERS: Final = "/team/reader-"
TOOL_OUTCOMES: Final = ("finished", "failed", "timed_out", "cancelled", "abandoned")


@attrs.define(eq=False)
class ReaderState:
    """What a reader does now, as far as events tell."""

    state: str = "idle"
    surveyed: int = 0
    crashes: int = 0


@attrs.define(eq=False)
class Tally:
    """Counts what happened."""

    events: int = 0
    """The `seq` of the latest."""
    started: int = 0
    crashed: int = 0
    restarted: int = 0
    stopped: int = 0
    """Actors that were stopped, of any kind; one that crashed was not."""
    surveyed: int = 0
    tools: Counter[str] = attrs.field(factory=Counter)
    usage: Usage = attrs.field(factory=Usage)
    lead: str = "not started"
    """What the lead does now."""
    readers: dict[str, ReaderState] = attrs.field(factory=dict)
    notes: list[str] = attrs.field(factory=list)
    """Lines worth telling that have not been told."""

    def take(self, event: Event | Gap) -> None:
        """Count one event."""
        if isinstance(event, Gap):
            self.events = event.last
            return
        self.events = event.seq
        match event:
            case ToolExecutionStartEvent() | ToolExecutionEndEvent():
                self._take_tool(event)
            case MessageEndEvent(message=AssistantMessage(usage=Usage() as usage)):
                self.usage += usage
            case TurnStartEvent():
                self._reader(event).state = "asks the model"
            case AgentEndEvent():
                self._reader(event).state = "idle"
            case _:
                self._take_actor(event)

    def _take_tool(self, event: ToolExecutionStartEvent | ToolExecutionEndEvent) -> None:
        reader = self._reader(event)
        if isinstance(event, ToolExecutionStartEvent):
            reader.state = event.tool_name
            return
        outcome = "failed" if event.is_error and event.outcome == "finished" else event.outcome
        self.tools[outcome] += 1
        if event.tool_name == "survey_file" and outcome == "finished":
            reader.surveyed += 1
            self.surveyed += 1
        elif outcome == "timed_out":
            self.notes.append(f"{event.path}: {event.tool_name} timed out after {event.seconds:.1f} s and was ended")

    def _take_actor(self, event: Event) -> None:
        if event.path == LEAD:
            self.lead = {"actor_started": "works", "actor_stopped": "stopped"}.get(event.type, self.lead)
        is_reader = event.path.startswith(READERS)
        match event:
            case ActorStartedEvent() if is_reader:
                self.started += 1
                self._reader(event)
                self.notes.append(f"{event.path}: started")
            case ActorRestartedEvent() if is_reader:
                self.restarted += 1
                self._reader(event).state = "restarted"
                self.notes.append(f"{event.path}: started again (incarnation {event.incarnation})")
            case ActorCrashedEvent(error=error, reason=reason):
                if is_reader:
                    self.crashed += 1
                    self._reader(event).crashes += 1
                    self._reader(event).state = "crashed"
                self.notes.append(f"{event.path}: crashed ({error or reason})")
            case ActorStoppedEvent():
                self.stopped += 1
                if is_reader:
                    self._reader(event).state = "stopped"

    def _reader(self, event: Event) -> ReaderState:
        return self.readers.setdefault(event.path.rpartition("/")[2], ReaderState())
