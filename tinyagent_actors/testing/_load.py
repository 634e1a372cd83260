"""Scripts from files, in JSON or TOML.

A script is an object with ``replies``, a list of objects whose members are the fields of `Reply`, and may say ``repeat``::

    repeat = true

    [[replies]]
    text = "Let me look."
    tool_calls = [{ name = "read_file", arguments = { path = "README.md" } }]

    [[replies]]
    status = 429
    retry_after = 2

    [[replies]]
    text = "It breaks off."
    delivery = { delay_between = 0.05 }
    fault = { kind = "cut", after_chunks = -1 }

``body`` and the members of ``chunks`` are texts, or ``{ base64 = "..." }``. ``finish`` and ``usage`` may be ``"none"``, and
``chunk_size`` may be ``0`` for whole, since TOML has no null.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import orjson

from tinyagent_actors._errors import SpecError, ValueShapeError
from tinyagent_actors.testing._policy import Script
from tinyagent_actors.testing._script import CallSpec, Cut, Delivery, Reply, Reset, Stall

_FAULTS: Final = {"stall": Stall, "cut": Cut, "reset": Reset}
_MAX_BYTES: Final = 64 * 1024 * 1024
_Value = TypeVar("_Value")


def load_script(path: str | os.PathLike[str]) -> Script:
    """Read a script from a file; its name's ending says the format.

    Args:
        path: Ends in ``.json`` or ``.toml``.

    Raises:
        ValueShapeError: What is in it is not a script; `field` names the member, such as ``replies[2].fault.kind``.
        OSError: The file cannot be read.
    """
    path = Path(path)
    parse = {".json": orjson.loads, ".toml": _parse_toml}.get(path.suffix.lower())
    if parse is None:
        raise ValueShapeError(path.name, "a script is a .json or a .toml file")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueShapeError(path.name, f"a script has at most {_MAX_BYTES} bytes")
    try:
        content = parse(data)
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueShapeError(path.name, f"cannot be read: {error}") from None
    return script_from_dict({"replies": content} if isinstance(content, list) else content)


def _parse_toml(data: bytes) -> Any:
    return tomllib.loads(data.decode())


def script_from_dict(value: object) -> Script:
    """Give the script that an object describes.

    Raises:
        ValueShapeError: It does not describe one.
    """
    members = _object(value, "script", ("replies", "repeat"))
    replies = members.get("replies")
    if not isinstance(replies, list) or not replies:
        raise ValueShapeError("replies", "must be a list with at least one reply")
    repeat = members.get("repeat", False)
    if not isinstance(repeat, bool):
        raise ValueShapeError("repeat", f"must be true or false, not {repeat!r}")
    return Script([_reply(reply, f"replies[{index}]") for index, reply in enumerate(replies)], repeat=repeat)


def _object(value: object, where: str, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueShapeError(where, f"must be an object, not {type(value).__name__}")
    for name in value:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
            raise ValueShapeError(f"{where}.{name}" if where != "script" else str(name), "no such member" + hint)
    return dict(value)


def _build(make: type[_Value], members: Mapping[str, Any], where: str) -> _Value:
    """Make a value; what it objects to is said with the place in the file."""
    try:
        return make(**members)
    except SpecError as error:
        raise ValueShapeError(f"{where}.{error.field}", error.problem) from None
    except TypeError as error:
        raise ValueShapeError(where, str(error).rpartition("() ")[2]) from None


def _names(kind: type[attrs.AttrsInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind))


def _reply(value: object, where: str) -> Reply:
    members = _object(value, where, _names(Reply))
    for name, convert in _CONVERTERS.items():
        if name in members:
            members[name] = convert(members[name], f"{where}.{name}")
    return _build(Reply, members, where)


def _bytes(value: object, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    encoded = _object(value, where, ("base64",)).get("base64")
    try:
        return base64.b64decode(encoded, validate=True)  # type: ignore[arg-type]  # what is no text is a TypeError
    except (TypeError, ValueError, binascii.Error):
        raise ValueShapeError(f"{where}.base64", "must be a text in base64") from None


def _list_of(convert: Callable[[object, str], Any]) -> Callable[[object, str], list[Any]]:
    def convert_list(value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise ValueShapeError(where, f"must be a list, not {type(value).__name__}")
        return [convert(item, f"{where}[{index}]") for index, item in enumerate(value)]

    return convert_list


def _call(value: object, where: str) -> CallSpec:
    return _build(CallSpec, _object(value, where, _names(CallSpec)), where)


def _delivery(value: object, where: str) -> Delivery:
    return _build(Delivery, _object(value, where, _names(Delivery)), where)


def _fault(value: object, where: str) -> Stall | Cut | Reset:
    members = _object(value, where, ("kind", *_names(Stall)))
    kind = members.pop("kind", None)
    make: type[Stall | Cut | Reset] | None = _FAULTS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise ValueShapeError(f"{where}.kind", f"must be one of {', '.join(_FAULTS)}, not {kind!r}")
    _object(members, where, _names(make))
    return _build(make, members, where)


def _or_none(value: object, _where: str) -> object:
    return None if value == "none" else value


def _or_whole(value: object, _where: str) -> object:
    return None if value == 0 and not isinstance(value, bool) else value


_CONVERTERS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "tool_calls": _list_of(_call),
    "body": _bytes,
    "chunks": _list_of(_bytes),
    "delivery": _delivery,
    "fault": _fault,
    "finish": _or_none,
    "usage": _or_none,
    "chunk_size": _or_whole,
}
