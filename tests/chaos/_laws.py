"""What must hold when the storm is over, whatever happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import trio

from tinyagent_actors import AgentEndEvent, Event, Gap, System, TurnStartEvent
from tinyagent_actors.messages import AssistantMessage, InvalidToolCall, Message, ToolCall, ToolResultMessage

MARK = "TINYAGENT_CHAOS"
"""An environment variable that every process of a tool has."""


@attrs.define(eq=False)
class Ledger:
    """What was seen of a storm."""

    runs: int = 0
    calls: int = 0
    turns: Counter[str] = attrs.field(factory=Counter)
    """Requests, by the agent's path."""
    events: Counter[str] = attrs.field(factory=Counter)
    renewed: int = 0
    """Agents that had ended for good, and were started anew."""
    digest: list[tuple[str, str, float]] = attrs.field(factory=list)
    """Type, path and time of each event: what a replay is compared by."""

    def take(self, event: Event | Gap) -> None:
        """Count an event; of a run that has ended, see that each call has its result."""
        assert not isinstance(event, Gap), event
        self.events[event.type] += 1
        self.digest.append((event.type, event.path, event.monotonic_time))
        if isinstance(event, TurnStartEvent):
            self.turns[event.path] += 1
        elif isinstance(event, AgentEndEvent):
            self.runs += 1
            self.calls += check_results(event.messages)


def check_results(messages: Iterable[Message]) -> int:
    """See that every call of a run has exactly one result, in the order of the calls; how many there were."""
    waiting: list[str] = []
    calls = 0
    for message in messages:
        if isinstance(message, ToolResultMessage):
            assert waiting, f"a result of no call: {message}"
            assert waiting.pop(0) == message.tool_call_id
            continue
        assert not waiting, f"calls without a result: {waiting}"
        if isinstance(message, AssistantMessage):
            waiting = [block.id for block in message.content if isinstance(block, ToolCall | InvalidToolCall)]
            calls += len(waiting)
    assert not waiting, f"calls without a result: {waiting}"
    return calls


def check_leases(system: System, seen: Ledger) -> None:
    """See that nothing is reserved, and that what was used adds up, at each place of the tree.

    What a child had used that is gone, or was started anew under its name, stays in the sum of what stands above it.
    """
    leases = system.leases()
    assert all((lease.reserved_tokens, lease.reserved_pico) == (0, 0) for lease in leases), leases
    for lease in leases:
        below = [one.used for one in leases if one.path != "/" and (one.path.rpartition("/")[0] or "/") == lease.path]
        for unit in ("tokens", "turns", "tool_calls"):
            known = getattr(lease.own, unit) + sum(getattr(used, unit) for used in below)
            used = getattr(lease.used, unit)
            assert used == known or (used > known and seen.renewed), (lease.path, unit, used, known)
    assert system.spending().turns <= sum(seen.turns.values())


async def renew(team: Any, name: str, seen: Ledger) -> None:
    """Start an agent anew that has ended for good: a run that was told came to a limit."""
    if any(child.name == name and child.state == "stopped" for child in team.which_children()):
        seen.renewed += 1
        await team.restart_child(name)


async def check_nothing_left(system: System, mark: str) -> None:
    """See that no task, thread, stream or process of the system is left; threads and late tools have a moment."""
    with trio.fail_after(30):
        while system.leftovers().total or processes_of(mark):  # noqa: ASYNC110  # of other processes and threads
            await trio.sleep(0.05)


def processes_of(mark: str) -> list[int]:
    """Give the processes whose environment bears the mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:  # it has ended, or is another's
                continue
            if wanted in environment.split(b"\0"):
                found.append(int(entry.name))
    return found
