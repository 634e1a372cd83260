"""The converter between values and their dict shapes: content, messages, usage, models, tools, events, errors.

One cattrs converter, both ways. What it gives is plain data as JSON knows it; what an application put into `details`,
`data` or arguments stands there as it is, if cattrs has no shape for it. What it takes is checked to the last member: an
unknown one is an error, since dropping it would be a silent loss. Every failure is a `ValueShapeError` with the path of
the member.

The tags are members of the shapes and class variables of the values: `role` of messages, `type` of content and events, the
name of the class as `type` of errors. Exceptions that are not ours become `ForeignError`. A field that does not count when
two values are compared (`MessageUpdateEvent.partial`) is no part of the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast, get_args, overload

import attrs
from cattrs import Converter
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tinyagent_actors import _errors
from tinyagent_actors._errors import ForeignError, ProviderError, TinyAgentError, ValueShapeError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.events import _actor, _agent, _approval, _budget, _governor, _mcp, _restart, _tool
from tinyagent_actors.events._fact import as_fact
from tinyagent_actors.events._header import Event, Gap
from tinyagent_actors.events._shape import as_object, shape_error, wrong_type
from tinyagent_actors.events._stream import StreamEvent
from tinyagent_actors.events._strict import register_strict_hooks
from tinyagent_actors.messages import (
    AgentToolResult,
    AssistantMessage,
    Content,
    Context,
    Cost,
    CustomMessage,
    Message,
    Model,
    ToolDefinition,
    ToolResultMessage,
    Usage,
    UserMessage,
    content_from_dict,
    to_content,
)

ValueT = TypeVar("ValueT")
_Structure: TypeAlias = Callable[[Any, Any], Any]
_Unstructure: TypeAlias = Callable[[Any], dict[str, Any]]

_CONTENT: Final[tuple[type, ...]] = get_args(Content)
_MESSAGES: Final[dict[str, type]] = {cls.role: cls for cls in (UserMessage, AssistantMessage, ToolResultMessage)}
_STREAM_EVENTS: Final[dict[str, type]] = {cls.type: cls for cls in get_args(StreamEvent)}
_EVENTS: Final[dict[str, type]] = {Gap.type: Gap} | {
    cls.type: cls
    for module in (_actor, _agent, _approval, _budget, _governor, _mcp, _restart, _tool)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event and not name.startswith("_")
}
_ERRORS: Final[dict[str, type]] = {
    name: cls
    for name, cls in vars(_errors).items()
    if isinstance(cls, type) and issubclass(cls, TinyAgentError) and attrs.has(cls) and not name.startswith("_")
}
_TAGS: Final[dict[type, str]] = {
    **dict.fromkeys(_CONTENT, "type"),
    **dict.fromkeys(_MESSAGES.values(), "role"),
    **dict.fromkeys(_STREAM_EVENTS.values(), "type"),
    **dict.fromkeys(_EVENTS.values(), "type"),
}
"""Class to the name of its tag."""
_STOP_REASONS: Final = {"complete": "stop", "tool_calls": "tool_use"}
"""The seed's words for ours."""

converter: Final = Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list})
"""The one converter. `structure` and `unstructure` are its face; use it itself for containers of values."""
register_strict_hooks(converter)


@overload
def structure(data: object, cls: type[ValueT]) -> ValueT: ...


@overload
def structure(data: object, cls: Any) -> Any: ...


def structure(data: object, cls: Any) -> Any:
    """Give the value of class `cls` whose dict shape `data` is.

    Args:
        data: A shape, such as `unstructure` gives or `json.loads` reads.
        cls: A class of `messages` or `events`, an error class, or a union: `Message`, `Content`, `StreamEvent`.

    Raises:
        ValueShapeError: It has another shape; the error's `field` is the path of the first member that is wrong.

    Example:
        >>> structure({"role": "user", "content": "Hello", "timestamp": 0}, UserMessage).text
        'Hello'
    """
    try:
        return converter.structure(data, cls)
    except (BaseValidationError, ValueShapeError) as error:
        raise shape_error(error) from None


def structure_message(data: object) -> Message:
    """Give the message whose dict shape `data` is, by its role; as `structure`."""
    return cast("Message", structure(data, Message))


