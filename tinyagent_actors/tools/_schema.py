"""From a function's signature and docstring to the JSON Schema of its arguments."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs
import docstring_parser

from tinyagent_actors._errors import ToolDefinitionError
from tinyagent_actors.tools._context import ToolContext

_SCALARS: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
}


@attrs.frozen
class Signature:
    """What is known of a tool's function."""

    description: str
    parameters: Mapping[str, Any]
    """The JSON Schema."""
    hints: Mapping[str, Any]
    """The type of each argument."""
    context_name: str | None
    """The parameter that gets the `ToolContext`, if there is one."""


def read_signature(function: Callable[..., Any], name: str) -> Signature:
    """Read what a function's signature and docstring say.

    Raises:
        ToolDefinitionError: A parameter has no hint, or one that no schema can be made of.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ToolDefinitionError(name, f"a hint cannot be resolved: {error}") from error
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    told = {parameter.arg_name: parameter.description or "" for parameter in doc.params}
    maker = _Maker(name)
    properties: dict[str, Any] = {}
    required: list[str] = []
    context_name = None
    arguments: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name)
        if hint is ToolContext or hint == ToolContext | None:
            context_name = parameter.name
            continue
        if hint is None or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
            parameter.POSITIONAL_ONLY,
        ):
            problem = "needs a type hint" if hint is None else "must be an ordinary parameter"
            raise ToolDefinitionError(name, f"parameter {parameter.name!r} {problem}")
        arguments[parameter.name] = hint
        properties[parameter.name] = maker.described(hint, told.get(parameter.name, ""), parameter.name)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        else:
            maker.add_default(properties[parameter.name], parameter.default)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if maker.definitions:
        schema["$defs"] = maker.definitions
    description = "\n\n".join(filter(None, (doc.short_description, doc.long_description)))
    return Signature(description, schema, arguments, context_name)


@attrs.frozen
class _Member:
    """A member of a class of the user's."""

    hint: Any
    is_required: bool = attrs.field(kw_only=True)
    default: object = ...
    """Given to the schema if JSON can say it."""


@attrs.define
class _Maker:
    """Makes the schemas of one tool; named types go to `definitions`, so that they may be recursive."""

    tool: str
    definitions: dict[str, Any] = attrs.field(factory=dict)
    _names: dict[Any, str] = attrs.field(factory=dict)

    def described(self, hint: Any, description: str, where: str) -> dict[str, Any]:
        """Give the schema of a hint with a description."""
        schema = dict(self.schema(hint, where))
        if description:
            schema["description"] = description
        return schema

    def add_default(self, schema: dict[str, Any], default: object) -> None:
        """Say the default where JSON can."""
        value = default.value if isinstance(default, enum.Enum) else default
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
            schema["default"] = value

    def schema(self, hint: Any, where: str) -> dict[str, Any]:  # a clause per kind of hint
        """Give the schema of a hint."""
        origin, parts = get_origin(hint), get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(parts, where)
        if origin is Literal:
            return {"enum": [self._constant(part, where) for part in parts]}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.schema(part, where) for part in parts]}
        if origin in (typing.Required, typing.NotRequired):
            return self.schema(parts[0], where)
        if origin is not None or hint in (list, tuple, set, frozenset, dict):
            return self._collection(origin or hint, parts, where)
        if hint in _SCALARS:
            return dict(_SCALARS[hint])
        if hint is Any:
            return {}
        if isinstance(hint, typing.NewType):
            return self.schema(hint.__supertype__, where)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {"enum": [self._constant(member, where) for member in hint]}
        return self._named(hint, where)

    def _annotated(self, parts: tuple[Any, ...], where: str) -> dict[str, Any]:
        """A string beside a hint describes it; a dict is more of its schema, such as ``{"minimum": 1}``."""
        text = next((part for part in parts[1:] if isinstance(part, str)), "")
        schema = self.described(parts[0], text, where)
        for part in parts[1:]:
            if isinstance(part, Mapping):
                schema |= part
        return schema

    def _constant(self, value: Any, where: str) -> Any:
        """Give a value that JSON can say, of a `Literal` or an enum."""
        plain = value.value if isinstance(value, enum.Enum) else value
        if plain is None or isinstance(plain, str | int):
            return plain
        raise ToolDefinitionError(self.tool, f"{where}: {value!r} cannot be said in JSON")

    def _collection(self, origin: Any, parts: tuple[Any, ...], where: str) -> dict[str, Any]:
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if parts and parts[0] is not str:
                raise ToolDefinitionError(self.tool, f"{where}: the names of an object are strings")
            return {"type": "object", "additionalProperties": self.schema(parts[1], where) if parts else {}}
        if origin is tuple and parts and parts[-1] is not Ellipsis:
            items = [self.schema(part, where) for part in parts]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset):
            array: dict[str, Any] = {"type": "array", "items": self.schema(parts[0], where) if parts else {}}
            return array | ({"uniqueItems": True} if issubclass(origin, set | frozenset) else {})
        raise ToolDefinitionError(self.tool, f"{where}: no schema can be made of {origin!r}")

    def _named(self, hint: Any, where: str) -> dict[str, Any]:
        if hint not in self._names:
            members = self._members(hint, where)
            name = hint.__name__ if hint.__name__ not in self.definitions else f"{hint.__name__}_{len(self._names)}"
            self._names[hint] = name
            self.definitions[name] = {}  # for those of its members that are of this type
            self.definitions[name] = self._object(hint, members, where)
        return {"$ref": f"#/$defs/{self._names[hint]}"}

    def _members(self, hint: Any, where: str) -> dict[str, _Member]:
        try:
            hints = typing.get_type_hints(hint, include_extras=True)
        except (NameError, TypeError) as error:
            raise ToolDefinitionError(self.tool, f"{where}: its hints cannot be resolved: {error}") from error
        if typing.is_typeddict(hint):
            return {name: _Member(hints[name], is_required=name in hint.__required_keys__) for name in hints}
        if isinstance(hint, type) and attrs.has(hint):
            return {
                field.name: _Member(
                    hints.get(field.name, Any), is_required=field.default is attrs.NOTHING, default=field.default
                )
                for field in attrs.fields(hint)
                if field.init
            }
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return {
                field.name: _Member(
                    hints[field.name],
                    is_required=field.default is field.default_factory is dataclasses.MISSING,
                    default=field.default,
                )
                for field in dataclasses.fields(hint)
                if field.init
            }
        raise ToolDefinitionError(self.tool, f"{where}: no schema can be made of {hint!r}")

    def _object(self, hint: Any, members: dict[str, _Member], where: str) -> dict[str, Any]:
        doc = docstring_parser.parse(hint.__doc__ or "")
        told = {parameter.arg_name: parameter.description or "" for parameter in doc.params}
        properties: dict[str, Any] = {}
        for name, member in members.items():
            properties[name] = self.described(member.hint, told.get(name, ""), f"{where}.{name}")
            self.add_default(properties[name], member.default)
        schema = {
            "type": "object",
            "properties": properties,
            "required": [name for name, member in members.items() if member.is_required],
            "additionalProperties": False,
        }
        text = doc.short_description
        is_made = text is not None and text.startswith(f"{hint.__name__}(")  # which dataclasses do
        return {"description": text, **schema} if text and not is_made else schema
