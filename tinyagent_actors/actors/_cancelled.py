"""What is `Cancelled`: whether the next checkpoint would raise, as a plain question; when that will be; what of an exception is one.

`trio.lowlevel.checkpoint_if_cancelled` asks it too, but the coroutine that this takes, at both ends of a message, would be a
third of the message's cost. So what it reads is read here: private names of Trio, in this one place. Where a Trio has
them no more, the public way takes over, which is right and slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import trio


def read_cancelled(task: trio.lowlevel.Task) -> bool:
    """Give what Trio's own checkpoints look at. A Ctrl-C that is to be raised in the main task counts for every task."""
    return task._cancel_status.effectively_cancelled or task._runner.ki_pending  # noqa: SLF001  # see above


def ask_cancelled(_task: trio.lowlevel.Task) -> bool:
    """Give the same by public means, which do not see a Ctrl-C that is still to be raised."""
    return trio.current_effective_deadline() == -math.inf


is_cancelled: Final = read_cancelled if hasattr(trio.lowlevel.Task, "_cancel_status") else ask_cancelled
"""Whether the task that runs now, which is given, has to be at a checkpoint: it would raise there."""


def split_cancelled(raised: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Give what is `Cancelled` and what is not of whatever left a body."""
    if isinstance(raised, trio.Cancelled):
        return raised, None
    if isinstance(raised, BaseExceptionGroup):
        cancelled, rest = raised.split(trio.Cancelled)
        while isinstance(rest, BaseExceptionGroup) and len(rest.exceptions) == 1:
            rest = rest.exceptions[0]
        return cancelled, rest
    return None, raised


def read_deadline(task: trio.lowlevel.Task) -> float:
    """Give the effective deadline of a task now, whoever asks; ``-inf`` if it is cancelled."""
    return _deadline_of(task._cancel_status)  # noqa: SLF001  # see above


def _deadline_of(status: Any) -> float:
    """Give the effective deadline of those scopes. In a loop, because each agent stands in ten scopes and asks for each call.

    Trio goes up by calling itself, with three more calls on each step, which takes seven times as long.
    """
    if status is None:
        return math.inf
    if status.effectively_cancelled:
        return -math.inf
    at, above = math.inf, status
    try:
        while above is not None:
            scope = above._scope  # noqa: SLF001  # see above
            if scope._deadline < at:  # noqa: PLR1730, SLF001  # to call `min` takes longer than all the rest
                at = scope._deadline  # noqa: SLF001
            above = None if scope._shield else above._parent  # noqa: SLF001
    except AttributeError:
        return float(status.effective_deadline())
    return at


def deadline_of_caller(task: trio.lowlevel.Task) -> trio.lowlevel.Task | float:
    """Give what `read_deadline` makes the effective deadline of the task that runs now, which is given: it itself.

    To look it up means to walk up all its scopes, for every ask, where hardly any is looked at.
    """
    return task


def deadline_now(_task: trio.lowlevel.Task) -> trio.lowlevel.Task | float:
    """Give the deadline at once, by public means."""
    return trio.current_effective_deadline()


caller_deadline: Final = deadline_of_caller if hasattr(trio.lowlevel.Task, "_cancel_status") else deadline_now
"""The effective deadline of the task that runs now, which is given; or the task, whose deadline is to be read when it is needed."""


def reader_of_scopes(task: trio.lowlevel.Task) -> Callable[[], float]:
    """Give what reads the deadline of the scopes that the task stands in now, also when it has entered others since."""
    return partial(_deadline_of, task._cancel_status)  # noqa: SLF001  # see above


def reader_of_now(_task: trio.lowlevel.Task) -> Callable[[], float]:
    """Give what gives the deadline as it is now, by public means."""
    now = trio.current_effective_deadline()
    return lambda: now


deadline_reader: Final = reader_of_scopes if hasattr(trio.lowlevel.Task, "_cancel_status") else reader_of_now
"""What gives the effective deadline of the task that runs now, which is given, whenever it is called; ``-inf`` if cancelled."""
