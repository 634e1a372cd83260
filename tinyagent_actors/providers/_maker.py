"""Who made a message: what a maker sent beside the known fields goes back to that maker only."""

from __future__ import annotations

from typing import Final

from tinyagent_actors.messages import AssistantMessage, Model

_ROUTERS: Final = ("openrouter", "litellm")
"""Providers behind which models of several makers stand, told apart by what stands before the slash of an id."""


def is_maker(model: Model, message: AssistantMessage) -> bool:
    """Whether `model` is of the maker of `message`."""
    if (message.provider, message.api) != (model.provider, model.api):
        return False
    return model.provider not in _ROUTERS or not _are_apart(_vendor(message.model), _vendor(model.id))


def _are_apart(one: str, other: str) -> bool:
    """Whether two vendors are known, and not the same; a router may leave the vendor out where it answers."""
    return bool(one and other) and one != other


def _vendor(model_id: str) -> str:
    return model_id.partition("/")[0] if "/" in model_id else ""
