"""ToolOptions: how the calls of one tool are run, apart from what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import check_seconds
from tinyagent_actors.tools._approval import APPROVAL_TIMEOUT, Approval, check_approval

DEFAULT_TIMEOUT: Final = 120.0
"""Seconds."""
CLEANUP_GRACE: Final = 5.0
"""Seconds that a cancelled tool has to clean up before it is given up."""

Effect: TypeAlias = Literal["read", "idempotent", "once"]
"""What a second execution of the same call would do: nothing; nothing that the first has not done; its work again."""
Locks: TypeAlias = "tuple[str, ...] | Callable[[Mapping[str, Any]], Iterable[str]]"
"""Names, or what gives them for the arguments of a call."""


def _check_seconds(_options: object, field: attrs.Attribute[Any], value: object) -> None:
    check_seconds(field.name, value)


def _check_effect(_options: object, _field: attrs.Attribute[Any], value: object) -> None:
    if value not in ("read", "idempotent", "once"):
        raise SpecError("effect", f"must be 'read', 'idempotent' or 'once', is {value!r}")


def _check_locks(_options: object, _field: attrs.Attribute[Any], value: object) -> None:
    if not callable(value) and not (isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)):
        raise SpecError("locks", f"must be a tuple of names, or a function of the arguments, is {value!r}")


@attrs.frozen(kw_only=True)
class ToolOptions:
    """How the calls of a tool are run."""

    timeout: float = attrs.field(default=DEFAULT_TIMEOUT, validator=_check_seconds)
    """Seconds one call may take, with all its attempts and its waits; ``inf`` for no limit."""
    cleanup_grace: float = attrs.field(default=CLEANUP_GRACE, validator=_check_seconds)
    """Seconds a cancelled call may take to clean up; then it is given up."""
    effect: Effect = attrs.field(default="once", validator=_check_effect)
    """What a second execution would do; only what says better than ``once`` is ever run twice."""
    retries: int = attrs.field(default=0)
    """How often a call that failed is run again."""
    locks: Locks = attrs.field(default=(), validator=_check_locks)
    """What a call holds while it runs; no other call of the system holds one of these names meanwhile."""
    approval: Approval = attrs.field(default=None, validator=check_approval)
    """Whether a call waits for somebody to approve it before it runs: always, or as a function of its arguments says."""
    approval_timeout: float = attrs.field(default=APPROVAL_TIMEOUT, validator=_check_seconds)
    """Seconds it waits, during which its clocks stand; then it is denied."""
    fail_fast: bool = False
    """Whether a call that fails cancels the other calls of its message."""

    @retries.validator
    def _check_retries(self, _field: attrs.Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SpecError("retries", f"must be a number of times (0 or more), is {value!r}")
        if value and self.effect == "once":
            raise SpecError("retries", "only a tool whose effect is 'read' or 'idempotent' may be run again")
