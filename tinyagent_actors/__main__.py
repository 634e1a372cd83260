"""``python -m tinyagent_actors``: the `tinyagent` command, from the first moment of its process to the last."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

__all__ = ["main"]

EXIT_INTERRUPTED: Final = 130
GC_THRESHOLDS: Final = (20_000, 20, 20)
"""A command lives as long as its run, whose values live as long: with Python's own thresholds a sixth of a run is spent on
looking through them for cycles that are not there."""


def main() -> NoReturn:
    """Run the command and end the process with its exit code.

    Ctrl-C is heard throughout. While a system is open it is `run` that hears it and stops the tree; before and after there is
    nothing to stop, and the process ends at once, with the same exit code. The interpreter is not taken down piece by
    piece, for that takes a while and no signal is heard in it.
    """
    signal.signal(signal.SIGINT, _end_at_once)
    gc.disable()  # nothing that importing makes is garbage, so looking for it is lost time, now and ever after
    from tinyagent_actors.cli._main import tinyagent  # takes a while, and Ctrl-C is heard by now

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
    code: object = 0
    try:
        tinyagent(prog_name="tinyagent")
    except SystemExit as ended:
        code = ended.code
    os._exit(_flushed(code if isinstance(code, int) else 0 if code is None else 1))


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)


def _flushed(code: int) -> int:
    """Write out what was said; where nobody takes it, a success is none."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return code or 1
    return code


if __name__ == "__main__":
    main()
