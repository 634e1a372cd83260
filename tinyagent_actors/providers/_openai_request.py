"""The body of a request in the dialect `openai-completions`: deterministic bytes, valid whatever the transcript went through.

Every call is followed by exactly one result, ids are unique over the whole conversation, what a maker sent beside the
known fields goes back to that maker only, and nothing in history can make a request impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import attrs

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
from tinyagent_actors.providers._cache_marks import Blocks, add_marks, limit_marks
from tinyagent_actors.providers._call_ledger import NO_RESULT, CallLedger, SentCall
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._maker import is_maker
from tinyagent_actors.providers._model_table import load_models
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._provider_rules import ProviderRules, function_name
from tinyagent_actors.providers._replay import Replay
from tinyagent_actors.providers._request_json import to_json
from tinyagent_actors.providers._shown_images import with_shown_images

_BRIDGE: Final = "(the results are noted)"
"""What the assistant says between a tool result and the user, where they may not be neighbours."""


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

    Raises:
        SpecError: Something in the context has no form in JSON; its path is named.
    """
    rules = (options.models or load_models()).rules(model, endpoint.url)
    body = build_body(model, context, options, endpoint, rules, with_stream_options=with_stream_options)
    asked = options.thinking or (None if model.thinking_level == "off" else model.thinking_level)
    body.update(rules.thinking(asked, has_tools=bool(context.tools), budget=options.thinking_budget))
    return to_json(body | dict(options.extra_body or {}))


def build_body(
    model: Model,
    context: Context,
    options: StreamOptions,
    endpoint: Endpoint,
    rules: ProviderRules,
    *,
    with_stream_options: bool,
    replay: Replay | None = None,
) -> dict[str, Any]:
    """Give what the dialects of this family have in common: all but how thinking is asked for.

    Args:
        model: Whom.
        context: What.
        options: How.
        endpoint: Where.
        rules: What this provider does differently.
        with_stream_options: False for a server that refuses the member.
        replay: What goes back of a message's thinking; None: as the rules say.
    """
    takes_images = (options.models or load_models()).facts(model, endpoint.url).takes_images
    shown = with_shown_images(context.messages, takes_images=takes_images)
    replay = replay or partial(_thinking, rules=rules)
    messages = _messages(model, context, shown, rules, replay)
    if options.enable_prompt_caching and model.provider == "openrouter":
        _mark(messages)
    body: dict[str, Any] = {"model": model.id, "messages": messages, "stream": True}
    if with_stream_options:
        body["stream_options"] = {"include_usage": True}
    limit = options.max_tokens or model.max_tokens
    if limit is not None:
        body[rules.max_tokens_field] = limit
    if options.temperature is not None and not rules.refuses_temperature:
        body["temperature"] = options.temperature
    if context.tools:
        body["tools"] = [_tool(tool) for tool in context.tools]
    return body


def _mark(messages: list[dict[str, Any]]) -> None:
    """Set cache breakpoints, which OpenRouter passes on; only a list of parts can hold one."""
    places = {"system": list[Blocks](), "user": list[Blocks]()}
    for message in messages:
        if message["role"] in places and message["content"]:
            if isinstance(message["content"], str):
                message["content"] = [{"type": "text", "text": message["content"]}]
            places[message["role"]].append(message["content"])
    add_marks(places["system"] + places["user"])
    limit_marks([part for parts in places["system"] for part in parts], places["user"])


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def _messages(
    model: Model, context: Context, shown: Iterable[Message], rules: ProviderRules, replay: Replay
) -> list[dict[str, Any]]:
    rendered: list[dict[str, Any]] = []
    if context.system_prompt:
        rendered.append({"role": rules.system_role, "content": context.system_prompt})
    conversation = _Conversation(model, rules, replay, frozenset(tool.name for tool in context.tools))
    for message in shown:
        rendered += conversation.render(message)
    rendered += conversation.close()
    return _bridged(rendered) if rules.bridges_results else rendered


def _bridged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    bridged: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "user" and bridged and bridged[-1]["role"] == "tool":
            bridged.append({"role": "assistant", "content": _BRIDGE})
        bridged.append(message)
    return bridged


