"""Events of an agent that goes on where it, or the incarnation before it, could not."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from tinyagent_actors.events._header import Event


@attrs.frozen(kw_only=True)
class AgentResumedEvent(Event):
    """An agent that was restarted goes on from the transcript of the incarnation before it."""

    type: ClassVar[Literal["agent_resumed"]] = "agent_resumed"

    messages: int
    """How many there are, after the repair."""
    repaired: int
    """How many the repair has added or taken away."""
    continues: bool
    """Whether it goes on with what it had been told, and had not done."""


@attrs.frozen(kw_only=True)
class ContextCompactedEvent(Event):
    """A transcript that did not fit into the model's context is shorter now."""

    type: ClassVar[Literal["context_compacted"]] = "context_compacted"

    messages: int
    """How many there are now."""
    was: int
    tokens: int
    """How many they are now, by estimate."""
    were: int
