"""Events of `anthropic-messages`, as short calls; and asking in that dialect."""

from __future__ import annotations

from typing import Any

from tests.providers.conftest import Answer

STOP: dict[str, Any] = {"type": "message_stop"}
PING: dict[str, Any] = {"type": "ping"}


def begin(**usage: Any) -> dict[str, Any]:
    """Give the start of a message."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


def start(index: int, kind: str, **members: Any) -> dict[str, Any]:
    """Give the start of a block."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **members}}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    """Give a delta; `kind` is its type without `_delta`."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **members}}


def stop(index: int) -> dict[str, Any]:
    """Give the end of a block."""
    return {"type": "content_block_stop", "index": index}


def text(words: str, index: int = 0) -> list[dict[str, Any]]:
    """Give a whole block of text."""
    return [start(index, "text", text=""), delta(index, "text", text=words), stop(index)]


def call(index: int, *pieces: str, **members: Any) -> list[dict[str, Any]]:
    """Give a whole tool call whose input comes in these pieces."""
    opened = start(index, "tool_use", **{"id": f"toolu_{index}", "name": "look", "input": {}, **members})
    return [opened, *(delta(index, "input_json", partial_json=piece) for piece in pieces), stop(index)]


def finish(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    """Give the end of a message but for its marker."""
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def calls_of(answer: Answer) -> list[tuple[str, Any]]:
    """Give the calls that may run: id and arguments."""
    return [(made.id, dict(made.arguments)) for made in answer.message.tool_calls]
