"""How an actor ended: exits and their provenance, as values."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from tinyagent_actors._errors import RestartIntensityExceededError
from tinyagent_actors.events import as_fact

__all__ = ["CancelCause", "Exit", "ExitReason", "Ignore", "as_fact"]

ExitReason: TypeAlias = Literal["normal", "shutdown", "killed", "error", "noproc"]


class Ignore(Exception):  # noqa: N818  # the word of OTP's `ignore`: a decision, not a failure
    """Raised by an actor before it has started: there is nothing to do; do not count it as a failure (S09)."""


@attrs.frozen
class CancelCause:
    """Who ended something, why, and through which source."""

    by: str
    """A path, or a name such as ``SIGINT``."""
    why: str
    source: str
    """stop, kill, strategy, shutdown, start_timeout, outer, signal."""


@attrs.frozen
class Exit:
    """The end of one incarnation.

    `normal`: it returned. `shutdown`: it was stopped and ended in time. `killed`: it was cancelled. `error`: it raised.
    `noproc` stands only in a `Down` for an actor that was gone already.
    """

    reason: ExitReason
    error: BaseException | None = None
    cause: CancelCause | None = None
    started: bool = True
    """Whether it had started; if not, this is a failed start."""
    abandoned: bool = False
    """It would not end: its task still stands among the leftovers."""

    @property
    def is_abnormal(self) -> bool:
        """Whether a transient child is restarted. A supervisor that gave up counts, though it exits `shutdown` (S26)."""
        if isinstance(self.error, RestartIntensityExceededError):
            return True
        return self.reason in ("killed", "error")
