"""Prompt: what an agent is asked or told, on its way."""

from __future__ import annotations

import attrs
import trio

from tinyagent_actors.agents._account import Account
from tinyagent_actors.agents._budget import UNLIMITED, Budget
from tinyagent_actors.agents._output import Output
from tinyagent_actors.messages import Message


@attrs.define(eq=False)
class Prompt:
    """Messages for an agent, and word of the run they lead to."""

    messages: tuple[Message, ...]
    budget: Budget = UNLIMITED
    """What the run may spend."""
    asker: Account | None = attrs.field(default=None, repr=False)
    """Of the run that asks, if one does."""
    output: Output | None = attrs.field(default=None, kw_only=True)
    """What the run is to come to, if a text is not enough."""
    run: int | None = attrs.field(default=None, init=False)
    """The number of the run, once it has begun."""
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when that run is over."""


@attrs.frozen(eq=False)
class Interrupt:
    """On the control lane: end the present run."""

    by: str
    why: str
    answered: trio.Event = attrs.field(factory=trio.Event)
    """Set when it has been dealt with."""
    ended: list[bool] = attrs.field(factory=list)
    """Whether there was a run to end; filled before `answered` is set."""


@attrs.frozen(eq=False)
class Spent:
    """On the control lane: the agent's lease has run out."""


@attrs.frozen(eq=False)
class RunOver:
    """On the control lane: the run's task has come to its end."""
