"""The seam between a run and whoever answers: a provider stream of ours, or a stream function of the seed's shape."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tinyagent_actors.events import StreamEvent
from tinyagent_actors.messages import AssistantMessage, Context, Model


class ModelStream(Protocol):
    """One answer on its way."""

    @property
    def model(self) -> Model | None:
        """Who answers, where it may be another model than the one that was asked; None: it is that one."""

    async def next_events(self) -> list[StreamEvent]:
        """Wait for events; an empty list: the stream is over. Raises nothing for what the provider did."""

    async def result(self) -> AssistantMessage:
        """Give the message, however it ended."""


class ModelCall(Protocol):
    """Asks a model: opens a stream; leaving the block closes it, and its socket."""

    def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AbstractAsyncContextManager[ModelStream]:
        """Open the stream of one answer.

        Args:
            model: Whom to ask.
            context: What to ask.
            publish: Takes the class of an event and its fields; tells what it takes to get the answer.
        """
