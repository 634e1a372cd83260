"""What may be a name: of a child, of whoever is registered, of a group."""

from __future__ import annotations

from tinyagent_actors._errors import SpecError


def check_name(name: object, field: str = "name") -> str:
    """Give the name of one actor, or refuse it.

    Raises:
        SpecError: It is no string, empty, or holds a slash or a control character.
    """
    if not isinstance(name, str) or not name:
        raise SpecError(field, f"must be a non-empty string, is {name!r}")
    if "/" in name or not name.isprintable():
        raise SpecError(field, f"must be printable and without '/', is {name!r}")
    return name


def check_group(name: object) -> str:
    """Give the name of a group, or refuse it: names with slashes between them, such as ``news/sport``.

    Raises:
        SpecError: One of them is no name, or holds a ``*``, which stands in patterns.
    """
    for part in name.split("/") if isinstance(name, str) else (name,):
        if "*" in check_name(part, "group"):
            raise SpecError("group", f"must be without '*', is {name!r}")
    return str(name)
