"""Strict hooks for what shapes are made of: a text is a text, a number a number, a list a list.

cattrs by itself makes ``"3"`` of 3 and a tuple of letters of a word; data from a file or a wire must not be bent like that.
JSON has no infinite numbers: they are written as ``"inf"``, and read back where a number may stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from cattrs import Converter
from cattrs.errors import BaseValidationError, IterableValidationError, IterableValidationNote

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.events._shape import as_object, wrong_type

_INFINITE = ("inf", "-inf", "nan")


def register_strict_hooks(converter: Converter) -> None:
    """Make `converter` take texts, numbers, words, lists and objects only as what they are."""

    def structure_mapping(value: Any, cls: Any) -> dict[str, Any]:
        item_type = get_args(cls)[1]
        if item_type is Any:
            return dict(as_object(value))
        return {name: converter.structure(item, item_type) for name, item in as_object(value).items()}

    def structure_tuple(value: Any, cls: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise wrong_type("array", value)
        item_type = get_args(cls)[0]
        items = []
        for index, item in enumerate(value):
            try:
                items.append(converter.structure(item, item_type))
            except (BaseValidationError, ValueShapeError) as error:
                error.add_note(IterableValidationNote("item", index, item_type))
                raise IterableValidationError("items", [error], cls) from None
        return tuple(items)

    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(_is_made_of(Literal), _word)
    converter.register_structure_hook_func(_is_made_of(Mapping), structure_mapping)
    converter.register_structure_hook_func(_is_made_of(tuple), structure_tuple)
    converter.register_structure_hook_func(_is_made_of(Sequence), structure_tuple)
    converter.register_unstructure_hook(float, _unstructure_number)


def _is_made_of(origin: Any) -> Callable[[Any], bool]:
    return lambda cls: get_origin(cls) is origin


def _text(value: Any, _cls: object) -> str:
    if isinstance(value, str):
        return value
    raise wrong_type("string", value)


def _truth(value: Any, _cls: object) -> bool:
    if isinstance(value, bool):
        return value
    raise wrong_type("boolean", value)


def _integer(value: Any, _cls: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise wrong_type("integer", value)


def _number(value: Any, _cls: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number or (isinstance(value, str) and value in _INFINITE):
        return float(value)
    raise wrong_type("number", value)


def _word(value: Any, cls: Any) -> str:
    word = _text(value, cls)
    if word in get_args(cls):
        return word
    raise ValueShapeError("", f"must be one of {', '.join(get_args(cls))}")


def _unstructure_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
