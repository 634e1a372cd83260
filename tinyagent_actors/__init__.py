"""tinyagent_actors: OTP for LLM agents, in Python, on Trio.

Every agent is a task with a mailbox in a supervised tree; tools run in scopes that end; provider streams feed typed events
onto bounded channels; every event says what led to it. Names are loaded when they are first used, so that importing the
package costs little more than importing Trio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyagent_actors._errors import (
        ActorDefinitionError,
        ActorDiedError,
        ActorError,
        ActorStoppedError,
        AgentBusyError,
        AlreadyPresentError,
        AlreadyRegisteredError,
        AlreadyStartedError,
        AskCycleError,
        ChildNotFoundError,
        ChildRunningError,
        DeadlineExceededError,
        DeathPactError,
        EngineUnavailableError,
        ForeignError,
        InvalidArgumentsError,
        MailboxFullError,
        MaxChildrenError,
        NoMembersError,
        NotAnsweredError,
        NotRegisteredError,
        ProviderError,
        RepeatedCallError,
        RestartIntensityExceededError,
        RunError,
        SpecError,
        StartFailedError,
        StartTimeoutError,
        StashFullError,
        SubscriberTooSlowError,
        SupervisionError,
        SupervisorStoppingError,
        SystemFailedError,
        TinyAgentError,
        ToolDefinitionError,
        ToolError,
        ToolTimeoutError,
        TurnLimitError,
        UnhandledMessageError,
        ValueShapeError,
    )
    from tinyagent_actors.actors import (
        Actor,
        ActorContext,
        ActorRef,
        Backoff,
        CancelCause,
        ChildSpec,
        Down,
        Exit,
        Ignore,
        Leftovers,
        LinkExit,
        Monitor,
        PipedFailure,
        PipedValue,
        Publication,
        ReceiveTimeout,
        ReplySlot,
        Timer,
        Via,
        block,
        conflate,
        handles,
    )
    from tinyagent_actors.agents import Agent, AgentOptions, AgentRef, AgentSpec, AgentState, Limits
    from tinyagent_actors.events import (
        ActorCrashedEvent,
        ActorRestartedEvent,
        ActorRestartScheduledEvent,
        ActorStartedEvent,
        ActorStoppedEvent,
        AgentEndEvent,
        AgentStartEvent,
        DeadLetterEvent,
        Event,
        Gap,
        MessageEndEvent,
        MessageStartEvent,
        MessageUpdateEvent,
        StreamEnd,
        StreamStart,
        SupervisorGaveUpEvent,
        SystemStoppedEvent,
        TextDelta,
        ThinkingDelta,
        ToolCallDelta,
        ToolExecutionEndEvent,
        ToolExecutionStartEvent,
        ToolExecutionUpdateEvent,
        TurnEndEvent,
        TurnStartEvent,
    )
    from tinyagent_actors.messages import (
        AgentToolResult,
        AssistantMessage,
        Context,
        Cost,
        CustomMessage,
        ImageContent,
        InvalidToolCall,
        Model,
        TextContent,
        ThinkingContent,
        ToolCall,
        ToolDefinition,
        ToolResultMessage,
        Usage,
        UserMessage,
    )
    from tinyagent_actors.providers import OpenRouterModel, StreamOptions, Timeouts, open_stream, stream_openrouter
    from tinyagent_actors.supervision import PoolRef, SupervisorRef, pool, supervisor
    from tinyagent_actors.system import System, open_system, run
    from tinyagent_actors.tools import AgentTool, Tool, ToolContext, tool

_NAMES = {
    "_errors": """ActorDefinitionError ActorDiedError ActorError ActorStoppedError AgentBusyError AlreadyPresentError
        AlreadyRegisteredError AlreadyStartedError AskCycleError ChildNotFoundError ChildRunningError DeadlineExceededError
        DeathPactError EngineUnavailableError ForeignError InvalidArgumentsError MailboxFullError MaxChildrenError NoMembersError
        NotAnsweredError NotRegisteredError ProviderError RepeatedCallError RestartIntensityExceededError RunError SpecError
        StartFailedError StartTimeoutError StashFullError SubscriberTooSlowError SupervisionError SupervisorStoppingError
        SystemFailedError TinyAgentError ToolDefinitionError ToolError ToolTimeoutError TurnLimitError UnhandledMessageError
        ValueShapeError""",
    "actors": """Actor ActorContext ActorRef Backoff CancelCause ChildSpec Down Exit Ignore Leftovers LinkExit Monitor PipedFailure
        PipedValue Publication ReceiveTimeout ReplySlot Timer Via block conflate handles""",
    "agents": "Agent AgentOptions AgentRef AgentSpec AgentState Limits",
    "events": """ActorCrashedEvent ActorRestartScheduledEvent ActorRestartedEvent ActorStartedEvent ActorStoppedEvent AgentEndEvent AgentStartEvent
        DeadLetterEvent Event Gap MessageEndEvent MessageStartEvent MessageUpdateEvent StreamEnd StreamStart
        SupervisorGaveUpEvent SystemStoppedEvent TextDelta ThinkingDelta ToolCallDelta ToolExecutionEndEvent
        ToolExecutionStartEvent ToolExecutionUpdateEvent TurnEndEvent TurnStartEvent""",
    "messages": """AgentToolResult AssistantMessage Context Cost CustomMessage ImageContent InvalidToolCall Model
        TextContent ThinkingContent ToolCall ToolDefinition ToolResultMessage Usage UserMessage""",
    "providers": "OpenRouterModel StreamOptions Timeouts open_stream stream_openrouter",
    "supervision": "PoolRef SupervisorRef pool supervisor",
    "system": "System open_system run",
    "tools": "AgentTool Tool ToolContext tool",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Actor",
    "ActorContext",
    "ActorCrashedEvent",
    "ActorDefinitionError",
    "ActorDiedError",
    "ActorError",
    "ActorRef",
    "ActorRestartScheduledEvent",
    "ActorRestartedEvent",
    "ActorStartedEvent",
    "ActorStoppedError",
    "ActorStoppedEvent",
    "Agent",
    "AgentBusyError",
    "AgentEndEvent",
    "AgentOptions",
    "AgentRef",
    "AgentSpec",
    "AgentStartEvent",
    "AgentState",
    "AgentTool",
    "AgentToolResult",
    "AlreadyPresentError",
    "AlreadyRegisteredError",
    "AlreadyStartedError",
    "AskCycleError",
    "AssistantMessage",
    "Backoff",
    "CancelCause",
    "ChildNotFoundError",
    "ChildRunningError",
    "ChildSpec",
    "Context",
    "Cost",
    "CustomMessage",
    "DeadLetterEvent",
    "DeadlineExceededError",
    "DeathPactError",
    "Down",
    "EngineUnavailableError",
    "Event",
    "Exit",
    "ForeignError",
    "Gap",
    "Ignore",
    "ImageContent",
    "InvalidArgumentsError",
    "InvalidToolCall",
    "Leftovers",
    "Limits",
    "LinkExit",
    "MailboxFullError",
    "MaxChildrenError",
    "MessageEndEvent",
    "MessageStartEvent",
    "MessageUpdateEvent",
    "Model",
    "Monitor",
    "NoMembersError",
    "NotAnsweredError",
    "NotRegisteredError",
    "OpenRouterModel",
    "PipedFailure",
    "PipedValue",
    "PoolRef",
    "ProviderError",
    "Publication",
    "ReceiveTimeout",
    "RepeatedCallError",
    "ReplySlot",
    "RestartIntensityExceededError",
    "RunError",
    "SpecError",
    "StartFailedError",
    "StartTimeoutError",
    "StashFullError",
    "StreamEnd",
    "StreamOptions",
    "StreamStart",
    "SubscriberTooSlowError",
    "SupervisionError",
    "SupervisorGaveUpEvent",
    "SupervisorRef",
    "SupervisorStoppingError",
    "System",
    "SystemFailedError",
    "SystemStoppedEvent",
    "TextContent",
    "TextDelta",
    "ThinkingContent",
    "ThinkingDelta",
    "Timeouts",
    "Timer",
    "TinyAgentError",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolContext",
    "ToolDefinition",
    "ToolDefinitionError",
    "ToolError",
    "ToolExecutionEndEvent",
    "ToolExecutionStartEvent",
    "ToolExecutionUpdateEvent",
    "ToolResultMessage",
    "ToolTimeoutError",
    "TurnEndEvent",
    "TurnLimitError",
    "TurnStartEvent",
    "UnhandledMessageError",
    "Usage",
    "UserMessage",
    "ValueShapeError",
    "Via",
    "block",
    "conflate",
    "handles",
    "open_stream",
    "open_system",
    "pool",
    "run",
    "stream_openrouter",
    "supervisor",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
