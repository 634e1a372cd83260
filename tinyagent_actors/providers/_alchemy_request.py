"""From the body that a dialect has made to what the published crate is called with.

The crate builds bodies of its own. To ask what the other engines ask, the adapter lets the dialect render the body (every call
has its result, ids are unique, nothing in history breaks a request, each provider's peculiarities are minded) and takes
it apart again. What the crate has no word for is left out: OpenRouter's `reasoning`, breakpoints of a prompt cache, reasoning
details. What it would get wrong is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from tinyagent_actors._errors import SpecError
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._request_json import to_json

_OWN_HEADERS: Final = ("content-type", "accept-encoding")
"""The crate's client sets them."""
_LOOSE_HEADERS: Final = ("api-key", "cookie")
"""Credentials that the crate's client would take along to another origin."""
_BY_NAME: Final = "x-api-key"
_ANTHROPIC: Final = "anthropic-messages"
_DATA: Final = "data:"


def to_alchemy(api: str, endpoint: Endpoint, content: bytes) -> bytes:
    """Give the JSON that `AlchemyHub.open` takes.

    Args:
        api: The dialect of the body.
        endpoint: Where it goes. A key goes as a bearer token, whatever the provider's custom.
        content: The body.

    Raises:
        SpecError: The crate cannot send it, or not safely.
    """
    body: dict[str, Any] = orjson.loads(content)
    context = _anthropic_context(body) if api == _ANTHROPIC else _openai_context(body)
    model = {
        "id": body["model"],
        "provider": "custom",
        "api": api,
        "base_url": endpoint.url,
        "reasoning": _thinks(body),
        "compat": {
            "supports_developer_role": _role_of_first(body) == "developer",
            "supports_usage_in_streaming": "stream_options" in body,
            "max_tokens_field": "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens",
            "requires_tool_result_name": any("name" in message for message in _of_role(body, "tool")),
        },
    }
    effort = body.get("reasoning_effort")
    options = {
        "temperature": body.get("temperature"),
        "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "reasoning_effort": None if effort == "none" else effort,
        "headers": _headers(endpoint),
    }
    return to_json({"model": model, "context": context, "options": options})


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {name: value for name, value in endpoint.headers if name not in _OWN_HEADERS}
    for name in _LOOSE_HEADERS:
        if name in headers:
            raise _refused(f"sends no {name!r} header: a redirect would take it to another origin")
    key = headers.pop(_BY_NAME, None)
    if key is not None:
        headers.setdefault("authorization", f"Bearer {key}")
    return headers


def _thinks(body: Mapping[str, Any]) -> bool:
    thinking = body.get("thinking")
    is_asked = isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
    return bool(
        is_asked or body.get("reasoning_split") or "reasoning_effort" in body or _role_of_first(body) == "developer"
    )


def _role_of_first(body: Mapping[str, Any]) -> str | None:
    messages = body["messages"]
    return messages[0]["role"] if messages else None


def _of_role(body: Mapping[str, Any], role: str) -> Iterable[Mapping[str, Any]]:
    """Give the messages of a role."""
    return (message for message in body["messages"] if message["role"] == role)


# openai-completions, minimax-completions, zai-completions.


def _openai_context(body: Mapping[str, Any]) -> dict[str, Any]:
    system = [message for message in body["messages"] if message["role"] in ("system", "developer")]
    return {
        "system_prompt": "\n\n".join(_joined(message["content"]) for message in system),
        "messages": [_openai_message(message) for message in body["messages"] if message not in system],
        "tools": [tool["function"] for tool in body.get("tools", ())],
    }


def _joined(content: Any) -> str:
    """Give the text of what is a string or a list of parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _openai_message(message: Mapping[str, Any]) -> dict[str, Any]:
    role, content = message["role"], message.get("content")
    if role == "tool":
        return _result(message["tool_call_id"], message.get("name", ""), _joined(content))
    if role == "user":
        return {
            "role": role,
            "content": content if isinstance(content, str) else [_openai_part(p) for p in content or ()],
        }
    blocks: list[dict[str, Any]] = []
    if message.get("reasoning_content"):
        blocks.append({"type": "thinking", "thinking": message["reasoning_content"]})
    if content:
        blocks.append({"type": "text", "text": _joined(content)})
    blocks += [_openai_call(call) for call in message.get("tool_calls", ())]
    return {"role": "assistant", "content": blocks}


def _openai_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return _image(part["image_url"]["url"]) if part["type"] == "image_url" else {"type": "text", "text": part["text"]}


def _openai_call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.loads(call["function"]["arguments"])
    return {"type": "tool_call", "id": call["id"], "name": call["function"]["name"], "arguments": arguments}


# anthropic-messages.


def _anthropic_context(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [
        {"name": tool["name"], "description": tool.get("description", ""), "parameters": tool["input_schema"]}
        for tool in body.get("tools", ())
    ]
    messages = [made for message in body["messages"] for made in _anthropic_messages(message)]
    return {"system_prompt": _joined(body.get("system")), "messages": messages, "tools": tools}


def _anthropic_messages(message: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Give the messages that one of the body amounts to: each tool result is one by itself."""
    role, content = message["role"], message["content"]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results = [block for block in blocks if block["type"] == "tool_result"]
    for block in results:
        yield _result(block["tool_use_id"], "", _result_content(block.get("content")), is_error=block.get("is_error"))
    others = [made for block in blocks if block not in results and (made := _anthropic_block(block)) is not None]
    if others:
        yield {"role": role, "content": others}


def _result_content(content: Any) -> Any:
    if isinstance(content, list):
        return [made for block in content if (made := _anthropic_block(block)) is not None]
    return content or ""


def _anthropic_block(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the block; none for what the crate has no word for, such as redacted thinking."""
    match block["type"]:
        case "text":
            return {"type": "text", "text": block["text"]}
        case "thinking":
            return {
                "type": "thinking",
                "thinking": block["thinking"],
                "thinking_signature": block.get("signature"),
            }
        case "tool_use":
            return {"type": "tool_call", "id": block["id"], "name": block["name"], "arguments": block["input"]}
        case "image":
            source = block["source"]
            if source["type"] == "url":
                return _image(source["url"])
            return {"type": "image", "data": source["data"], "mime_type": source["media_type"]}
    return None


def _result(call_id: str, name: str, content: Any, *, is_error: bool | None = None) -> dict[str, Any]:
    return {
        "role": "tool_result",
        "tool_call_id": call_id,
        "tool_name": name,
        "content": content,
        "is_error": bool(is_error),
    }


def _image(url: str) -> dict[str, Any]:
    if not url.startswith(_DATA):
        raise _refused("sends images by their data, not by a URL")
    return {"type": "image", "url": url}


def _refused(problem: str) -> SpecError:
    return SpecError("StreamOptions.engine", f"'alchemy' {problem}")
