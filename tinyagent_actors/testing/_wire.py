"""Replies rendered in the dialect of the request. Pure: values in, bytes out.

A dialect says which paths are its own and gives the chunks of a body: one per event where the answer is streamed, one in all
where it is not. Members that never change within an answer are written once, so that a chunk costs one small JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import attrs
import orjson

from tinyagent_actors.testing._request import ChatRequest, RecordedRequest
from tinyagent_actors.testing._script import CallSpec, Reply

_CREATED: Final = 1_700_000_000
"""Every answer was made at this second: the bytes depend on the request and the reply alone."""


class Dialect(Protocol):
    """How one family of providers writes its answers."""

    def owns(self, path: str) -> bool:
        """Whether requests to that path are of this dialect."""
        ...

    def parse(self, request: RecordedRequest) -> ChatRequest:
        """Read a body.

        Raises:
            ValueShapeError: It is not a request of this dialect; names the member.
        """
        ...

    def render(self, reply: Reply, request: ChatRequest) -> list[bytes]:
        """Give the chunks of the body."""
        ...


@attrs.frozen
class OpenAIChat:
    """OpenAI's chat completions."""

    def owns(self, path: str) -> bool:
        """Whether the path ends in ``/chat/completions``."""
        return path.rstrip("/").endswith("/chat/completions")

    def parse(self, request: RecordedRequest) -> ChatRequest:
        """Read a body."""
        return ChatRequest.parse(request)

    def render(self, reply: Reply, request: ChatRequest) -> list[bytes]:
        """Give an event a chunk where the request asks for a stream, else one completion."""
        return list(_events(reply, request)) if request.stream else [_completion(reply, request)]


def _finish(reply: Reply) -> str | None:
    if reply.finish == "auto":
        return "tool_calls" if reply.tool_calls else "stop"
    return reply.finish


def _usage(reply: Reply, request: ChatRequest) -> Mapping[str, Any] | None:
    if reply.usage != "auto":
        return reply.usage
    thinking = -(-len(reply.thinking) // 4)
    arguments = sum(len(call.arguments_text) for call in reply.tool_calls)
    prompt, output = -(-len(request.request.body) // 4), thinking - (-(len(reply.text) + arguments) // 4)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }


def call_id(call: CallSpec, index: int, request: ChatRequest) -> str:
    """Give the id of a call: its own, or one that counts the calls of the conversation."""
    return f"call_{request.calls_before + index}" if call.id is None else call.id


def pieces(text: str, size: int | None) -> Iterator[str]:
    """Give a text in pieces of so many characters; None: whole."""
    step = size or len(text) or 1
    return (text[start : start + step] for start in range(0, len(text), step))


def _events(reply: Reply, request: ChatRequest) -> Iterator[bytes]:
    head = orjson.dumps(
        {
            "id": f"chatcmpl-{request.number}",
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": request.model,
        }
    )
    usage = _usage(reply, request) if reply.usage != "auto" or request.include_usage else None
    no_usage = b',"usage":null' if request.include_usage else b""
    before = b"data: " + head[:-1] + b',"choices":[{"index":0,"delta":'
    after = b',"finish_reason":null}]' + no_usage + b"}\n\n"

    yield before + b'{"role":"assistant","content":""}' + after
    for member, text in ((b"reasoning_content", reply.thinking), (b"content", reply.text)):
        for piece in pieces(text, reply.chunk_size):
            yield before + b'{"' + member + b'":' + orjson.dumps(piece) + b"}" + after
    for index, call in enumerate(reply.tool_calls):
        for delta in _call_deltas(call, index, reply, request):
            yield before + orjson.dumps({"tool_calls": [{"index": index, **delta}]}) + after
    finish = _finish(reply)
    if finish is not None:
        yield before + b'{},"finish_reason":' + orjson.dumps(finish) + b"}]" + no_usage + b"}\n\n"
    if usage is not None:
        yield b"data: " + head[:-1] + b',"choices":[],"usage":' + orjson.dumps(usage) + b"}\n\n"
    if reply.done:
        yield b"data: [DONE]\n\n"


def _call_deltas(call: CallSpec, index: int, reply: Reply, request: ChatRequest) -> Iterator[dict[str, Any]]:
    first, *rest = pieces(call.arguments_text, reply.chunk_size) if call.arguments_text else ("",)
    yield {
        "id": call_id(call, index, request),
        "type": "function",
        "function": {"name": call.name, "arguments": first},
    }
    for piece in rest:
        yield {"function": {"arguments": piece}}


def _completion(reply: Reply, request: ChatRequest) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call_id(call, index, request),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_text},
            }
            for index, call in enumerate(reply.tool_calls)
        ]
    return orjson.dumps(
        {
            "id": f"chatcmpl-{request.number}",
            "object": "chat.completion",
            "created": _CREATED,
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply)}],
            "usage": _usage(reply, request),
        }
    )