def structure_event(data: object) -> Event | Gap:
    """Give the event of the bus (or the gap) whose dict shape `data` is, by its type; as `structure`."""
    return cast("Event | Gap", structure(data, Event))


def unstructure(value: object) -> dict[str, Any]:
    """Give the dict shape of a value of `messages` or `events`, or of an error. It shares nothing with the value.

    Example:
        >>> unstructure(TextContent("Hello"))
        {'type': 'text', 'text': 'Hello'}
    """
    return cast("dict[str, Any]", converter.unstructure(value))


def _overrides(cls: Any) -> dict[str, Any]:
    """Say which fields are no part of the shape, and which are left out where they are None or empty."""
    rules: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if not field.eq:
            rules[field.name] = override(omit=True)
        elif cls in _SPARSE and field.default in (None, ()):
            rules[field.name] = override(omit_if_default=True)
    return rules


_SPARSE: Final = frozenset({*_CONTENT, Model})
"""Classes whose optional members are left out where they are None or empty; elsewhere they stand."""


def _is_content(cls: Any) -> bool:
    """Whether it is a class of content, or several in a union."""
    return {*_CONTENT}.issuperset(get_args(cls) or (cls,))


def _is_error(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, BaseException)


def _fields_of(cls: Any) -> Callable[[Mapping[str, Any]], Any]:
    """Make what builds a `cls` of the members of an object: all that it needs, none that it does not know."""
    build = make_dict_structure_fn(cls, converter, **_overrides(cls))
    return lambda members: build(members, cls)


def _members(value: object, tag: str | None, word: str | None) -> dict[str, Any]:
    """Give the members of an object but its tag, which must be `word` where it stands."""
    members = dict(as_object(value))
    if tag is not None and members.pop(tag, word) != word:
        raise ValueShapeError(tag, f"must be {word!r}")
    return members


def _structure_object(cls: Any) -> _Structure:
    build, tag = _fields_of(cls), _TAGS.get(cls)
    word = None if tag is None else getattr(cls, tag)
    return lambda value, _cls: build(_members(value, tag, word))


def _structure_usage(cls: Any) -> _Structure:
    build = _fields_of(cls)

    def structure_usage(value: Any, _cls: Any) -> Usage:
        members = _members(value, None, None)
        members.pop("total_tokens", None)  # the sum of the others
        return cast("Usage", build(members))

    return structure_usage


def _structure_assistant(cls: Any) -> _Structure:
    build = _fields_of(cls)

    def structure_assistant(value: Any, _cls: Any) -> AssistantMessage:
        members = _members(value, "role", "assistant")
        told = members.pop("error_message", None)
        reason = members.get("stop_reason")
        if isinstance(reason, str):
            members["stop_reason"] = _STOP_REASONS.get(reason, reason)
        message = cast("AssistantMessage", build(members))
        if (message.stop_reason == "error") == (message.error is not None):
            return message
        if message.error is not None:
            raise ValueShapeError("error", "stands only where the stop_reason is 'error'")
        return attrs.evolve(message, error=ProviderError("provider_error", "" if told is None else str(told)))

    return structure_assistant


def _structure_custom(cls: Any) -> _Structure:
    build = _fields_of(cls)

    def structure_custom(value: Any, _cls: Any) -> CustomMessage:
        data = dict(as_object(value))
        members: dict[str, Any] = {name: data.pop(name) for name in ("role", "timestamp") if name in data}
        return cast("CustomMessage", build({**members, "data": data}))

    return structure_custom


def _structure_by(tag: str, classes: Mapping[str, type], other: type | None = None) -> _Structure:
    """Make what structures a value of one of many classes, by its tag."""

    def structure_tagged(value: Any, _cls: Any) -> Any:
        word = as_object(value).get(tag)
        if not isinstance(word, str):
            raise ValueShapeError(tag, "is missing" if word is None else wrong_type("string", word).problem)
        cls = classes.get(word, other)
        if cls is None:
            raise ValueShapeError(tag, f"there is no {word[:100]!r}")
        return converter.structure(value, cls)

    return structure_tagged


