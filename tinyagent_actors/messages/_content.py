"""Content blocks: what messages are made of.

Every block has a class-level `type`, the tag of its dict shape, and `wire`: members that the maker of the block sent
beside the fields we know. `wire` is replayed as it came, and only to that maker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias

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
    TextContent
    | ImageContent
    | ThinkingContent
    | RedactedThinkingContent
    | ToolCall
    | InvalidToolCall
    | OpaqueContent
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
_MAPPINGS: Final = frozenset({"cache_control", "wire", "arguments"})
_TRANSIENT: Final = frozenset({"type", "partial_json"})


def content_from_dict(shape: Mapping[str, Any], path: str = "content") -> Content:
    """Give the block of a dict shape such as ``{"type": "text", "text": "Hello"}``.

    Raises:
        ValueShapeError: The tag is unknown, a member is missing, unknown or of another type; `path` leads its name.
    """
    tag = shape.get("type")
    cls = CONTENT_TYPES.get(tag) if isinstance(tag, str) else None
    if cls is None:
        raise ValueShapeError(f"{path}.type", f"no such content: {tag!r}")
    fields = {name: value for name, value in shape.items() if name not in _TRANSIENT}
    for attribute in attrs.fields(cls):
        _check_member(attribute, fields, path, is_opaque=cls is OpaqueContent)
    known = {attribute.name for attribute in attrs.fields(cls)}
    for name in fields.keys() - known:
        raise ValueShapeError(f"{path}.{name}", f"no such member of {tag!r} content")
    return cls(**fields)


def _check_member(attribute: attrs.Attribute[Any], fields: Mapping[str, Any], path: str, *, is_opaque: bool) -> None:
    name = attribute.name
    if name not in fields:
        if attribute.default is attrs.NOTHING:
            raise ValueShapeError(f"{path}.{name}", "is missing")
        return
    value = fields[name]
    if value is None and attribute.default is None:
        return
    wanted = Mapping if is_opaque or name in _MAPPINGS else str
    if not isinstance(value, wanted):
        kind = "an object" if wanted is Mapping else "a string"
        raise ValueShapeError(f"{path}.{name}", f"must be {kind}, is {type(value).__name__}")


def to_content(value: str | Content | Mapping[str, Any] | Iterable[Content | Mapping[str, Any]]) -> tuple[Content, ...]:
    """Give blocks for whatever may stand as `content`: a text, a block, a dict shape, or several of them.

    Raises:
        ValueShapeError: One of them has no such shape.
    """
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
