"""CallLedger: which calls of a conversation wait for their result, and under which id each is sent."""

from __future__ import annotations

from typing import Final, Protocol

import attrs

from tinyagent_actors.messages import InvalidToolCall, ToolCall

NO_RESULT: Final = "no result: the call did not run to its end"
"""What stands in a request where a call has no result."""


class IdRules(Protocol):
    """Which ids of calls a provider accepts."""

    def call_id(self, wanted: str) -> str:
        """Give an id that the provider accepts, the same for the same id."""

    def numbered_id(self, wanted: str, number: int) -> str:
        """Give another id for a call whose id was sent before."""


@attrs.frozen
class SentCall:
    """A call as a request holds it."""

    id: str
    name: str


@attrs.define(eq=False)
class CallLedger:
    """Every call is followed by exactly one result, and its id is unique over the whole conversation."""

    _rules: IdRules
    _open: dict[str, list[SentCall]] = attrs.field(factory=dict, init=False)
    """Calls without a result by their id in the transcript, oldest first."""
    _sent: dict[str, int] = attrs.field(factory=dict, init=False)
    """Ids that were sent -> the number with which the search for another of that name goes on."""

    def enter(self, call: ToolCall | InvalidToolCall) -> SentCall:
        """Take a call; give it as it is sent."""
        sent = SentCall(self._unique_id(self._rules.call_id(call.id)), call.name)
        self._open.setdefault(call.id, []).append(sent)
        return sent

    def settle(self, call_id: str) -> SentCall | None:
        """Take a result; give the call that it is of, or None if none waits under that id."""
        waiting = self._open.get(call_id)
        if not waiting:
            return None
        sent = waiting.pop(0)
        if not waiting:
            del self._open[call_id]
        return sent

    def settle_rest(self) -> list[SentCall]:
        """Give the calls that have no result; none waits any more."""
        rest = [sent for waiting in self._open.values() for sent in waiting]
        self._open.clear()
        return rest

    def _unique_id(self, wanted: str) -> str:
        if wanted not in self._sent:
            self._sent[wanted] = 2
            return wanted
        sent, number = wanted, self._sent[wanted]
        while sent in self._sent:
            sent, number = self._rules.numbered_id(wanted, number), number + 1
        self._sent[wanted] = number
        self._sent[sent] = 2
        return sent
