"""PriorityLane: a work lane that gives out what is most urgent first."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from tinyagent_actors.actors._reply_slot import Envelope, Item

Priority: TypeAlias = Callable[[Any], int]

ORDINARY = 0
"""The priority of a message for which the spec's function has failed."""


@attrs.define(eq=False)
class PriorityLane:
    """As much of a deque as a mailbox uses: the lowest priority comes out first, and within one priority what came first.

    A lane for each priority that has messages, and those priorities in order: there are few. A message's priority is asked
    for once, when it comes in. Under load what is least urgent may wait without end; that is what was asked for.
    """

    _priority: Priority
    _on_failure: Callable[[BaseException], object]
    """Hears, once, that the function has failed: it is somebody else's code, and runs in whoever sends or reads."""
    _lanes: dict[int, deque[Item]] = attrs.field(factory=dict, init=False)
    _order: list[int] = attrs.field(factory=list, init=False)
    """The priorities that have messages, the most urgent first."""
    _returned: deque[Item] = attrs.field(factory=deque, init=False)
    """What was given back: before all others, whatever its priority."""
    _length: int = attrs.field(default=0, init=False)
    _has_failed: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Item]:
        yield from self._returned
        for priority in self._order:
            yield from self._lanes[priority]

    def append(self, item: Item) -> None:
        """Put a message behind those of its priority."""
        priority = self._priority_of(item.message if isinstance(item, Envelope) else item[0])
        lane = self._lanes.get(priority)
        if lane is None:
            lane = self._lanes[priority] = deque()
            insort(self._order, priority)
        lane.append(item)
        self._length += 1

    def appendleft(self, item: Item) -> None:
        """Put a message before all others."""
        self._returned.appendleft(item)
        self._length += 1

    def popleft(self) -> Item:
        """Take out what is most urgent; of that, what came first."""
        if self._returned:
            self._length -= 1
            return self._returned.popleft()
        return self._pop(self._order[0])

    def pop_to_drop(self) -> Item:
        """Take out what is least urgent; of that, what came first."""
        return self._pop(self._order[-1])

    def remove(self, item: Item) -> None:
        """Take that very message out.

        Raises:
            ValueError: It is not there.
        """
        for priority in self._order:
            lane = self._lanes[priority]
            if item in lane:
                lane.remove(item)
                self._forget_if_empty(priority)
                self._length -= 1
                return
        raise ValueError(item)

    def _pop(self, priority: int) -> Item:
        item = self._lanes[priority].popleft()
        self._forget_if_empty(priority)
        self._length -= 1
        return item

    def _forget_if_empty(self, priority: int) -> None:
        if not self._lanes[priority]:
            del self._lanes[priority]
            del self._order[bisect_left(self._order, priority)]

    def _priority_of(self, message: object) -> int:
        try:
            priority = self._priority(message)
            if not isinstance(priority, int):
                self._tell(TypeError(f"a priority must be a whole number, is a {type(priority).__name__}"))
                return ORDINARY
        except Exception as error:  # noqa: BLE001  # a hook: it must hurt neither the sender nor the reader
            self._tell(error)
            return ORDINARY
        return priority

    def _tell(self, error: BaseException) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._on_failure(error)
