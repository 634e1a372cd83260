"""The body of a request in the dialect `anthropic-messages`: deterministic bytes, valid whatever the transcript went through.

Roles alternate, and the user begins. The results of the calls of one message stand in one message of the user directly after
it, one for each, before anything else in it. Thinking goes back only signed and only to its maker, as do blocks that are not
known here. Members come in the order in which the provider reads them (tools, system, messages), so that a request whose
conversation has grown begins with the bytes of the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    OpaqueContent,
    RedactedThinkingContent,
    TextContent,
    ThinkingContent,
    ThinkingLevel,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers._anthropic_rules import AnthropicRules
from tinyagent_actors.providers._cache_marks import Blocks, add_marks, limit_marks
from tinyagent_actors.providers._call_ledger import NO_RESULT, CallLedger
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._model_table import load_models
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._request_json import to_json

DEFAULT_MAX_TOKENS: Final = 8192
"""The dialect wants a limit; this one where neither the options nor the model say one, and none is known of the model."""

_NOTHING_SAID: Final = "(no message)"
"""What the user says where the transcript begins with the assistant, or holds nothing."""
_GO_ON: Final = "(go on)"
"""What the user says where the transcript ends with the assistant and the model refuses that."""
_NO_OUTPUT: Final = "(no output)"
_THINKING: Final = ("thinking", "redacted_thinking")


def build_request(
    model: Model,
    context: Context,
    options: StreamOptions,
    endpoint: Endpoint,
    *,
    with_stream_options: bool = False,  # noqa: ARG001  # there are none
) -> bytes:
    """Give the JSON body of a request; see `build_request` of the other dialects."""
    rules, limit = rules_of(model, options, endpoint), limit_of(model, options, endpoint)
    conversation = _Conversation(model, rules)
    for message in context.messages:
        conversation.add(message)
    thinking = rules.thinking(level_of(model, options), limit, options.thinking_budget)
    turns = conversation.finish(is_thinking=is_on(thinking))
    if is_on(thinking) and not rules.is_adaptive and _goes_on_unthought(turns):
        thinking = {}
    system: Blocks = [{"type": "text", "text": context.system_prompt}] if context.system_prompt.strip() else []
    _mark(system, turns, is_enabled=options.enable_prompt_caching)
    body: dict[str, Any] = {"model": model.id, "max_tokens": limit, "stream": True, **thinking}
    if options.temperature is not None and not rules.refuses_sampling and not is_on(thinking):
        body["temperature"] = min(options.temperature, 1.0)
    body.update(_tools(context.tools, turns))
    if system:
        body["system"] = system if "cache_control" in system[-1] else system[-1]["text"]
    return to_json(body | dict(options.extra_body or {}) | {"messages": turns})


def rules_of(model: Model, options: StreamOptions, endpoint: Endpoint) -> AnthropicRules:
    """Give how the model wants to be asked, by what is known of models."""
    return (options.models or load_models()).read(AnthropicRules, model, endpoint.url)


def limit_of(model: Model, options: StreamOptions, endpoint: Endpoint) -> int:
    """Give the limit of the answer in tokens."""
    known = (options.models or load_models()).facts(model, endpoint.url).max_tokens
    return options.max_tokens or known or DEFAULT_MAX_TOKENS


def level_of(model: Model, options: StreamOptions) -> ThinkingLevel | None:
    """Give the thinking level that was asked for; None where nobody asked for any."""
    return options.thinking or (None if model.thinking_level == "off" else model.thinking_level)


def is_on(thinking: dict[str, Any]) -> bool:
    """Whether these members switch thinking on."""
    return thinking.get("thinking", {}).get("type") in ("enabled", "adaptive")


def _mark(system: Blocks, turns: list[dict[str, Any]], *, is_enabled: bool) -> None:
    if is_enabled:
        add_marks([system, *(turn["content"] for turn in turns if turn["role"] == "user")])
    limit_marks(system, [turn["content"] for turn in turns])


def _tools(tools: Iterable[ToolDefinition], turns: list[dict[str, Any]]) -> dict[str, Any]:
    offered = [_tool(tool) for tool in tools]
    if offered:
        return {"tools": offered}
    # A conversation with calls in it is refused without any tool, though none may be called now.
    used = {block["name"] for turn in turns for block in turn["content"] if block["type"] == "tool_use"}
    known = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(used)]
    return {"tools": known, "tool_choice": {"type": "none"}} if known else {}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **description, "input_schema": {"type": "object", **tool.parameters}}


def _goes_on_unthought(turns: list[dict[str, Any]]) -> bool:
    """Whether the model is to go on after calls that it, or another, made without a thought to be seen here.

    Models that take a budget refuse to think then.
    """
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or all(block["type"] != "tool_use" for block in last["content"]):
        return False
    return last["content"][0]["type"] not in _THINKING


@attrs.define(eq=False)
class _Conversation:
    """Renders messages in order into turns."""

    _model: Model
    _rules: AnthropicRules
    _ledger: CallLedger = attrs.field(init=False)
    _turns: list[dict[str, Any]] = attrs.field(factory=list, init=False)
    _results: Blocks = attrs.field(factory=list, init=False)
    """Results of the calls of the last turn."""
    _said: Blocks = attrs.field(factory=list, init=False)
    """What the user said since the last turn."""
    _is_paused: bool = attrs.field(default=False, init=False)
    """The last message of the assistant is the model's own, which only waits to go on."""

    def __attrs_post_init__(self) -> None:
        self._ledger = CallLedger(self._rules)

    def add(self, message: Message) -> None:
        """Take one message; those of custom roles become nothing."""
        if isinstance(message, ToolResultMessage):
            self._take_result(message)
        elif isinstance(message, UserMessage):
            self._said += _said(message.content)
        elif isinstance(message, AssistantMessage):
            self._close_user()
            is_maker = (message.provider, message.api) == (self._model.provider, self._model.api)
            blocks = self._blocks(message, is_maker=is_maker)
            self._append("assistant", blocks)
            self._is_paused = message.stop_reason == "pause_turn" and is_maker and bool(blocks)

    def finish(self, *, is_thinking: bool) -> list[dict[str, Any]]:
        """Give all turns."""
        self._close_user()
        written, self._turns = self._turns, []
        for place, turn in enumerate(written, 1):
            is_open = self._is_paused and place == len(written)
            is_said = turn["role"] == "user"
            self._append(turn["role"], turn["content"] if is_said else _whole(turn["content"], is_open=is_open))
        turns = self._turns
        if not turns or turns[0]["role"] != "user":
            turns.insert(0, {"role": "user", "content": [_text(_NOTHING_SAID)]})
        if turns[-1]["role"] == "assistant" and not self._is_paused:
            if is_thinking or not self._rules.takes_prefill:
                self._append("user", [_text(_GO_ON)])
            else:
                _trim(turns[-1]["content"])
        return turns

    def _append(self, role: str, blocks: Blocks) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})

    def _close_user(self) -> None:
        """Give what the user says next: a result for every call, then the rest."""
        self._results += [_result(sent.id, [_text(NO_RESULT)], is_error=True) for sent in self._ledger.settle_rest()]
        self._append("user", self._results + self._said)
        self._results, self._said = [], []

    def _take_result(self, message: ToolResultMessage) -> None:
        sent = self._ledger.settle(message.tool_call_id)
        if sent is None:
            return
        inside = [_without_mark(block) for block in _said(message.content) if block["type"] in ("text", "image")]
        if message.is_error:  # which may hold text alone
            self._said += [block for block in inside if block["type"] != "text"]
            inside = [block for block in inside if block["type"] == "text"]
        self._results.append(_result(sent.id, inside or [_text(_NO_OUTPUT)], is_error=message.is_error))

    def _blocks(self, message: AssistantMessage, *, is_maker: bool) -> Blocks:
        rendered = [self._block(block, is_maker=is_maker) for block in message.content]
        return [block for block in rendered if block is not None]

    def _block(self, block: Content, *, is_maker: bool) -> dict[str, Any] | None:
        wire = dict(block.wire) if block.wire and is_maker else {}
        if isinstance(block, TextContent):
            return {**wire, **_marked_text(block)} if block.text.strip() else None
        if isinstance(block, ToolCall | InvalidToolCall):
            return self._call(block, wire) if block.name else None
        if not is_maker:
            return None
        if isinstance(block, ThinkingContent) and block.thinking_signature:
            own = {"type": "thinking", "thinking": block.thinking, "signature": block.thinking_signature}
            return {**wire, **own}
        if isinstance(block, RedactedThinkingContent):
            return {**wire, "type": "redacted_thinking", "data": block.data}
        return _opaque(block) if isinstance(block, OpaqueContent) else None

    def _call(self, call: ToolCall | InvalidToolCall, wire: dict[str, Any]) -> dict[str, Any]:
        sent = self._ledger.enter(call)
        arguments = dict(call.arguments) if isinstance(call, ToolCall) else {}
        name = self._rules.tool_name(call.name)
        return {**wire, "type": "tool_use", "id": sent.id, "name": name, "input": arguments}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _marked_text(block: TextContent) -> dict[str, Any]:
    return _text(block.text) | _mark_of(block)


