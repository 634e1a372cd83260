"""What the models of MiniMax and GLM can do, told from their names: every rule of the two dialects that hangs on a name."""

from __future__ import annotations

import re
from typing import Final

import attrs

from tinyagent_actors.messages import ThinkingLevel

_MINIMAX_ID: Final = re.compile(r"minimax-m(\d+)", re.IGNORECASE)
_MINIMAX_OLD_ID: Final = re.compile(r"abab|minimax-(text|vl)", re.IGNORECASE)
_FIRST_TO_CHOOSE: Final = 3
_GLM_ID: Final = re.compile(r"glm-(\d+)(?:[.](\d+))?", re.IGNORECASE)
_GLM_NEWEST: Final = (5, 2)
"""What a name without a version is taken for."""

EFFORTS: Final[dict[ThinkingLevel, str]] = {
    "off": "low",
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "max",
}
"""The three degrees of GLM-5.3, which cannot be kept from thinking."""


@attrs.frozen
class MinimaxFacts:
    """What a model of MiniMax can do."""

    splits_thinking: bool
    """Whether it knows `reasoning_split`: all that think."""
    chooses_thinking: bool
    """Whether it knows `thinking`: since M3. Earlier ones always think."""


@attrs.frozen
class GlmFacts:
    """What a GLM can do."""

    thinks: bool
    """Since 4.5: it knows `thinking`."""
    streams_calls: bool
    """Since 4.6: it knows `tool_stream`."""
    keeps_thinking: bool
    """Since 4.7: it knows `clear_thinking`."""
    has_efforts: bool
    """Since 5.3: it knows `reasoning_effort`, and always thinks."""


def minimax_facts(model_id: str) -> MinimaxFacts:
    """Give what a model can do, by its name; one that is not known can what the newest can, but for `thinking`."""
    found = _MINIMAX_ID.search(model_id)
    chooses = found is not None and int(found[1]) >= _FIRST_TO_CHOOSE
    return MinimaxFacts(splits_thinking=_MINIMAX_OLD_ID.search(model_id) is None, chooses_thinking=chooses)


def glm_facts(model_id: str) -> GlmFacts:
    """Give what a model can do, by its name."""
    found = _GLM_ID.search(model_id)
    version = (int(found[1]), int(found[2] or 0)) if found else _GLM_NEWEST
    return GlmFacts(version >= (4, 5), version >= (4, 6), version >= (4, 7), version >= (5, 3))
