"""Validation: a model's arguments against the schema, then into the types of the signature. Nothing runs before."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import attrs
import cattrs
import jsonschema_rs

from tinyagent_actors._errors import InvalidArgumentsError

_MOST_PROBLEMS: Final = 10
_PLAIN: Final = (str, int, float, bool, Any)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(datetime.datetime, lambda value, _: datetime.datetime.fromisoformat(value))
    converter.register_structure_hook(datetime.date, lambda value, _: datetime.date.fromisoformat(value))
    return converter


_CONVERTER: Final = _make_converter()


@attrs.define(eq=False)
class ArgumentReader:
    """Reads the arguments of one tool."""

    tool: str
    parameters: Mapping[str, Any]
    hints: Mapping[str, Any]
    _validator: Any = attrs.field(init=False, repr=False)
    _structure: dict[str, Callable[[Any], Any]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._validator = jsonschema_rs.validator_for(dict(self.parameters), validate_formats=True)
        self._structure = {
            name: partial(_structure, hint=hint) for name, hint in self.hints.items() if hint not in _PLAIN
        }

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments in the types of the signature.

        Raises:
            InvalidArgumentsError: They do not fit; every problem (ten at most) is named with its path.
        """
        if not self._validator.is_valid(arguments):
            problems = []
            for error in self._validator.iter_errors(arguments):
                problems.append(f"{_path(error.instance_path)}: {error.message[:200]}")
                if len(problems) == _MOST_PROBLEMS:
                    break
            raise InvalidArgumentsError(self.tool, problems)
        read = dict(arguments)
        for name, structure in self._structure.items():
            if name in read:
                try:
                    read[name] = structure(read[name])
                except (cattrs.BaseValidationError, ValueError, TypeError, KeyError) as error:
                    raise InvalidArgumentsError(self.tool, _problems(name, error)) from error
        return read


def _structure(value: Any, hint: Any) -> Any:
    return _CONVERTER.structure(value, hint)


def _problems(name: str, error: Exception) -> list[str]:
    if isinstance(error, cattrs.BaseValidationError):
        return [f"{name}: {problem}" for problem in cattrs.transform_error(error)][:_MOST_PROBLEMS]
    return [f"{name}: {error}"]


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "arguments"
