"""Capture: a cassette that grows by each exchange of the streams that were asked for it."""

from __future__ import annotations

import logging
import threading
from os import PathLike, fspath
from pathlib import Path
from typing import Final, final
from weakref import WeakValueDictionary

import attrs
import trio

from tinyagent_actors._errors import CassetteError, SpecError
from tinyagent_actors.providers._cassette import Cassette, CassetteExchange
from tinyagent_actors.providers._cassette_file import format_exchange, format_head

WRITE_SECONDS: Final = 10.0
"""How long a stream that has ended waits for the file."""
_MAX_PROBLEMS: Final = 100

_log: Final = logging.getLogger("tinyagent_actors")


class _Turn:
    """Whose turn it is to write to a file, also where two captures name one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_turns: Final[WeakValueDictionary[str, _Turn]] = WeakValueDictionary()
"""By the file's full path, while anybody has it."""


def _to_path(path: str | PathLike[str]) -> str:
    return fspath(path)


def _count(_: Capture, attribute: attrs.Attribute[int], value: object) -> None:
    if type(value) is not int or value < 1:
        raise SpecError(f"Capture.{attribute.name}", f"must be a whole number above 0, is {value!r}")


@final
@attrs.define(eq=False, repr=False)
class Capture:
    """Keeps what streams say on the wire: each exchange is put at the end of a cassette when its stream is closed.

    Nothing secret is written. A failure never touches a stream: it stands in `problems`, and in the log once.
    """

    path: str = attrs.field(converter=_to_path)
    """The file; made where it is not, else continued."""
    max_bytes: int = attrs.field(default=16 * 1024 * 1024, kw_only=True, validator=_count)
    """Of one body. What comes behind them is not kept, and the exchange is marked `left`."""
    max_file_bytes: int = attrs.field(default=256 * 1024 * 1024, kw_only=True, validator=_count)
    """Of the file. An exchange that would make it larger is not kept."""
    _problems: list[CassetteError] = attrs.field(factory=list, init=False)
    _turn: _Turn = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turn = _turns.setdefault(str(Path(self.path).absolute()), _Turn())

    @property
    def problems(self) -> tuple[CassetteError, ...]:
        """What could not be kept, and why: the first hundred."""
        return tuple(self._problems)

    def tell(self, problem: str) -> None:
        """Note that something could not be kept."""
        if not self._problems:
            _log.warning("what streams say cannot all be kept in %s: %s", self.path, problem)
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems.append(CassetteError(self.path, 0, "", problem))

    async def keep(self, exchange: CassetteExchange, base: str) -> None:
        """Append an exchange, in a thread; waits at most `WRITE_SECONDS`. Cancelling has no effect, and nothing is raised.

        Args:
            exchange: What was said.
            base: The path of the base URL, for a file that begins with this exchange.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + WRITE_SECONDS) as scope:
            problem = await trio.to_thread.run_sync(self._append, exchange, base, abandon_on_cancel=True)
        if scope.cancelled_caught:
            problem = f"the file took no more for {WRITE_SECONDS:g} s"
        if problem is not None:
            self.tell(problem)

    def _append(self, exchange: CassetteExchange, base: str) -> str | None:
        lines = format_exchange(exchange)
        if not self._turn.lock.acquire(timeout=WRITE_SECONDS / 2):
            return "the file is busy with what was to be written before"
        try:
            with Path(self.path).open("ab") as file:
                size = file.tell()
                data = lines if size else format_head(Cassette(base=base)) + lines
                if size + len(data) > self.max_file_bytes:
                    return f"an exchange would make the file larger than {self.max_file_bytes} bytes"
                file.write(data)
        except OSError as error:
            return f"cannot be written: {error.strerror}"
        finally:
            self._turn.lock.release()
        return None

    def __repr__(self) -> str:
        return f"<Capture {self.path!r} problems={len(self._problems)}>"


def to_capture(value: Capture | str | PathLike[str] | None) -> Capture | None:
    """Give the capture that an option means: a path is one.

    Raises:
        SpecError: It means none.
    """
    if value is None or isinstance(value, Capture):
        return value
    if isinstance(value, str | PathLike) and isinstance(fspath(value), str):
        return Capture(value)
    raise SpecError("StreamOptions.capture", f"must be a path, a Capture or None, is {type(value).__name__}")