def _mark_of(block: TextContent | ImageContent) -> dict[str, Any]:
    return {"cache_control": dict(block.cache_control)} if block.cache_control else {}


def _without_mark(block: dict[str, Any]) -> dict[str, Any]:
    """Give a block of a result: a mark stands after the result, not inside."""
    return {name: value for name, value in block.items() if name != "cache_control"}


def _opaque(block: OpaqueContent) -> dict[str, Any] | None:
    return dict(block.data) if isinstance(block.data.get("type"), str) else None


def _said(content: Iterable[Content]) -> Blocks:
    """Give what a user or a tool said; blocks of a kind that is not known here are theirs to answer for."""
    rendered: list[dict[str, Any] | None] = []
    for block in content:
        if isinstance(block, TextContent) and block.text.strip():
            rendered.append(_marked_text(block))
        elif isinstance(block, ImageContent):
            rendered.append(_image(block))
        elif isinstance(block, OpaqueContent):
            rendered.append(_opaque(block))
    return [block for block in rendered if block is not None]


def _image(image: ImageContent) -> dict[str, Any] | None:
    url, data, media_type = image.url or "", image.data, image.mime_type or "image/png"
    if data is None and url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        media_type = head.partition(";")[0] or media_type
    if data:
        source = {"type": "base64", "media_type": media_type, "data": data}
    elif url:
        source = {"type": "url", "url": url}
    else:
        return None
    return {"type": "image", "source": source} | _mark_of(image)