@attrs.define(eq=False)
class _Conversation:
    """Renders messages in order, and sees to it that each call gets its one result."""

    _model: Model
    _rules: ProviderRules
    _replay: Replay
    _tools: frozenset[str]
    """Names of the tools that the request holds: they are known to be accepted."""
    _images: list[ImageContent] = attrs.field(factory=list, init=False)
    """Images of tool results, which a message of the user carries after them."""
    _ledger: CallLedger = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ledger = CallLedger(self._rules)

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
            {"role": "tool", "tool_call_id": sent.id, "content": NO_RESULT} | self._name(sent)
            for sent in self._ledger.settle_rest()
        ]
        if self._images:
            closing.append({"role": "user", "content": [_image(image) for image in self._images]})
            self._images.clear()
        return closing

    def _name(self, sent: SentCall) -> dict[str, str]:
        return {"name": self._fit(sent.name)} if self._rules.names_results else {}

    def _result(self, message: ToolResultMessage) -> list[dict[str, Any]]:
        sent = self._ledger.settle(message.tool_call_id)
        if sent is None:
            return []
        text = message.text
        images = [block for block in message.content if isinstance(block, ImageContent)]
        if images:
            self._images += images
            text = f"{text}\n(the image follows)".strip()
        if message.is_error:
            text = f"Error: {text}"
        return [{"role": "tool", "tool_call_id": sent.id, "content": text} | self._name(sent)]

    def _assistant(self, message: AssistantMessage) -> list[dict[str, Any]]:
        is_own = is_maker(self._model, message)
        calls = [
            self._call(block, is_own=is_own)
            for block in message.content
            if isinstance(block, ToolCall | InvalidToolCall) and block.name
        ]
        text = message.text
        if not text and not calls:
            return []
        rendered: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            rendered["tool_calls"] = calls
        if is_own:
            rendered.update(self._replay(message.content, has_calls=bool(calls)))
        else:
            rendered.update(self._rules.replayed("", has_calls=bool(calls)))
        return [rendered]

    def _call(self, call: ToolCall | InvalidToolCall, *, is_own: bool) -> dict[str, Any]:
        sent = self._ledger.enter(call)
        where = f"ToolCall({call.name!r}).arguments"
        arguments = to_json(call.arguments, where).decode() if isinstance(call, ToolCall) else "{}"
        extra = dict(call.wire) if call.wire and is_own else {}
        function = {"name": self._fit(call.name), "arguments": arguments}
        return {**extra, "id": sent.id, "type": "function", "function": function}

    def _fit(self, name: str) -> str:
        return name if name in self._tools else function_name(name)


def _thinking(content: Sequence[Content], *, has_calls: bool, rules: ProviderRules) -> dict[str, Any]:
    blocks = [block for block in content if isinstance(block, ThinkingContent)]
    wires = (block.wire for block in blocks if block.wire)
    details = next((wire["reasoning_details"] for wire in wires if "reasoning_details" in wire), None)
    kept = {} if details is None else {"reasoning_details": details}
    return {**kept, **rules.replayed("".join(block.thinking for block in blocks), has_calls=has_calls)}


def _user(message: UserMessage) -> dict[str, Any]:
    return {"role": "user", "content": _parts(message.content)}


def _parts(content: Iterable[Content]) -> str | list[dict[str, Any]]:
    blocks = tuple(content)
    if all(isinstance(block, TextContent) and block.cache_control is None for block in blocks):
        return "".join(block.text for block in blocks if isinstance(block, TextContent))
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, TextContent) and block.text:
            cache = {"cache_control": block.cache_control} if block.cache_control else {}
            parts.append({"type": "text", "text": block.text} | cache)
        elif isinstance(block, ImageContent):
            parts.append(_image(block))
    return parts or ""


def _image(image: ImageContent) -> dict[str, Any]:
    url = f"data:{image.mime_type or 'image/png'};base64,{image.data}" if image.data else image.url
    return {"type": "image_url", "image_url": {"url": url or ""}}
