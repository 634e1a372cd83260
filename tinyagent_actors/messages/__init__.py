"""Values: content, messages, tools as models see them, usage, models, contexts. No Trio, no I/O."""

from tinyagent_actors.messages._content import (
    Content,
    ImageContent,
    InvalidToolCall,
    OpaqueContent,
    RedactedThinkingContent,
    TextContent,
    ThinkingContent,
    ToolCall,
    content_from_dict,
    to_content,
)
from tinyagent_actors.messages._context import Context
from tinyagent_actors.messages._message import (
    AssistantMessage,
    CustomMessage,
    Message,
    StopReason,
    ToolResultMessage,
    UserMessage,
    now_ms,
)
from tinyagent_actors.messages._model import THINKING_LEVELS, Model, ThinkingLevel, to_model
from tinyagent_actors.messages._tool_definition import ToolDefinition
from tinyagent_actors.messages._tool_result import AgentToolResult, Outcome
from tinyagent_actors.messages._usage import Cost, Usage

__all__ = [
    "THINKING_LEVELS",
    "AgentToolResult",
    "AssistantMessage",
    "Content",
    "Context",
    "Cost",
    "CustomMessage",
    "ImageContent",
    "InvalidToolCall",
    "Message",
    "Model",
    "OpaqueContent",
    "Outcome",
    "RedactedThinkingContent",
    "StopReason",
    "TextContent",
    "ThinkingContent",
    "ThinkingLevel",
    "ToolCall",
    "ToolDefinition",
    "ToolResultMessage",
    "Usage",
    "UserMessage",
    "content_from_dict",
    "now_ms",
    "to_content",
    "to_model",
]