def _structure_error(cls: Any) -> _Structure:
    builds = {name: _fields_of(one) for name, one in _ERRORS.items() if issubclass(one, cls)}

    def structure_error(value: Any, _cls: Any) -> TinyAgentError:
        members = dict(as_object(value))
        name = members.pop("type", None)
        if not isinstance(name, str) or name not in builds:
            raise ValueShapeError("type", "is missing" if name is None else f"there is no such {cls.__name__}")
        return cast("TinyAgentError", builds[name](members))

    return structure_error


def _structure_blocks(value: Any, _cls: Any) -> tuple[Content, ...]:
    try:
        return to_content(value)
    except ValueShapeError as error:
        raise ValueShapeError(error.field.removeprefix("content"), error.problem) from None


def _structure_block(value: Any, cls: Any) -> Content:
    block = content_from_dict(as_object(value), "")
    classes = get_args(cls) or (cls,)
    if type(block) in classes:
        return block
    raise ValueShapeError("type", f"must be {' or '.join(one.type for one in classes)}, is {block.type}")


def _unstructure_object(cls: Any) -> _Unstructure:
    fields, tag = make_dict_unstructure_fn(cls, converter, **_overrides(cls)), _TAGS.get(cls)
    if tag is None:
        return fields
    word = getattr(cls, tag)
    return lambda value: {tag: word, **fields(value)}


def _unstructure_usage(cls: Any) -> _Unstructure:
    fields = make_dict_unstructure_fn(cls, converter)
    return lambda usage: {**fields(usage), "total_tokens": usage.total_tokens}


def _unstructure_assistant(cls: Any) -> _Unstructure:
    sparse = override(omit_if_default=True)
    fields = make_dict_unstructure_fn(cls, converter, response_id=sparse, raw_stop_reason=sparse, error=sparse)
    return lambda message: {"role": "assistant", **fields(message), "error_message": message.error_message}


def _unstructure_custom(message: CustomMessage) -> dict[str, Any]:
    return {"role": message.role, **unstructure(message.data), "timestamp": message.timestamp}


def _unstructure_error(cls: Any) -> _Unstructure:
    if (
        cls not in _ERRORS.values()
    ):  # a class that fields are declared with, or one that is not ours: each error by its own
        return lambda error: unstructure(error if type(error) in _ERRORS.values() else _foreign(error))
    fields = make_dict_unstructure_fn(cls, converter, **_overrides(cls))
    return lambda error: {"type": cls.__name__, **fields(error)}


def _foreign(error: BaseException) -> TinyAgentError | None:
    """Give what a record keeps of an error that has no shape here: also of a class that somebody derived from ours."""
    if isinstance(error, TinyAgentError):
        return ForeignError(type(error).__name__, redact_text(str(error)))
    return as_fact(error)


def _register() -> None:
    objects = {Cost, Context, Model, ToolDefinition, AgentToolResult, *_TAGS} - {*_CONTENT}
    take, give = converter.register_structure_hook_factory, converter.register_unstructure_hook_factory
    take(lambda cls: cls in objects, _structure_object)
    take(lambda cls: cls is Usage, _structure_usage)
    take(lambda cls: cls is AssistantMessage, _structure_assistant)
    take(lambda cls: cls is CustomMessage, _structure_custom)
    take(_is_error, _structure_error)
    give(lambda cls: cls in objects or cls in _CONTENT, _unstructure_object)
    give(lambda cls: cls is Usage, _unstructure_usage)
    give(lambda cls: cls is AssistantMessage, _unstructure_assistant)
    give(_is_error, _unstructure_error)
    converter.register_unstructure_hook(CustomMessage, _unstructure_custom)

    hook = converter.register_structure_hook_func
    hook(lambda cls: cls == Message, _structure_by("role", _MESSAGES, other=CustomMessage))
    hook(lambda cls: cls == StreamEvent, _structure_by("type", _STREAM_EVENTS))
    hook(lambda cls: cls is Event, _structure_by("type", _EVENTS))
    hook(lambda cls: cls == tuple[Content, ...], _structure_blocks)
    hook(_is_content, _structure_block)


_register()
