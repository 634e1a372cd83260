"""ApprovalRequest: what somebody is to say yes or no to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class ApprovalRequest:
    """A call that is parked until it is approved or denied."""

    id: str
    """A number that no other request of the system has, and the beginning of the digest."""
    path: str
    """The agent whose call it is."""
    run: int
    turn: int
    tool_call_id: str
    tool_name: str
    arguments: Mapping[str, Any] = attrs.field(repr=False)
    """As the tool would get them, in JSON's types; a copy."""
    digest: str = attrs.field(repr=False)
    """SHA-256 of tool, arguments and path, in hexadecimal: an approval is one of exactly these."""
    waiting: tuple[str, ...] = ()
    """Paths of the agents whose clocks stand meanwhile: the call's own, then who asked it, and so on up."""
    seconds: float = 0.0
    """How long it waits for an answer, from when it was made; then it is denied."""
