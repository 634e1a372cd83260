"""Requests read and replies rendered as Anthropic's messages. Pure: values in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import orjson

from tinyagent_actors.testing._request import ChatRequest, RecordedRequest, message_text
from tinyagent_actors.testing._script import Reply
from tinyagent_actors.testing._wire import call_id, pieces


@attrs.frozen
class AnthropicMessages:
    """Anthropic's messages."""

    def owns(self, path: str) -> bool:
        """Whether the path ends in ``/messages``."""
        return path.rstrip("/").endswith("/messages")

    def parse(self, request: RecordedRequest) -> ChatRequest:
        """Read a body; the conversation in it becomes one of chat messages, so that policies need to know one shape alone."""
        parsed = ChatRequest.parse(request)
        messages: list[Mapping[str, Any]] = [message for turn in parsed.messages for message in _chat_messages(turn)]
        system = message_text({"content": parsed.raw.get("system")})
        if system:
            messages.insert(0, {"role": "system", "content": system})
        return attrs.evolve(parsed, messages=messages)

    def render(self, reply: Reply, request: ChatRequest) -> list[bytes]:
        """Give an event a chunk where the request asks for a stream, else one message."""
        if not request.stream:
            return [orjson.dumps(_message(reply, request))]
        return [_event(event) for event in _events(reply, request)]


def _chat_messages(turn: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the chat messages that a turn is: a result is one of its own, before what the user says beside it."""
    content = turn.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    for block in blocks:
        if block.get("type") == "tool_result":
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": block.get("content")}
    calls = [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {"name": block.get("name"), "arguments": orjson.dumps(block.get("input")).decode()},
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    said = content if isinstance(content, str) else [block for block in blocks if block.get("type") == "text"]
    if said or calls:
        yield {"role": turn["role"], "content": said} | ({"tool_calls": calls} if calls else {})


def _event(event: Mapping[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _events(reply: Reply, request: ChatRequest) -> Iterator[Mapping[str, Any]]:
    usage = _usage(reply, request)
    head = _message(reply, request) | {"content": [], "stop_reason": None}
    if usage is not None:
        head["usage"] = {**usage, "output_tokens": 1}
    yield {"type": "message_start", "message": head}
    yield {"type": "ping"}
    for index, (block, deltas) in enumerate(_blocks(reply, request)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    finish = _finish(reply)
    if finish is not None:
        end: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": None}}
        yield end | ({} if usage is None else {"usage": {"output_tokens": usage.get("output_tokens")}})
    if reply.done:
        yield {"type": "message_stop"}


def _blocks(reply: Reply, request: ChatRequest) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Give the start of each block and its deltas."""
    if reply.thinking:
        said = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(reply.thinking, reply.chunk_size)]
        signed = {"type": "signature_delta", "signature": _signature(request)}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*said, signed]
    if reply.text:
        yield (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": piece} for piece in pieces(reply.text, reply.chunk_size)],
        )
    for index, call in enumerate(reply.tool_calls):
        start = {"type": "tool_use", "id": call_id(call, index, request), "name": call.name, "input": {}}
        yield (
            start,
            [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ("", *pieces(call.arguments_text, reply.chunk_size))
            ],
        )


def _message(reply: Reply, request: ChatRequest) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": f"msg_{request.number}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": _content(reply, request),
        "stop_reason": _finish(reply),
        "stop_sequence": None,
    }
    usage = _usage(reply, request)
    return message if usage is None else message | {"usage": usage}


def _content(reply: Reply, request: ChatRequest) -> list[Mapping[str, Any]]:
    thinking = {"type": "thinking", "thinking": reply.thinking, "signature": _signature(request)}
    calls = [
        {"type": "tool_use", "id": call_id(call, index, request), "name": call.name, "input": call.arguments}
        for index, call in enumerate(reply.tool_calls)
    ]
    text = {"type": "text", "text": reply.text}
    return [*([thinking] if reply.thinking else []), *([text] if reply.text else []), *calls]


def _finish(reply: Reply) -> str | None:
    if reply.finish == "auto":
        return "tool_use" if reply.tool_calls else "end_turn"
    return reply.finish


def _usage(reply: Reply, request: ChatRequest) -> Mapping[str, Any] | None:
    if reply.usage != "auto":
        return reply.usage
    arguments = sum(len(call.arguments_text) for call in reply.tool_calls)
    output = len(reply.thinking) + len(reply.text) + arguments
    return {"input_tokens": -(-len(request.request.body) // 4), "output_tokens": -(-output // 4)}


def _signature(request: ChatRequest) -> str:
    return f"signature-{request.number}"
