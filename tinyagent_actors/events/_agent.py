"""Events of an agent: its runs, turns and messages."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.events._header import Event
from tinyagent_actors.events._partial import Partial
from tinyagent_actors.events._stream import StreamEvent
from tinyagent_actors.messages import AssistantMessage, Message, ToolResultMessage


@attrs.frozen(kw_only=True)
class AgentStartEvent(Event):
    """A run begins."""

    type: ClassVar[Literal["agent_start"]] = "agent_start"


@attrs.frozen(kw_only=True)
class AgentEndEvent(Event):
    """A run is over; nothing of it is left running."""

    type: ClassVar[Literal["agent_end"]] = "agent_end"

    messages: tuple[Message, ...] = ()
    """What the run added to the transcript."""
    error: TinyAgentError | None = None
    """The limit or failure that ended it, if one did."""
    by: str | None = None
    """Who ended it early, if somebody did ..."""
    why: str | None = None
    source: str | None = None
    """... and through what: interrupt, withdrawn (whoever asked went away), stop, kill, outer."""


@attrs.frozen(kw_only=True)
class TurnStartEvent(Event):
    """A turn begins: a request is about to be made."""

    type: ClassVar[Literal["turn_start"]] = "turn_start"


@attrs.frozen(kw_only=True)
class TurnEndEvent(Event):
    """A turn is over: the model has answered, and every call has its result."""

    type: ClassVar[Literal["turn_end"]] = "turn_end"

    message: AssistantMessage
    tool_results: tuple[ToolResultMessage, ...] = ()


@attrs.frozen(kw_only=True)
class MessageStartEvent(Event):
    """A message begins; of the model's, nothing has come yet."""

    type: ClassVar[Literal["message_start"]] = "message_start"

    message: Message


@attrs.frozen(kw_only=True)
class MessageUpdateEvent(Event):
    """The model said something more.

    A subscriber that conflates gets neighbouring deltas of one block as one event; it stands for `first_seq` to `seq`.
    """

    type: ClassVar[Literal["message_update"]] = "message_update"

    assistant_message_event: StreamEvent
    first_seq: int = attrs.field(default=attrs.Factory(lambda self: self.seq, takes_self=True))
    partial: Partial | None = attrs.field(default=None, eq=False, repr=False)
    """None where the event was read back from a record."""

    @property
    def message(self) -> AssistantMessage | None:
        """The message as it stood after this event, folded when it is asked for."""
        return None if self.partial is None else self.partial.message()


@attrs.frozen(kw_only=True)
class MessageEndEvent(Event):
    """A message is complete and part of the transcript."""

    type: ClassVar[Literal["message_end"]] = "message_end"

    message: Message
