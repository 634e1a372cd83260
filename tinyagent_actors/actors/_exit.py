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
    """stop, kill, link, strategy, auto_shutdown, shutdown, start_timeout, outer, signal, fatal."""


def _show_error(error: BaseException | None) -> str:
    return repr(as_fact(error))


@attrs.frozen
class Exit:
    """The end of one incarnation.

    `normal`: it returned. `shutdown`: it was stopped and ended in time, or linked to one that was. `killed`: it was cancelled. `error`: it raised.
    `noproc` stands only in a `Down` for an actor that was gone already.
    """

    reason: ExitReason
    error: BaseException | None = attrs.field(default=None, repr=_show_error)
    cause: CancelCause | None = None
    started: bool = True
    """Whether it had started; if not, this is a failed start."""
    abandoned: bool = False
    """It would not end: its task, or one below it, still stands among the leftovers."""
    deliveries: int = 1
    """Which delivery of the message in hand ended it; more than 1: it had crashed over that message before (S63)."""

    @property
    def is_abnormal(self) -> bool:
        """Whether a transient child is restarted. A supervisor that gave up counts, though it exits `shutdown` (S26)."""
        return self.reason in ("killed", "error") or (
            self.error is not None and isinstance(self.error, RestartIntensityExceededError)
        )

    @property
    def is_meant(self) -> bool:
        """Whether `stop()` ended it: it stays ended, whatever its restart type."""
        return self.reason == "shutdown" and self.cause is not None and self.cause.source == "stop"

    @property
    def is_ignored(self) -> bool:
        """Whether it had nothing to do (`Ignore`)."""
        return not self.started and isinstance(self.error, Ignore)

    @property
    def fatal(self) -> BaseException | None:
        """The `KeyboardInterrupt` or `SystemExit` in its error: it is not restarted, the whole system stops (S49)."""
        return None if self.error is None else fatal_leaf(self.error)


def fatal_leaf(error: BaseException) -> BaseException | None:
    """Give the `KeyboardInterrupt` or `SystemExit` that an error is, or holds."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((leaf for part in error.exceptions if (leaf := fatal_leaf(part)) is not None), None)
    return None
