"""Patterns over actor paths: ``team/**``, ``team/*``, ``/``; relative to the root."""

from __future__ import annotations

import re
from collections.abc import Callable

from tinyagent_actors._errors import SpecError


def path_matcher(pattern: str) -> Callable[[str], object]:
    """Give a predicate over absolute paths (``/team/reader-1``); what it gives is true or not, no more.

    ``*`` stands for any characters within one name, by itself for a whole one; ``**``, as a whole segment, for any number
    of names, also none, so ``team/**`` is the subtree with ``team`` itself.

    Raises:
        SpecError: A segment is empty, or `**` is not a segment of its own.
    """
    named = pattern.strip("/")
    if not named:
        return "/".__eq__
    regex = ""
    for segment in named.split("/"):
        if segment == "**":
            regex += "(?:/[^/]+)*"
        elif not segment or "**" in segment:
            raise SpecError("pattern", f"{pattern!r}: a segment is empty or mixes '**' with other characters")
        elif segment == "*":
            regex += "/[^/]+"
        else:
            regex += "/" + "[^/]*".join(re.escape(part) for part in segment.split("*"))
    compiled = re.compile(regex + "/?" if regex.endswith("*") else regex)
    return compiled.fullmatch
