"""What a message tells, in the form in which cassettes say what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tinyagent_actors.messages import AssistantMessage, ThinkingContent


def told(message: AssistantMessage, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a message tells of what is expected; of a block only the members that are."""
    error, usage = message.error, message.usage
    found: dict[str, Any] = {
        "stop_reason": message.stop_reason,
        "text": message.text,
        "thinking": "".join(block.thinking for block in message.content if isinstance(block, ThinkingContent)),
        "tool_calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls],
        "invalid_tool_calls": [{"name": call.name, "raw": call.raw} for call in message.invalid_tool_calls],
        "error": None if error is None else {"kind": error.kind, "retryable": error.retryable},
        "usage": None,
    }
    if error is not None and "retry_after" in (expected["error"] or ()):
        found["error"]["retry_after"] = error.retry_after
    if usage is not None:
        found["usage"] = {name: getattr(usage, name) for name in expected["usage"] or ("input", "output")}
    if "content" in expected:
        blocks = expected["content"]
        missing = len(message.content) - len(blocks)
        found["content"] = [
            {name: _plain(getattr(block, name)) for name in wanted}
            for block, wanted in zip(message.content, [*blocks, *[{"type": ""}] * missing], strict=False)
        ]
    ids = [call.id for call in message.tool_calls] + [call.id for call in message.invalid_tool_calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    message_text = "".join(block.text for block in message.content if block.type == "text")
    assert message_text == message.text
    return found


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, default=dict))
