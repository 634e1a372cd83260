"""MessageQueue: messages that wait to enter a run: steering, or follow-ups."""

from __future__ import annotations

from typing import Any, Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.agents._receipt import Receipt, Returned, returned
from tinyagent_actors.messages import Message

CAPACITY: Final = 64
"""How many may be pending."""
QUEUE_MODES: Final = ("one-at-a-time", "all")


def check_mode(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is no mode.

    Raises:
        SpecError: With the name of the field.
    """
    if value not in QUEUE_MODES:
        raise SpecError(field.name, f"must be one of {', '.join(QUEUE_MODES)}, is {value!r}")


@attrs.define(eq=False)
class MessageQueue:
    """A bounded queue whose every entry comes to exactly one outcome: it enters a run, or is given back."""

    mode: str = attrs.field(default="one-at-a-time", validator=check_mode)
    """`one-at-a-time` or `all`: how many entries enter at once."""
    _pending: list[Receipt] = attrs.field(factory=list, init=False, repr=False)
    """Short, and empty in most agents: a deque would take ten times as much."""

    def add(self, messages: tuple[Message, ...]) -> Receipt:
        """Put an entry at the end; where the queue is full, it is given back at once."""
        if len(self._pending) >= CAPACITY:
            return returned(messages, "full")
        receipt = Receipt(messages)
        self._pending.append(receipt)
        return receipt

    def take(self) -> tuple[Receipt, ...]:
        """Take what enters now; whoever takes it settles it."""
        count = len(self._pending) if self.mode == "all" else min(1, len(self._pending))
        taken = tuple(self._pending[:count])
        del self._pending[:count]
        return taken

    def give_back(self, reason: str) -> None:
        """Empty the queue, and say so to whoever waits."""
        while self._pending:
            self._pending.pop(0).settle(Returned(reason))

    def __len__(self) -> int:
        return len(self._pending)
