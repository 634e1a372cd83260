"""What the models of MiniMax and GLM can do. Field names are those of the data file, which tells it from their names."""

from __future__ import annotations

from typing import Final

import attrs

from tinyagent_actors.messages import ThinkingLevel

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
    """What a model of MiniMax can do; one that is not known can what the newest can, but for `thinking`."""

    splits_thinking: bool = True
    """Whether it knows `reasoning_split`: all that think."""
    chooses_thinking: bool = False
    """Whether it knows `thinking`: since M3. Earlier ones always think."""


@attrs.frozen
class GlmFacts:
    """What a GLM can do; one that is not known is taken for a 5.2."""

    thinks: bool = True
    """Since 4.5: it knows `thinking`."""
    streams_calls: bool = True
    """Since 4.6: it knows `tool_stream`."""
    keeps_thinking: bool = True
    """Since 4.7: it knows `clear_thinking`."""
    has_efforts: bool = False
    """Since 5.3: it knows `reasoning_effort`, and always thinks."""
