"""From JSON to the types of a signature, strictly: a value is never bent into a type that its schema does not name."""

from __future__ import annotations

import dataclasses
import datetime
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Annotated, Any, Final, NewType, TypeAlias, Union, get_args, get_origin

import attrs
import cattrs

Hook: TypeAlias = Callable[[Any, Any], Any]


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise TypeError("expected a string")  # read by the model
    return value


def _whole(value: Any, _: Any) -> int:
    """JSON knows one kind of number: 3.0 is an integer there."""
    if type(value) is int:
        return value
    if type(value) is not float or not value.is_integer():
        raise TypeError("expected an integer")  # read by the model
    return int(value)


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError("expected a number")  # read by the model
    return float(value)


def _truth(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("expected true or false")  # read by the model
    return value


def _nothing(value: Any, _: Any) -> None:
    if value is not None:
        raise TypeError("expected null")  # read by the model


def _moment(value: Any, _: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(_text(value, str))


def _day(value: Any, _: Any) -> datetime.date:
    return datetime.date.fromisoformat(_text(value, str))


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _union_hook(hint: Any, converter: cattrs.Converter) -> Hook:
    """Of several types the one that the value has already, else the first into which it can be made."""
    options = get_args(hint)
    some = [option for option in options if option is not type(None)]
    if len(some) == 1 and len(options) > 1:
        return _optional_hook(some[0], converter)
    exact = {option for option in options if option in (str, int, float, bool)}
    ways: list[tuple[Any, Any, Hook]] = []

    def structure(value: Any, _: Any) -> Any:
        if value is None and type(None) in options:
            return None
        if type(value) in exact:
            return value
        if not ways:  # only now: a type may stand in a union of its own
            ways.extend((_shape(option), option, converter.get_structure_hook(option)) for option in options)
        shape = dict if isinstance(value, dict) else list if isinstance(value, list) else None
        errors: list[Exception] = []
        for made_of, option, hook in ways:
            if made_of not in (shape, Any):
                continue
            try:
                return hook(value, option)
            except Exception as error:  # noqa: BLE001  # whatever a class of the user's does: the next one is tried
                errors.append(error)
        if not errors:
            message = f"expected one of {', '.join(map(str, options))}"
            raise TypeError(message)
        raise next(filter(_is_deep, errors), errors[0])

    return structure


def _optional_hook(hint: Any, converter: cattrs.Converter) -> Hook:
    ways: list[Hook] = []

    def structure(value: Any, _: Any) -> Any:
        if value is None:
            return None
        if not ways:  # as above
            ways.append(converter.get_structure_hook(hint))
        return ways[0](value, hint)

    return structure


def _shape(hint: Any) -> Any:
    """Give what JSON has for a type: `dict`, `list`, None for what is neither, `Any` for whatever there is."""
    while _is_annotated(hint) or isinstance(hint, NewType):
        hint = _plain(hint)
    kind = get_origin(hint) or hint
    if kind is Any:
        return Any
    if not isinstance(kind, type) or issubclass(kind, str):
        return None
    if issubclass(kind, Mapping) or attrs.has(kind) or dataclasses.is_dataclass(kind):
        return dict
    return list if issubclass(kind, Sequence | AbstractSet) else None


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if _is_annotated(hint) else hint.__supertype__


def _is_deep(error: Exception) -> bool:
    """Whether a value had the shape of that option, and only something in it is wrong: the error that helps."""
    return isinstance(error, cattrs.BaseValidationError)


def _is_annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def _make_converter(*, explains: bool) -> cattrs.Converter:
    made = cattrs.Converter(forbid_extra_keys=True, detailed_validation=explains)
    for kind, hook in (
        (str, _text),
        (int, _whole),
        (float, _number),
        (bool, _truth),
        (type(None), _nothing),
        (datetime.datetime, _moment),
        (datetime.date, _day),
    ):
        made.register_structure_hook_func(
            partial(operator.is_, kind), hook
        )  # of the type itself: an `IntEnum` is an int, too
    made.register_structure_hook_factory(_is_union, _union_hook)
    return made


_quick: Final = _make_converter(explains=False)
"""What fits its schema hardly ever fails, so at first nobody notes where it does ..."""
_slow: Final = _make_converter(explains=True)
"""... and then it is done again."""

_UNCHANGED: Final = (str, bool, Any)
"""What has its type when it fits its schema."""


def structure_hooks(hint: Any) -> tuple[Hook, Hook] | None:
    """Give what makes a value that fits the schema of `hint` a value of `hint`: quickly, and so that an error tells where it is.

    Returns:
        None if the value is one already.

    Raises:
        Exception: There is no way.
    """
    while _is_annotated(hint) or isinstance(hint, NewType):
        hint = _plain(hint)
    if hint in _UNCHANGED:
        return None
    return _quick.get_structure_hook(hint), _slow.get_structure_hook(hint)
