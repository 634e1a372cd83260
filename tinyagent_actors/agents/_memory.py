"""Memory: what an agent keeps from one incarnation to the next."""

from __future__ import annotations

import attrs

from tinyagent_actors.agents._recovery import Recovery
from tinyagent_actors.agents._repair import repaired
from tinyagent_actors.messages import AssistantMessage, Message


@attrs.define(eq=False)
class Memory:
    """The transcript of an agent, and what it has to know of it."""

    transcript: list[Message] = attrs.field(factory=list, repr=False)
    runs: int = 0
    """How many there were."""
    is_unfinished: bool = False
    """Whether it was told something, and has not done it."""
    tries: int = 0
    """How often that was begun, but for the times that a provider would not even hear of it."""
    recovery: Recovery | None = None
    """What it does about a context that is too long."""

    @property
    def can_continue(self) -> bool:
        """Whether the transcript ends where a model may go on."""
        return bool(self.transcript) and not isinstance(self.transcript[-1], AssistantMessage)

    def repair(self) -> int:
        """Make the transcript one that can be gone on from; how many messages that adds or takes away."""
        before, after = self.transcript, repaired(self.transcript)
        kept = sum(any(message is known for known in before) for message in after)
        self.transcript = list(after)
        return len(before) - kept + len(after) - kept
