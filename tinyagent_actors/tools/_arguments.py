"""Validation: a model's arguments against the schema, then into the types of the signature. Nothing runs before.

Three steps, each of which says what is wrong by the path of the argument. *Is it JSON at all?* What comes from a model's JSON
nearly always is, but a number may be NaN or infinite, a string may hold half of a character, an object may be nested so deeply that
what walks over it overflows its stack; and a hook may hand over anything. *Does it fit the schema?* (jsonschema-rs). *Does it
make a value of the hint?* (cattrs): a date may look like one and be none, a class may have rules of its own.

Of a value that fits none of several schemas the one is explained that it resembles: an object that lacks a member is told of the
member, not that it is no null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import cattrs
import jsonschema_rs
import orjson

from tinyagent_actors._errors import InvalidArgumentsError, ToolDefinitionError
from tinyagent_actors.tools._converter import Hook, structure_hooks

_MOST_PROBLEMS: Final = 10
_LONGEST: Final = 200
"""Characters of one problem."""
_DEEPEST: Final = 100
"""Levels of lists and objects."""
_STRICT: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_ALTERNATIVES: Final = (jsonschema_rs.ValidationErrorKind.AnyOf, jsonschema_rs.ValidationErrorKind.OneOfNotValid)
_UNLIKE: Final = (
    jsonschema_rs.ValidationErrorKind.Type,
    jsonschema_rs.ValidationErrorKind.Enum,
    jsonschema_rs.ValidationErrorKind.Constant,
)
"""What says that a value is nothing like what a schema describes."""


@attrs.define(eq=False)
class ArgumentReader:
    """Reads the arguments of one tool."""

    tool: str
    parameters: Mapping[str, Any]
    hints: Mapping[str, Any]
    _validator: Any = attrs.field(init=False, repr=False)
    _hooks: list[tuple[str, Any, Hook, Hook]] = attrs.field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._validator = jsonschema_rs.validator_for(dict(self.parameters), validate_formats=True)
        for name, hint in self.hints.items():
            try:
                hooks = structure_hooks(hint)
            except Exception as error:
                raise ToolDefinitionError(self.tool, f"{name}: no value of {hint!r} can be made: {error}") from error
            if hooks is not None:
                self._hooks.append((name, hint, *hooks))

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments in the types of the signature.

        Raises:
            InvalidArgumentsError: They do not fit; every problem (ten at most) is named with its path.
        """
        if not _is_clean(arguments):
            flaw = next(_flaws(arguments, ""), None)
            if flaw is not None:
                raise InvalidArgumentsError(self.tool, [flaw])
        if not self._validator.is_valid(arguments):
            raise InvalidArgumentsError(self.tool, self._misfits(arguments))
        read = dict(arguments)
        for name, hint, quick, slow in self._hooks:
            if name in read:
                try:
                    read[name] = quick(read[name], hint)
                except Exception as error:  # whatever a class of the user's raises: it does not take these arguments
                    problems = _problems(name, hint, arguments[name], slow, error)
                    raise InvalidArgumentsError(self.tool, problems) from error
        return read

    def _misfits(self, arguments: Mapping[str, Any]) -> list[str]:
        told: list[str] = []
        for error in self._validator.iter_errors(arguments):
            for path, message in _explain(error):
                told.append(f"{path}: {_short(message)}")
                if len(told) == _MOST_PROBLEMS:
                    return told
        return told


def _is_clean(arguments: Mapping[str, Any]) -> bool:
    """Whether there can be no flaw: the usual case, told quickly."""
    try:
        return b"null" not in orjson.dumps(arguments, option=_STRICT)  # which is what it makes of NaN, too
    except TypeError:
        return False


def _flaws(value: Any, path: str, depth: int = 0) -> Iterator[str]:
    """Say what of a value is no JSON that can be passed on."""
    kind = type(value)
    if kind is str:
        if not value.isascii() and not _is_whole(value):
            yield f"{path or 'arguments'}: it holds half of a character (a lone surrogate)"
    elif kind is dict or kind is list:
        if depth == _DEEPEST:
            yield f"{path or 'arguments'}: it is nested too deeply, the most is {_DEEPEST} levels"
            return
        for key, part in value.items() if kind is dict else enumerate(value):
            part_kind = type(part)
            if kind is dict and (type(key) is not str or not (key.isascii() or _is_whole(key))):
                yield f"{path or 'arguments'}: {ascii(key)[:_LONGEST]} is no name of a member"
            elif part_kind is not int and part_kind is not bool and part is not None:
                yield from _flaws(part, _join(path, key), depth + 1)
    elif kind is float:
        if not math.isfinite(value):
            yield f"{path or 'arguments'}: {value} is no number in JSON"
    elif kind is not int and kind is not bool and value is not None:
        if isinstance(value, Mapping) and not depth:
            yield from _flaws(dict(value), path)
        else:
            yield f"{path or 'arguments'}: a {kind.__name__} is nothing that JSON has"


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _explain(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    """Say what is wrong, as near to it as can be told: paths and sentences."""
    here = list(error.instance_path)
    if not isinstance(error.kind, _ALTERNATIVES):
        yield _path(here), error.message
        return
    branches: list[list[jsonschema_rs.ValidationError]] = error.kind.context
    for branch in branches:
        if not any(isinstance(part.kind, _UNLIKE) and list(part.instance_path) == here for part in branch):
            for part in branch:
                yield from _explain(part)
            return
    yield _path(here), "; ".join(_short(part.message) for branch in branches for part in branch)


def _problems(name: str, hint: Any, value: Any, slow: Hook, error: Exception) -> list[str]:
    try:
        slow(value, hint)
    except cattrs.BaseValidationError as group:
        told = (problem.rpartition(" @ ") for problem in cattrs.transform_error(group, name, _sentence))
        return [f"{path}: {_short(sentence)}" for sentence, _, path in told][:_MOST_PROBLEMS]
    except Exception as same:  # noqa: BLE001  # as above
        error = same
    return [f"{name}: {_short(_sentence(error, None))}"]


def _sentence(error: BaseException, _kind: type | None) -> str:
    return str(error) or type(error).__name__


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path = _join(path, part)
    return path or "arguments"


def _join(path: str, part: object) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else str(part)
