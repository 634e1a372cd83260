"""The body of a request in the dialect `openai-completions`: deterministic bytes, valid whatever the transcript went through.

Every call is followed by exactly one result, ids are unique over the whole conversation, what a maker sent beside the
known fields goes back to that maker only, and nothing in history can make a request impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson

from tinyagent_actors.messages import (
    AssistantMessage,
    Content,
    Context,
    ImageContent,
    InvalidToolCall,
    Message,
    Model,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._provider_rules import ProviderRules, rules_for

_NO_RESULT: Final = "no result: the call did not run to its end"


def build_request(
    model: Model, context: Context, options: StreamOptions, endpoint: Endpoint, *, with_stream_options: bool = True
) -> bytes:
    """Give the JSON body of a request.

    Args:
        model: Whom.
        context: What.
        options: How.
        endpoint: Where; some hosts want things said their way.
        with_stream_options: False for a server that refuses the member: it then tells no usage.
    """
    rules = rules_for(model, endpoint.url)
    body: dict[str, Any] = {"model": model.id, "messages": _messages(model, context, rules), "stream": True}
    if with_stream_options:
        body["stream_options"] = {"include_usage": True}
    limit = options.max_tokens or model.max_tokens
    if limit is not None:
        body[rules.max_tokens_field] = limit
    if options.temperature is not None and not rules.is_reasoning:
        body["temperature"] = options.temperature
    if context.tools:
        body["tools"] = [_tool(tool) for tool in context.tools]
    body.update(rules.thinking(options.thinking or model.thinking_level, has_tools=bool(context.tools)))
    return to_json(body)


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def _messages(model: Model, context: Context, rules: ProviderRules) -> list[dict[str, Any]]:
    rendered: list[dict[str, Any]] = []
    if context.system_prompt:
        rendered.append({"role": rules.system_role, "content": context.system_prompt})
    conversation = _Conversation(model, rules)
    for message in context.messages:
        rendered += conversation.render(message)
    return rendered + conversation.close()


@attrs.define(eq=False)
class _Conversation:
    """Renders messages in order, and sees to it that each call gets its one result."""

    _model: Model
    _rules: ProviderRules
    _open: dict[str, list[tuple[str, str]]] = attrs.field(factory=dict, init=False)
    """Calls without a result: id in the transcript -> the ids and names they were sent with, oldest first."""
    _sent: dict[str, int] = attrs.field(factory=dict, init=False)
    """Ids that were sent -> the number with which the search for another of that name goes on."""
    _images: list[ImageContent] = attrs.field(factory=list, init=False)
    """Images of tool results, which a message of the user carries after them."""

    def render(self, message: Message) -> list[dict[str, Any]]:
        """Give what one message becomes; messages of custom roles become nothing."""
        if isinstance(message, ToolResultMessage):
            return self._result(message)
        if isinstance(message, AssistantMessage):
            return [*self.close(), *self._assistant(message)]
        return [*self.close(), _user(message)] if isinstance(message, UserMessage) else []

    def close(self) -> list[dict[str, Any]]:
        """Give a result to every call that has none, then the images that results held."""
        closing: list[dict[str, Any]] = [
            {"role": "tool", "tool_call_id": sent, "content": _NO_RESULT} | self._name(name)
            for waiting in self._open.values()
            for sent, name in waiting
        ]
        self._open.clear()
        if self._images:
            closing.append({"role": "user", "content": [_image(image) for image in self._images]})
            self._images.clear()
        return closing

    def _name(self, name: str) -> dict[str, str]:
        return {"name": name} if self._rules.names_results else {}

    def _result(self, message: ToolResultMessage) -> list[dict[str, Any]]:
        waiting = self._open.get(message.tool_call_id)
        if not waiting:
            return []
        sent, name = waiting.pop(0)
        if not waiting:
            del self._open[message.tool_call_id]
        text = message.text
        images = [block for block in message.content if isinstance(block, ImageContent)]
        if images:
            self._images += images
            text = f"{text}\n(the image follows)".strip()
        if message.is_error:
            text = f"Error: {text}"
        return [{"role": "tool", "tool_call_id": sent, "content": text} | self._name(name)]

    def _assistant(self, message: AssistantMessage) -> list[dict[str, Any]]:
        is_maker = (message.provider, message.api) == (self._model.provider, self._model.api)
        calls = [
            self._call(block, is_maker=is_maker)
            for block in message.content
            if isinstance(block, ToolCall | InvalidToolCall) and block.name
        ]
        text = message.text
        if not text and not calls:
            return []
        rendered: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            rendered["tool_calls"] = calls
        rendered.update(_thinking(message.content, self._rules, is_maker=is_maker, has_calls=bool(calls)))
        return [rendered]

    def _call(self, call: ToolCall | InvalidToolCall, *, is_maker: bool) -> dict[str, Any]:
        sent = self._unique_id(self._rules.call_id(call.id))
        self._open.setdefault(call.id, []).append((sent, call.name))
        arguments = to_json(call.arguments).decode() if isinstance(call, ToolCall) else "{}"
        extra = dict(call.wire) if call.wire and is_maker else {}
        return {**extra, "id": sent, "type": "function", "function": {"name": call.name, "arguments": arguments}}

    def _unique_id(self, wanted: str) -> str:
        if wanted not in self._sent:
            self._sent[wanted] = 2
            return wanted
        sent, number = wanted, self._sent[wanted]
        while sent in self._sent:
            sent, number = self._rules.numbered_id(wanted, number), number + 1
        self._sent[wanted] = number
        self._sent[sent] = 2
        return sent


def _thinking(content: Sequence[Content], rules: ProviderRules, *, is_maker: bool, has_calls: bool) -> dict[str, Any]:
    """Give what goes back of the thinking: whole, and only to its maker."""
    if not is_maker:
        return {}
    blocks = [block for block in content if isinstance(block, ThinkingContent)]
    for block in blocks:
        if block.wire and "reasoning_details" in block.wire:
            return {"reasoning_details": block.wire["reasoning_details"]}
    text = "".join(block.thinking for block in blocks)
    return {"reasoning_content": text} if text and has_calls and rules.replays_reasoning else {}


def _user(message: UserMessage) -> dict[str, Any]:
    return {"role": "user", "content": _parts(message.content)}


def _parts(content: Iterable[Content]) -> str | list[dict[str, Any]]:
    blocks = tuple(content)
    if all(isinstance(block, TextContent) and block.cache_control is None for block in blocks):
        return "".join(block.text for block in blocks if isinstance(block, TextContent))
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, TextContent):
            cache = {"cache_control": block.cache_control} if block.cache_control else {}
            parts.append({"type": "text", "text": block.text} | cache)
        elif isinstance(block, ImageContent):
            parts.append(_image(block))
    return parts


def _image(image: ImageContent) -> dict[str, Any]:
    url = image.url if image.data is None else f"data:{image.mime_type or 'image/png'};base64,{image.data}"
    return {"type": "image_url", "image_url": {"url": url or ""}}


def to_json(value: Any) -> bytes:
    """Give the JSON of a value, fit for any receiver; it is cleaned only if it has to be."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # a lone surrogate, or a mapping that is no dict
        return orjson.dumps(clean(value))
    return orjson.dumps(clean(value)) if b"\\u0000" in text else text


def clean(value: Any) -> Any:
    """Give a JSON value that any receiver can read: lone surrogates and NUL replaced, NaN and infinities null."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {clean(str(name)): clean(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [clean(member) for member in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  # NaN is not itself
        return None
    return value
