"""Content blocks: what messages are made of.

Every block has a class-level `type`, the tag of its dict shape, and `wire`: members that the maker of the block sent
beside the fields we know. `wire` is replayed as it came, and only to that maker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from tinyagent_actors._errors import ValueShapeError

Wire: TypeAlias = Mapping[str, Any]
CacheControl: TypeAlias = Mapping[str, Any]


@attrs.frozen
class TextContent:
    """A piece of text."""

    type: ClassVar[Literal["text"]] = "text"

    text: str
    text_signature: str | None = None
    cache_control: CacheControl | None = None
    """A prompt-cache breakpoint after this block, such as ``{"type": "ephemeral"}``."""
    wire: Wire | None = None


@attrs.frozen
class ImageContent:
    """An image: by `url`, or as `data` (base64) with its `mime_type`."""

    type: ClassVar[Literal["image"]] = "image"

    url: str | None = None
    mime_type: str | None = None
    data: str | None = attrs.field(default=None, repr=False)
    cache_control: CacheControl | None = None
    wire: Wire | None = None


@attrs.frozen
class ThinkingContent:
    """What the model thought, as far as its provider shows it."""

    type: ClassVar[Literal["thinking"]] = "thinking"

    thinking: str
    thinking_signature: str | None = None
    """Proof of origin; a block without it cannot be replayed as thinking where the dialect wants one."""
    cache_control: CacheControl | None = None
    wire: Wire | None = None


@attrs.frozen
class RedactedThinkingContent:
    """Thinking that the provider keeps to itself: an opaque text to send back."""

    type: ClassVar[Literal["redacted_thinking"]] = "redacted_thinking"

    data: str = attrs.field(repr=False)
    wire: Wire | None = None


@attrs.frozen
class ToolCall:
    """A call of a tool that may run: its arguments parsed to an object."""

    type: ClassVar[Literal["tool_call"]] = "tool_call"

    id: str
    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    wire: Wire | None = None


@attrs.frozen
class InvalidToolCall:
    """A call of a tool that must not run: it was cut, or its arguments are no object."""

    type: ClassVar[Literal["invalid_tool_call"]] = "invalid_tool_call"

    id: str
    name: str
    raw: str
    """The argument text as it came."""
    reason: str
    wire: Wire | None = None


@attrs.frozen
class OpaqueContent:
    """A block of a kind that is not known here, kept whole for its maker."""

    type: ClassVar[Literal["opaque"]] = "opaque"

    data: Mapping[str, Any]
    wire: Wire | None = None


Content: TypeAlias = (
    TextContent | ImageContent | ThinkingContent | RedactedThinkingContent | ToolCall | InvalidToolCall | OpaqueContent
)

CONTENT_TYPES: Final[dict[str, type[Content]]] = {
    cls.type: cls
    for cls in (
        TextContent,
        ImageContent,
        ThinkingContent,
        RedactedThinkingContent,
        ToolCall,
        InvalidToolCall,
        OpaqueContent,
    )
}
_CLASSES: Final = tuple(CONTENT_TYPES.values())


@attrs.frozen
class _Member:
    name: str
    kind: type
    """`str` or `Mapping`."""
    is_required: bool
    is_optional: bool
    """Whether it may be None."""

    def problem_of(self, value: object) -> str | None:
        if isinstance(value, self.kind) or (self.is_optional and value is None):
            return None
        return f"must be {'a string' if self.kind is str else 'an object'}, is {type(value).__name__}"


def _members_of(cls: type[Content]) -> dict[str, _Member]:
    members = {}
    for name, hint in get_type_hints(cls).items():
        if get_origin(hint) is ClassVar:
            continue
        alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        default = getattr(attrs.fields(cls), name).default
        kind = str if str in alternatives else Mapping
        members[name] = _Member(name, kind, default is attrs.NOTHING, NoneType in alternatives)
    return members


_MEMBERS: Final = {tag: _members_of(cls) for tag, cls in CONTENT_TYPES.items()}


def content_from_dict(shape: Mapping[str, Any], path: str = "content") -> Content:
    """Give the block of a dict shape such as ``{"type": "text", "text": "Hello"}``.

    A tool call's `partial_json`, its text while it was streamed, is dropped.

    Raises:
        ValueShapeError: The tag is unknown, a member is missing, unknown or of another type; `path` leads its name.
    """
    tag = shape.get("type")
    members = _MEMBERS.get(tag) if isinstance(tag, str) else None
    if members is None:
        raise _wrong(path, "type", "is missing" if tag is None else f"no such content: {tag!r}")
    transient = ("type", "partial_json") if tag == ToolCall.type else ("type",)
    fields = {name: value for name, value in shape.items() if name not in transient}
    for name, value in fields.items():
        problem = members[name].problem_of(value) if name in members else f"no such member of {tag!r} content"
        if problem is not None:
            raise _wrong(path, name, problem)
    for member in members.values():
        if member.is_required and member.name not in fields:
            raise _wrong(path, member.name, "is missing")
    return CONTENT_TYPES[str(tag)](**fields)


def _wrong(path: str, name: str, problem: str) -> ValueShapeError:
    return ValueShapeError(f"{path}.{name}", problem)


def to_content(value: str | Content | Mapping[str, Any] | Iterable[Content | Mapping[str, Any]]) -> tuple[Content, ...]:
    """Give blocks for whatever may stand as `content`: a text, a block, a dict shape, or several of them.

    Raises:
        ValueShapeError: One of them has no such shape.
    """
    if type(value) is tuple and all(isinstance(item, _CLASSES) for item in value):
        return value
    if isinstance(value, str):
        return (TextContent(value),)
    if isinstance(value, _CLASSES):
        return (value,)
    if isinstance(value, Mapping):
        return (content_from_dict(value),)
    if not isinstance(value, Iterable):
        raise ValueShapeError("content", f"must be text or content blocks, is {type(value).__name__}")
    return tuple(_to_block(item, f"content[{index}]") for index, item in enumerate(value))


def _to_block(item: object, path: str) -> Content:
    if isinstance(item, _CLASSES):
        return item
    if isinstance(item, str):
        return TextContent(item)
    if isinstance(item, Mapping):
        return content_from_dict(item, path)
    raise ValueShapeError(path, f"must be a content block, is {type(item).__name__}")
