"""What could not be ended: counted, named, never hidden."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

import attrs

LeftoverKind: TypeAlias = Literal["tasks", "threads", "streams", "processes"]


@attrs.frozen
class Leftovers:
    """How much of our work is still running though it was told to end."""

    tasks: int = 0
    threads: int = 0
    """Threads that still run our work; idle cached ones do not count."""
    streams: int = 0
    processes: int = 0
    names: tuple[str, ...] = ()
    """Each of them, such as ``tool hang of /team/reader-2``."""

    @property
    def total(self) -> int:
        """All of them together."""
        return self.tasks + self.threads + self.streams + self.processes


@attrs.define(eq=False)
class LeftoverRegistry:
    """The ledger of work that was given up. Its entries go when the work ends after all."""

    _entries: dict[int, tuple[LeftoverKind, str]] = attrs.field(factory=dict, init=False)
    _next: int = attrs.field(default=0, init=False)

    def add(self, kind: LeftoverKind, name: str) -> int:
        """Enter something that will not end; the token takes it out again."""
        self._next += 1
        self._entries[self._next] = (kind, name)
        return self._next

    def remove(self, token: int) -> None:
        """Take out what ended after all. An unknown token changes nothing."""
        self._entries.pop(token, None)

    def snapshot(self) -> Leftovers:
        """Count and name what is left now."""
        counts = Counter(kind for kind, _ in self._entries.values())
        names = tuple(name for _, name in self._entries.values())
        return Leftovers(counts["tasks"], counts["threads"], counts["streams"], counts["processes"], names)
