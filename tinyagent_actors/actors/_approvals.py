"""Approvals: calls that wait for somebody to say yes, and where that is said.

The design. A parked call is a `ParkedCall` in the registry of its system, from before it is told of until it is settled; it is settled
once, by an answer, by its time running out, or by whatever cancels the call. Each settlement is told by one event, in the same step. An
answer is a plain function call: it works from any actor, from a user interface, from a test, and never waits.

What an answer is bound to. The id of a request is a number and the beginning of a hash over tool, arguments and path. An id that was
written down in another run of the program names, by its number, some other call now: its hash differs, and it is refused
(`ApprovalMismatchError`). Whoever answers with the request itself, which holds the whole hash, is held to all of it. Before the
call runs, the hash is taken again over what is about to run; see `tools`.

The races. *An answer in the tick of the timeout or of a cancel*: the first to settle wins. Whoever answered was told that the answer was
taken, so a timeout that comes after it changes nothing; a cancel ends the call all the same. *Two answers*: the second
gets `ApprovalAnsweredError`, and so does one that comes when the call has gone; the registry remembers the latest thousand.

An `Agent` without a system has a registry of its own, which stands below that of whatever it runs in: the call is in both, and may be
answered in either. That makes an agent used inside a tool of another one visible at the top.

Refused: futures that the answering side awaits (whoever answers has nothing to wait for), answers by tool name or "the next one", and
a message to the agent (its mailbox is not read during a run, and approvals must work while everything waits).
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import trio

from tinyagent_actors._errors import ApprovalAnsweredError, ApprovalMismatchError, ApprovalNotFoundError
from tinyagent_actors.actors._approval_request import ApprovalRequest
from tinyagent_actors.actors._bus import EventBus
from tinyagent_actors.events import ApprovalDecision, ApprovalRequestedEvent, ApprovalResolvedEvent, Event

_REMEMBERED: Final = 1000
_SHOWN: Final = 16
"""Digits of the hash in an id."""


@attrs.define(eq=False)
class ParkedCall:
    """A call in the registry. Made by `Approvals.park`."""

    request: ApprovalRequest
    _registries: tuple[Approvals, ...] = attrs.field(repr=False)
    _cause: int | None = attrs.field(repr=False)
    decision: ApprovalDecision | None = attrs.field(default=None, init=False)
    reason: str | None = attrs.field(default=None, init=False)
    _since: float = attrs.field(factory=trio.current_time, init=False)
    _settled: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)

    async def wait(self) -> None:
        """Wait until it is settled. Cancelling it leaves it in the registry: whoever parked it settles it then."""
        await self._settled.wait()

    def settle(self, decision: ApprovalDecision, by: str | None = None, reason: str | None = None) -> None:
        """Settle it, tell of it, and take it out of the registries. What comes second changes nothing."""
        if self.decision is not None:
            return
        self.decision, self.reason = decision, reason
        for registry in self._registries:
            registry.forget(self)
        seconds = trio.current_time() - self._since
        self.publish(ApprovalResolvedEvent, decision=decision, by=by, reason=reason, seconds=seconds)
        self._settled.set()

    def publish(self, kind: type[Event], **fields: Any) -> None:
        """Tell of it on the agent's bus, and on that of each system around, there under the path of the agent that waits."""
        request, told = self.request, set[EventBus]()
        for registry in self._registries:
            if registry.bus in told:
                continue
            own = not told
            path = request.path if own else next((path for path in request.waiting if path != request.path), "/")
            told.add(registry.bus)
            self._cause = registry.bus.publish(
                kind,
                path,
                run=request.run if own else None,
                turn=request.turn if own else None,
                cause=self._cause if own else None,
                approval=request.id,
                tool_call_id=request.tool_call_id,
                tool_name=request.tool_name,
                **fields,
            )


@attrs.define(eq=False)
class Approvals:
    """The calls that wait for approval in one system, or at one `Agent`."""

    bus: EventBus = attrs.field(repr=False)
    above: Approvals | None = attrs.field(default=None, repr=False)
    """The registry of what this is a part of."""
    _parked: dict[int, ParkedCall] = attrs.field(factory=dict, init=False)
    _past: OrderedDict[int, tuple[str, ApprovalDecision]] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)

    def requests(self) -> tuple[ApprovalRequest, ...]:
        """Give what waits for an answer, in the order it came."""
        return tuple(parked.request for parked in self._parked.values())

    def park(
        self,
        path: str,
        tool_name: str,
        arguments: Mapping[str, Any],
        digest: str,
        *,
        run: int,
        turn: int,
        tool_call_id: str,
        waiting: tuple[str, ...],
        seconds: float,
        cause: int | None,
    ) -> ParkedCall:
        """Enter a call, and tell of it; the arguments are the fields of its `ApprovalRequest`. Whoever does settles it in the end."""
        registries = self._line()
        number = next(registries[-1]._numbers)  # noqa: SLF001  # of its own class
        request = ApprovalRequest(
            f"{number}-{digest[:_SHOWN]}", path, run, turn, tool_call_id, tool_name, arguments, digest, waiting, seconds
        )
        parked = ParkedCall(request, registries, cause)
        for registry in registries:
            registry._parked[number] = parked  # noqa: SLF001
            registry._past.pop(number, None)  # noqa: SLF001  # of an earlier `trio.run`
        parked.publish(ApprovalRequestedEvent, arguments=arguments, waiting=waiting, seconds=seconds)
        return parked

    def approve(self, request: str | ApprovalRequest, by: str) -> None:
        """Let a parked call run.

        Raises:
            ApprovalNotFoundError: There is none of that number.
            ApprovalAnsweredError: It is settled already.
            ApprovalMismatchError: It is a call of another tool, with other arguments, or of another agent.
        """
        self._find(request).settle("approved", by)

    def deny(self, request: str | ApprovalRequest, reason: str, by: str) -> None:
        """Have a parked call not run; the model reads the reason. Raises what `approve` raises."""
        self._find(request).settle("denied", by, reason)

    def forget(self, parked: ParkedCall) -> None:
        """Take out what was settled, and remember that it was."""
        number = _number(parked.request.id)
        self._parked.pop(number, None)
        self._past[number] = (parked.request.id, parked.decision or "cancelled")
        if len(self._past) > _REMEMBERED:
            self._past.popitem(last=False)

    def _find(self, answered: str | ApprovalRequest) -> ParkedCall:
        id_ = answered if isinstance(answered, str) else answered.id
        number = _number(id_)
        parked = self._parked.get(number)
        if parked is None:
            past = self._past.get(number)
            if past is None or past[0] != id_:
                raise ApprovalNotFoundError(id_)
            raise ApprovalAnsweredError(id_, past[1])
        request = parked.request
        is_other = isinstance(answered, ApprovalRequest) and answered.digest != request.digest
        if is_other or id_ != request.id:
            raise ApprovalMismatchError(id_, request.id)
        return parked

    def _line(self) -> tuple[Approvals, ...]:
        return (self,) if self.above is None else (self, *self.above._line())  # noqa: SLF001


def _number(id_: str) -> int:
    head = id_.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) < _SHOWN else 0
