"""Probe: an actor that records what it gets, and the questions a test asks of it."""

from __future__ import annotations

from contextvars import Context
from typing import Any, Final

import attrs
import trio

from tinyagent_actors.actors import ActorContext, ActorRef, ChildSpec, Monitor, ReplySlot, current_place

PATIENCE: Final = 3.0
"""Seconds that `Probe.expect` waits."""
_MOST_SHOWN: Final = 10
_LONGEST: Final = 200


@attrs.frozen
class _Received:
    message: Any
    slot: ReplySlot | None
    """Where its answer goes, if it was asked."""


@attrs.define(eq=False)
class Probe:
    """An actor of a test. Start it as a child; give `probe.ref` to what is tested; then say what is to come.

    It can stand among the children of a supervisor. Restarted, it goes on recording, and `ref` is that of its latest
    incarnation.

    Example:
        ::

            probe = Probe("listener")
            await system.start_child(probe)
            await tested.tell(("subscribe", probe.ref))
            assert (await probe.expect(Hello)).name == "you"
            await probe.expect_nothing(5)
    """

    name: str = "probe"
    patience: float = attrs.field(default=PATIENCE, kw_only=True)
    """Seconds on Trio's clock, virtual or real, that `expect` waits."""
    _context: ActorContext | None = attrs.field(default=None, init=False, repr=False)
    _received: list[_Received] = attrs.field(factory=list, init=False, repr=False)
    _read: int = attrs.field(default=0, init=False)
    """How many of the received were expected."""
    _waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)

    def to_child_spec(self) -> ChildSpec:
        """Give the spec: a supervisor takes the probe itself as a child."""
        return ChildSpec(self.name, self._record)

    async def _record(self, ctx: ActorContext) -> None:
        self._context = ctx
        async for message in ctx.messages():
            self._received.append(_Received(message, ctx.take_reply()))
            self._waiting.unpark_all()

    @property
    def _started(self) -> ActorContext:
        if self._context is None:
            message = f"the probe {self.name!r} has not been started: await system.start_child(probe)"
            raise RuntimeError(message)
        return self._context

    @property
    def ref(self) -> ActorRef:
        """A ref of it.

        Raises:
            RuntimeError: It was not started.
        """
        return self._started.ref

    @property
    def messages(self) -> tuple[Any, ...]:
        """All that came so far, expected or not, in order."""
        return tuple(received.message for received in self._received)

    async def expect(self, wanted: Any) -> Any:
        """Wait for the next message, which has to be the one that is wanted. Cancelling it leaves the message unread.

        Args:
            wanted: A class the message is of; or a function that says of the message whether it is the one; or what it is
                equal to.

        Returns:
            The message.

        Raises:
            AssertionError: Nothing came for `patience` seconds, or something else; it says what.
        """
        with trio.move_on_after(self.patience):
            await self._wait_unread()
        if self._read == len(self._received):
            raise AssertionError(self._tell(_name(wanted), f"nothing came within {self.patience:g} s"))
        message = self._received[self._read].message
        if not _is_wanted(message, wanted):
            raise AssertionError(self._tell(_name(wanted), f"{_show(message)} came"))
        self._read += 1
        return message

    async def expect_nothing(self, seconds: float) -> None:
        """See that for so long no message comes; one that lies unread counts. Cancelling it changes nothing.

        Args:
            seconds: On Trio's clock, virtual or real.

        Raises:
            AssertionError: Something came; it says what and when.
        """
        began = trio.current_time()
        with trio.move_on_after(seconds):
            await self._wait_unread()
        if self._read < len(self._received):
            after, message = trio.current_time() - began, self._received[self._read].message
            raise AssertionError(self._tell("nothing", f"after {after:g} s {_show(message)} came"))

    def reply(self, value: object) -> None:
        """Answer the ask that was expected last.

        Raises:
            RuntimeError: Nothing was expected yet, or it was told and not asked.
        """
        slot = self._received[self._read - 1].slot if self._read else None
        if slot is None:
            message = (
                f"the probe {self.name!r} has no ask to answer: the message it expected last was told, or there is none"
            )
            raise RuntimeError(message)
        slot.reply(value)

    def monitor(self, ref: ActorRef) -> Monitor:
        """Have the probe told of the end of an actor: a `Down` is to come.

        Raises:
            RuntimeError: The probe was not started, or has ended.
        """

        def begin() -> Monitor:
            current_place.set(self._started.cell)
            return ref.monitor()

        return Context().run(begin)

    async def _wait_unread(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._read == len(self._received):
            await self._waiting.park()

    def _tell(self, expected: str, found: str) -> str:
        before = ", ".join(_show(received.message) for received in self._received[: self._read][-_MOST_SHOWN:])
        after = ", ".join(_show(received.message) for received in self._received[self._read + 1 :][:_MOST_SHOWN])
        said = f"the probe {self.name!r} expected {expected}, but {found}"
        return f"{said}; before it: {before or 'nothing'}; after it: {after or 'nothing'}"


def _is_wanted(message: Any, wanted: Any) -> bool:
    if isinstance(wanted, type):
        return isinstance(message, wanted)
    if callable(wanted):
        return bool(wanted(message))
    return bool(message == wanted)


def _name(wanted: Any) -> str:
    if isinstance(wanted, type):
        return f"an instance of {wanted.__name__}"
    return f"what {getattr(wanted, '__qualname__', wanted)} accepts" if callable(wanted) else _show(wanted)


def _show(message: Any) -> str:
    shown = repr(message)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
