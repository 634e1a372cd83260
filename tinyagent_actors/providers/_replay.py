"""Replay: how the thinking of an assistant's message goes back to its maker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tinyagent_actors.messages import Content


class Replay(Protocol):
    """Gives the members of a message in a request that carry its thinking, whole."""

    def __call__(self, content: Sequence[Content], *, has_calls: bool) -> dict[str, Any]: ...
