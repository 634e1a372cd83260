"""Models and contexts as programs written for stream functions give them: our values, or their dict shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.events import structure_message
from tinyagent_actors.messages import Context, Message, Model, ToolDefinition
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._seed_stream import Signal, SimpleStreamOptions

ModelLike: TypeAlias = Model | Mapping[str, Any]
ContextLike: TypeAlias = Context | Mapping[str, Any]

_MODEL_MEMBERS = (
    "provider",
    "api",
    "base_url",
    "headers",
    "thinking_level",
    "reasoning",
    "context_window",
    "max_tokens",
)


def to_model(model: ModelLike) -> Model:
    """Give the model.

    Raises:
        ValueShapeError: It is neither a model nor the dict of one.
    """
    if isinstance(model, Model):
        return model
    if not isinstance(model, Mapping) or not isinstance(model.get("id"), str):
        raise ValueShapeError("model", "must be a Model, or a dict with an 'id'")
    given = {name: model[name] for name in _MODEL_MEMBERS if model.get(name) is not None}
    return Model(model["id"], **given)


def to_context(context: ContextLike) -> Context:
    """Give the context; its messages and tools may be values or dicts, however it is given itself.

    Raises:
        ValueShapeError: Something in it has another shape.
    """
    if isinstance(context, Mapping):
        prompt, messages, tools = (context.get(name) for name in ("system_prompt", "messages", "tools"))
    else:
        prompt, messages, tools = context.system_prompt, context.messages, context.tools
    return Context(prompt or "", tuple(_messages(messages)), tuple(_tool(tool) for tool in tools or ()))


def _messages(messages: Iterable[Any] | None) -> Iterable[Message]:
    return (structure_message(message) if isinstance(message, Mapping) else message for message in messages or ())


def _tool(tool: Any) -> ToolDefinition:
    """Give what a model sees of a tool: a definition, its dict, or anything with the same attributes."""
    if isinstance(tool, ToolDefinition):
        return tool
    get = tool.get if isinstance(tool, Mapping) else lambda name, default=None: getattr(tool, name, default)
    name = get("name")
    if not isinstance(name, str):
        raise ValueShapeError("tools", "each must have a name")
    parameters = get("parameters")
    return ToolDefinition(name, get("description") or "", *(() if parameters is None else (parameters,)))


def split_options(options: SimpleStreamOptions | StreamOptions | None) -> tuple[StreamOptions, Signal | None]:
    """Give our options and the signal."""
    if options is None:
        return StreamOptions(), None
    if isinstance(options, StreamOptions):
        return options, None
    ours = StreamOptions(api_key=options.api_key, temperature=options.temperature, max_tokens=options.max_tokens)
    return ours, options.signal
