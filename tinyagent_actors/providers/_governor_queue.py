"""FairQueue: who comes next among the calls that wait at one governor. Pure: no clock, no task.

Three rules, the strongest first. *Priority*: a higher one is served before a lower one; but where several wait, every
eighth turn is that of the call that has waited longest, whoever it is, so that nobody waits for ever. *Fair shares*: among equal
ones the subtrees of actors take turns, at every level of the tree: ``/team`` and ``/chat`` one each, and inside of
``/team`` its agents one each, so that a hundred agents of one team take no more than one turn in two. Between two turns of a subtree
that has somebody waiting, each of its siblings has at most one. *First come, first served* inside a share.

A turn that was refused was none: such a call comes back to its old place, and its subtree is first again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

TURNS_BY_PRIORITY: Final = 7
"""Turns in a row that go by priority while calls of several wait; the next one goes by waiting time."""

_OWN: Final = ""
"""The share of the calls that an actor makes itself, beside those of the actors below it. No actor has this name."""


@attrs.define(eq=False)
class Waiter:
    """A call that wants a place."""

    path: str
    """Of the actor that makes it; ``/`` outside of actors."""
    priority: int = 0
    max_wait: float = float("inf")
    """Seconds; a pause that lasts longer is not waited for."""
    ticket: int = 0
    """Its place in the order of arrival, from 1; kept when it comes again."""


@attrs.define(eq=False)
class _Share:
    """A subtree that has somebody waiting: shares in the order of their turns, or (at the end of a path) a line."""

    turns: OrderedDict[str, _Share] = attrs.field(factory=OrderedDict)
    line: list[Waiter] = attrs.field(factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.turns and not self.line


def _ticket(waiter: Waiter) -> int:
    return waiter.ticket


def _names(path: str) -> list[str]:
    return [*filter(None, path.split("/")), _OWN]


@attrs.define(eq=False)
class FairQueue:
    """The calls that wait, in the order in which they will be served."""

    _by_priority: dict[int, _Share] = attrs.field(factory=dict, init=False)
    _oldest_first: OrderedDict[int, Waiter] = attrs.field(factory=OrderedDict, init=False)
    """By ticket."""
    _turns_by_priority: int = attrs.field(default=0, init=False)
    """Since the last one by waiting time."""

    def __len__(self) -> int:
        return len(self._oldest_first)

    def __iter__(self) -> Iterator[Waiter]:
        """Give those who wait, those first that have waited longest."""
        return iter(self._oldest_first.values())

    def __contains__(self, waiter: Waiter) -> bool:
        return self._oldest_first.get(waiter.ticket) is waiter

    def add(self, waiter: Waiter, *, again: bool = False) -> None:
        """Have a call wait; `again`: the turn that it had was refused."""
        share = self._by_priority.setdefault(waiter.priority, _Share())
        for name in _names(waiter.path):
            inner = share.turns.setdefault(name, _Share())
            if again:
                share.turns.move_to_end(name, last=False)
            share = inner
        insort(share.line, waiter, key=_ticket)
        self._oldest_first[waiter.ticket] = waiter
        if again:
            self._oldest_first.move_to_end(waiter.ticket, last=False)

    def remove(self, waiter: Waiter) -> None:
        """Forget a call that waits. Those behind it move up; nobody else's turn changes."""
        del self._oldest_first[waiter.ticket]
        trail = self._trail(waiter)
        line = trail[-1][0].turns[_OWN].line
        del line[bisect_left(line, waiter.ticket, key=_ticket)]
        self._forget_empty(trail, waiter.priority)

    def pop(self) -> Waiter:
        """Take the call whose turn it is. There must be one."""
        waiter = self._next()
        for share, name in self._trail(waiter):
            share.turns.move_to_end(name)
        self.remove(waiter)
        return waiter

    def _next(self) -> Waiter:
        if len(self._by_priority) > 1:
            if self._turns_by_priority >= TURNS_BY_PRIORITY:
                self._turns_by_priority = 0
                return next(iter(self._oldest_first.values()))
            self._turns_by_priority += 1
        share = self._by_priority[max(self._by_priority)]
        while share.turns:
            share = next(iter(share.turns.values()))
        return share.line[0]

    def _trail(self, waiter: Waiter) -> list[tuple[_Share, str]]:
        """Give the shares on the way to a call's line, each with the name of the next."""
        share = self._by_priority[waiter.priority]
        trail = []
        for name in _names(waiter.path):
            trail.append((share, name))
            share = share.turns[name]
        return trail

    def _forget_empty(self, trail: list[tuple[_Share, str]], priority: int) -> None:
        for share, name in reversed(trail):
            if share.turns[name].is_empty:
                del share.turns[name]
        if self._by_priority[priority].is_empty:
            del self._by_priority[priority]
