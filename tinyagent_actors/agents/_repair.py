"""Repair: from whatever an incarnation left of its transcript to one that the next may go on from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinyagent_actors.agents._transcript import calls_of, result_for
from tinyagent_actors.messages import AssistantMessage, Message, ToolResultMessage

LOST = "cancelled: the agent was restarted before the result was known; the tool may have run"


def repaired(transcript: Iterable[Message]) -> tuple[Message, ...]:
    """Give a transcript in which every call has exactly one result, right after it, and which a model can go on from.

    A call without a result gets one that says so; a result without a call, or a second one, goes. An answer at the end that failed
    or was cut short, and called nothing, goes, so that the request it was to answer is made again.
    """
    messages = _with_results(tuple(transcript))
    while messages and isinstance(last := messages[-1], AssistantMessage) and last.stop_reason in ("error", "aborted"):
        messages.pop()
    return tuple(messages)


def _with_results(messages: Sequence[Message]) -> list[Message]:
    fixed: list[Message] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if isinstance(message, ToolResultMessage):
            continue  # its call is not before it
        fixed.append(message)
        if isinstance(message, AssistantMessage):
            results: dict[str, ToolResultMessage] = {}
            while place < len(messages) and isinstance(result := messages[place], ToolResultMessage):
                results.setdefault(result.tool_call_id, result)
                place += 1
            seen: set[str] = set()
            for call in calls_of(message):
                if call.id not in seen:
                    seen.add(call.id)
                    fixed.append(results.get(call.id) or result_for(call, LOST))
    return fixed
