"""Events: what happened, as frozen values, and the converter to and from their dict shapes."""

from tinyagent_actors.events._actor import (
    ActorCrashedEvent,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    DeadLetterEvent,
    SubscriberFailedEvent,
    SupervisorGaveUpEvent,
    SystemStoppedEvent,
)
from tinyagent_actors.events._agent import (
    AgentEndEvent,
    AgentStartEvent,
    MessageEndEvent,
    MessageStartEvent,
    MessageUpdateEvent,
    TurnEndEvent,
    TurnStartEvent,
)
from tinyagent_actors.events._fact import as_fact
from tinyagent_actors.events._header import Event, Gap
from tinyagent_actors.events._partial import Partial
from tinyagent_actors.events._stream import (
    Delta,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    TextEnd,
    TextStart,
    ThinkingDelta,
    ThinkingEnd,
    ThinkingStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tinyagent_actors.events._tool import (
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    ToolExecutionUpdateEvent,
    ToolLateCompletionEvent,
)

__all__ = [
    "ActorCrashedEvent",
    "ActorRestartedEvent",
    "ActorStartedEvent",
    "ActorStoppedEvent",
    "AgentEndEvent",
    "AgentStartEvent",
    "DeadLetterEvent",
    "Delta",
    "Event",
    "Gap",
    "MessageEndEvent",
    "MessageStartEvent",
    "MessageUpdateEvent",
    "Partial",
    "StreamEnd",
    "StreamEvent",
    "StreamStart",
    "SubscriberFailedEvent",
    "SupervisorGaveUpEvent",
    "SystemStoppedEvent",
    "TextDelta",
    "TextEnd",
    "TextStart",
    "ThinkingDelta",
    "ThinkingEnd",
    "ThinkingStart",
    "ToolCallDelta",
    "ToolCallEnd",
    "ToolCallStart",
    "ToolExecutionEndEvent",
    "ToolExecutionStartEvent",
    "ToolExecutionUpdateEvent",
    "ToolLateCompletionEvent",
    "TurnEndEvent",
    "TurnStartEvent",
    "as_fact",
]
