"""Messages: what a conversation is made of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs

from tinyagent_actors._errors import ProviderError, ValueShapeError
from tinyagent_actors.messages._content import Content, InvalidToolCall, TextContent, ToolCall, to_content
from tinyagent_actors.messages._usage import Usage

StopReason: TypeAlias = Literal[
    "stop", "length", "tool_use", "content_filter", "refusal", "pause_turn", "error", "aborted"
]


ROLES: Final = ("user", "assistant", "tool_result")
"""The roles that have a class; any other is a `CustomMessage`'s."""


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def _text_of(content: tuple[Content, ...]) -> str:
    return "".join(block.text for block in content if isinstance(block, TextContent))


@attrs.frozen
class UserMessage:
    """What the user said."""

    role: ClassVar[Literal["user"]] = "user"

    content: tuple[Content, ...] = attrs.field(converter=to_content)
    timestamp: int = attrs.field(factory=now_ms)
    """Milliseconds since the epoch, UTC."""

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return _text_of(self.content)


@attrs.frozen
class AssistantMessage:
    """What the model answered, whole or as far as it came.

    `error` is not None exactly when `stop_reason` is ``error``; what had arrived before it is in `content`.
    """

    role: ClassVar[Literal["assistant"]] = "assistant"

    content: tuple[Content, ...] = attrs.field(default=(), converter=to_content)
    stop_reason: StopReason = "stop"
    timestamp: int = attrs.field(factory=now_ms)
    """Milliseconds since the epoch, UTC."""
    api: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    """None where the provider told nothing."""
    response_id: str | None = None
    raw_stop_reason: str | None = None
    """The provider's own word."""
    error: ProviderError | None = None

    @property
    def error_message(self) -> str | None:
        """The sentence of `error`."""
        return None if self.error is None else self.error.message

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return _text_of(self.content)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that may run: the message ended properly, and their arguments are objects."""
        if self.stop_reason not in ("stop", "tool_use"):
            return ()
        return tuple(block for block in self.content if isinstance(block, ToolCall))

    @property
    def invalid_tool_calls(self) -> tuple[InvalidToolCall, ...]:
        """The calls that may not: cut, unparsable, or not an object."""
        return tuple(block for block in self.content if isinstance(block, InvalidToolCall))


@attrs.frozen
class ToolResultMessage:
    """The one result of one tool call."""

    role: ClassVar[Literal["tool_result"]] = "tool_result"

    tool_call_id: str
    tool_name: str
    content: tuple[Content, ...] = attrs.field(default=(), converter=to_content)
    details: Any = None
    """For programs, not for the model."""
    is_error: bool = False
    timestamp: int = attrs.field(factory=now_ms)
    """Milliseconds since the epoch, UTC."""

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return _text_of(self.content)


@attrs.frozen
class CustomMessage:
    """A message of an application's own role; models do not see it unless `convert_to_llm` turns it into one they do."""

    role: str = attrs.field()
    data: Mapping[str, Any] = attrs.field(factory=dict)
    """Every member of its dict shape but `role` and `timestamp`."""
    timestamp: int = attrs.field(factory=now_ms)
    """Milliseconds since the epoch, UTC."""

    @role.validator
    def _check_role(self, _attribute: attrs.Attribute[str], role: str) -> None:
        if role in ROLES:
            raise ValueShapeError("role", f"{role!r} has a class of its own")

    @data.validator
    def _check_data(self, _attribute: attrs.Attribute[Mapping[str, Any]], data: Mapping[str, Any]) -> None:
        if "role" in data or "timestamp" in data:
            raise ValueShapeError("data", "holds 'role' or 'timestamp', which are fields of the message")


Message: TypeAlias = UserMessage | AssistantMessage | ToolResultMessage | CustomMessage
