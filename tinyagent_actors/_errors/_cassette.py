"""What goes wrong with cassettes: the file, a request that it does not hold, an answer that nobody asked for."""

from __future__ import annotations

import attrs

from tinyagent_actors._errors._root import TinyAgentError


@attrs.define(slots=False, eq=False)
class CassetteError(TinyAgentError):
    """A cassette is wrong, or cannot be read, written or recorded."""

    file: str
    line: int
    """From 1; 0: the file as a whole."""
    field: str
    """Path of the offending member, such as ``response.status``; "" where no member is to blame."""
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.problem) if part)


@attrs.define(slots=False, eq=False)
class CassetteMissError(TinyAgentError):
    """A program asked what a cassette has no answer to: record it anew, or mend the program.

    It holds no credential: requests are compared without them.
    """

    file: str
    request: str
    """Method and path."""
    nearest: int
    """The line of the recorded request that is nearest; 0: there is none."""
    difference: str
    """What differs from it, a line each."""
    misses: int = 1
    """How many requests had no answer; this is the first."""

    def __str__(self) -> str:
        others = f" (the first of {self.misses} such requests)" if self.misses > 1 else ""
        head = f"{self.file}: no recorded answer to {self.request}{others}"
        return f"{head}; the nearest is at line {self.nearest}:\n{self.difference}" if self.nearest else head


@attrs.define(slots=False, eq=False)
class CassetteUnusedError(TinyAgentError):
    """A block that replays a cassette ended before all of it was asked for."""

    file: str
    unused: tuple[str, ...]
    """Line, method and path of each exchange."""

    def __str__(self) -> str:
        return f"{self.file}: {len(self.unused)} recorded answers were never asked for: {', '.join(self.unused)}"