def _result(call_id: str, content: Blocks, *, is_error: bool) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return result | ({"is_error": True} if is_error else {})


def _whole(blocks: Blocks, *, is_open: bool) -> Blocks:
    """Give an assistant's turn without what would be refused.

    That is: calls of the provider's own tools that have no result (`is_open`: the last turn, which may still wait for
    them), results that have no call, and thinking that led nowhere.
    """
    answered = {str(block.get("tool_use_id")) for block in blocks if _is_server_result(block)}
    made = {
        str(block.get("id"))
        for block in blocks
        if _is_server_call(block) and isinstance(block.get("input"), Mapping)
        if is_open or str(block.get("id")) in answered
    }
    kept = [
        block
        for block in blocks
        if not (_is_server_call(block) and str(block.get("id")) not in made)
        if not (_is_server_result(block) and str(block.get("tool_use_id")) not in made)
    ]
    while kept and kept[-1]["type"] in _THINKING:
        kept.pop()
    return kept


def _is_server_call(block: dict[str, Any]) -> bool:
    return str(block["type"]).endswith("_tool_use")


def _is_server_result(block: dict[str, Any]) -> bool:
    return str(block["type"]).endswith("_tool_result")


def _trim(blocks: Blocks) -> None:
    """Take the white space off the end of a text for the model to go on with."""
    if blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()
