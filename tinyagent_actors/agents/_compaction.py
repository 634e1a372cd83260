"""Compaction: a transcript that no longer fits into the context of its model is made shorter, by whatever function the agent has.

The design. Only the provider knows what fits, so the sign is its own: an answer with the error ``context_overflow``. Then the run
compacts once and makes the same request again. A 429 or any other failure never leads here.

It never loops, because each compaction has to pass a test of progress: what it gives must be smaller by `PROGRESS`, by the same
estimate that budgets use, and there are `MOST` in a row without an answer between them. What does not pass ends the run with
`CompactionError`, which no supervisor restarts.

A compaction is *due* from the overflow until it has been done: if the call that it makes fails because the provider is down, the
agent is restarted after a back-off like after any such failure, and compacts first.

`SummariseOldest`, the default, asks the agent's own model, once, for a summary of the older part, and keeps the newer one as
it is. The call is bounded both ways: what it is shown is cut to `shown_bytes` (the middle goes first: the task stands at the beginning
and the state of things at the end), what it says to `max_tokens`. The cut between older and newer falls only where no call is
parted from its result.

Refused: counting tokens beforehand to avoid the overflow (providers count differently, and it would be paid for in each
request); dropping the oldest messages without a word; a summary of a summary that grows (what is kept of the old one is part of what is
summarised).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeAlias

import attrs

from tinyagent_actors._errors import CompactionError, SpecError
from tinyagent_actors.agents._estimate import message_bytes
from tinyagent_actors.agents._transcript import calls_of
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    CustomMessage,
    Message,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)

PROGRESS: Final = 0.8
"""What a compaction leaves at most, as a share of what was there."""
MOST: Final = 3
"""Compactions in a row without an answer between them."""

AskOnce: TypeAlias = Callable[[Context, int], Awaitable[AssistantMessage]]
"""Makes one request to the agent's own model, which draws on the run's budget: what to ask, and how many tokens the answer may have."""


class Compaction(Protocol):
    """Makes a transcript shorter."""

    async def __call__(self, transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        """Give the messages that take the transcript's place. Cancelling it leaves the transcript as it was.

        Args:
            transcript: What does not fit; every call in it has its result.
            ask: Makes a request; an answer with an `error` is for the caller to give up on.

        Raises:
            ProviderError: The request failed; the run ends with it, and the compaction stays due.
            CompactionError: It cannot be made shorter.
        """


_ASK: Final = """\
The conversation below has become too long for you to be shown all of it. Write a summary of it for yourself: what the task is, what has \
been found out and decided, what was done with which result, and what is left to do. Keep names, numbers, paths and ids exactly. \
Answer with the summary only."""


def _check_share(_: object, field: attrs.Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise SpecError(f"compaction.{field.name}", f"must be a number from 0 to below 1, is {value!r}")


def _check_size(_: object, field: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        raise SpecError(f"compaction.{field.name}", f"must be a whole number of at least 1, is {value!r}")


@attrs.frozen
class SummariseOldest:
    """Has the agent's own model summarise the older part of the transcript, in one bounded call; the newer part stays as it is."""

    keep: float = attrs.field(default=0.4, validator=_check_share)
    """How much of the transcript stays as it is, as a share of its bytes."""
    shown_bytes: int = attrs.field(default=48_000, validator=_check_size)
    """Of the older part: what the model is shown of it at most."""
    max_tokens: int = attrs.field(default=1_024, validator=_check_size)
    """Of the summary."""

    async def __call__(self, transcript: tuple[Message, ...], ask: AskOnce) -> Sequence[Message]:
        """See `Compaction`."""
        cut = find_cut(transcript, self.keep)
        older, newer = transcript[:cut], transcript[cut:]
        if not older:
            raise CompactionError("there is nothing in it that could be summarised")
        text = clip("\n\n".join(_shown(message) for message in older), self.shown_bytes)
        answer = await ask(Context(_ASK, (UserMessage(text),)), self.max_tokens)
        if answer.error is not None:
            raise answer.error
        if not answer.text.strip():
            raise CompactionError("the model gave no summary")
        summary = f"Summary of the conversation so far, {len(older)} messages:\n\n{answer.text.strip()}"
        if not any(isinstance(message, UserMessage) for message in newer):
            asked = next((message for message in reversed(older) if isinstance(message, UserMessage)), None)
            if asked is not None:
                summary += f"\n\nThe latest message of the user was:\n\n{clip(asked.text, self.shown_bytes // 8)}"
        return (UserMessage(summary), *newer)


def find_cut(transcript: Sequence[Message], keep: float) -> int:
    """Give where the newer part begins: at most a share of the bytes, never all, and never between a call and its result."""
    sizes = [message_bytes(message) for message in transcript]
    room = keep * sum(sizes)
    cut = len(transcript)
    kept = 0
    for place in range(len(transcript) - 1, 0, -1):
        kept += sizes[place]
        if kept > room:
            break
        if not isinstance(transcript[place], ToolResultMessage):
            cut = place
    return cut


def clip(text: str, most: int) -> str:
    """Give a text of at most so many bytes, without its middle if it has more."""
    raw = text.encode(errors="replace")
    if len(raw) <= most:
        return text
    half = most // 2
    dropped = len(raw) - 2 * half
    first, last = raw[:half].decode(errors="ignore"), raw[-half:].decode(errors="ignore")
    return f"{first}\n[... {dropped} bytes left out ...]\n{last}"


def _shown(message: Message) -> str:
    if isinstance(message, CustomMessage):
        return f"[{message.role}]"
    if isinstance(message, ToolResultMessage):
        return f"[result of {message.tool_name}{', an error' if message.is_error else ''}]\n{clip(message.text, 4_000)}"
    if isinstance(message, UserMessage):
        return f"[user]\n{message.text}"
    made = [f"calls {call.name} with {_arguments(call)}" for call in calls_of(message)]
    return "\n".join(["[assistant]", *filter(None, [message.text]), *made])


def _arguments(call: object) -> str:
    arguments = json.dumps(call.arguments, default=repr) if isinstance(call, ToolCall) else getattr(call, "raw", "")
    return clip(arguments, 1_000)


def size_of(transcript: Sequence[Message]) -> int:
    """Give how large a transcript is, for the test of progress."""
    return sum(message_bytes(message) for message in transcript)
