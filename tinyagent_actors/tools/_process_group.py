"""ProcessGroup: a child process in a session of its own, which ends together with everything it started.

The design. A command is started as the leader of a new session, so that it and its descendants form one process group with the
leader's number. The group is owned by a block, `open_process_group`: however the block is left, the group is told to
end (TERM, or what `deliver_cancel` does), has `grace` seconds, and is then killed. All that happens in the task
that opened it, shielded, with a bound on every wait; no system task of Trio's is involved that an exception could crash.

The races, and what settles each.

*A leader that is dead while its group lives* (``sh -c 'server & exit'``). Whoever reaps a leader frees its number, and from
then on a signal to that number may reach a stranger. So the leader is watched without being reaped (a pidfd), stays a zombie
until the last KILL has been sent to the group, and is reaped right after it. The KILL is sent always, also when
the leader ended by itself: whatever it left behind goes with it. The kernel sends it to all members under one lock, and a fork
that is under way is restarted and dies, so nobody slips through.

*A pipe that a grandchild holds open.* Its end never comes, so nobody waits for it without a bound: after the leader's exit the
pipes are read for at most `drain` seconds, then the group is killed, which closes them; what left the session
(``setsid``) may hold a pipe still, and then our end of it is closed.

*A cancel between the start and the books.* The start is a system call in a thread, and what it started belongs to nobody until
it has returned. It is shielded, and nothing stands between its return and the `try` whose `finally` ends the group.

*Output at the end.* A process that is told to end may have something to say, and one whose pipe is full can neither say it nor
end. So the pipes are read during the grace, too, into the same sinks.

*A deliver_cancel that raises, or a signal that may not be sent.* It is logged, and the KILL comes none the less; it stands in a
`finally`. A leader that does not die even so (it hangs in the kernel, or belongs to somebody else) is a leftover until it does.

Refused: killing the leader alone (its children go on), polling for members of the group once the leader is reaped (the number may
be a stranger's), Trio's `run_process` (it waits for the end of pipes that a grandchild holds), and `preexec_fn` (not safe beside
threads). Out of reach: a process that makes a session of its own. It needs the system's means (a container, a cgroup), not ours.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import trio

from tinyagent_actors.actors import current_runtime

GRACE: Final = 2.0
"""Seconds between TERM and KILL."""
DRAIN: Final = 1.0
"""Seconds that pipes are read after the leader has ended, if something else holds them open."""
REAP: Final = 2.0
"""Seconds that a killed leader has to be gone; then it is a leftover."""
_LAST_WORDS: Final = 0.5
"""Seconds to read what a killed group left in its pipes."""
_CHUNK: Final = 65_536

Sink: TypeAlias = Callable[[bytes], None]
DeliverCancel: TypeAlias = Callable[["ProcessGroup"], Awaitable[None]]

_logger = logging.getLogger("tinyagent_actors")


def discard(_: bytes) -> None:
    """Be the sink of what nobody wants."""


@attrs.define(eq=False)
class ProcessGroup:
    """A running command and all that it started. Made by `open_process_group`."""

    name: str
    """For logs and leftovers."""
    _process: trio.Process = attrs.field(repr=False)
    _pidfd: int = attrs.field(repr=False)
    _sinks: tuple[Sink, Sink] = attrs.field(repr=False)
    _ended: bool = attrs.field(default=False, init=False)
    """Whether the leader has ended; it may not be reaped yet."""
    _watching: trio.Lock = attrs.field(factory=trio.Lock, init=False, repr=False)
    _open: list[tuple[trio.lowlevel.FdStream, Sink]] = attrs.field(factory=list, init=False, repr=False)
    """The pipes that have not come to their end."""
    _all_read: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    returncode: int | None = attrs.field(default=None, init=False)
    """The leader's, once the block is left; the negative number of a signal that ended it. None: it would not end."""

    def __attrs_post_init__(self) -> None:
        streams = (self._process.stdout, self._process.stderr)
        for stream, sink in zip(streams, self._sinks, strict=True):
            if isinstance(stream, trio.lowlevel.FdStream):
                self._open.append((stream, sink))

    @property
    def pid(self) -> int:
        """The leader's number, which is the group's and the session's."""
        return self._process.pid

    @property
    def stdin(self) -> trio.abc.SendStream | None:
        """What the command reads, if it was opened with ``stdin=True``."""
        return self._process.stdin

    @property
    def stdout(self) -> trio.abc.ReceiveStream:
        """What the command writes. Read by one task: by you, or by `pump`."""
        assert self._process.stdout is not None  # it is always a pipe
        return self._process.stdout

    async def wait(self) -> None:
        """Wait until the leader has ended; it is not reaped by that. Cancelling it leaves nothing behind."""
        async with self._watching:
            if not self._ended:
                await trio.lowlevel.wait_readable(self._pidfd)
                self._ended = True

    def peek(self) -> int | None:
        """Give the exit code of a leader that has ended, without reaping it; the negative number of a signal; None: it runs."""
        if not self._ended:
            return None
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        assert found is not None  # it has ended
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    async def pump(self) -> None:
        """Read what the command writes into its sinks, until it has ended and its pipes have, too, or for `DRAIN` seconds more.

        Cancelling it loses nothing: it may be called again.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump_pipes)
            await self.wait()
            nursery.cancel_scope.deadline = trio.current_time() + DRAIN

    async def pump_stderr(self) -> None:
        """Read what it writes to stderr into its sink, to the end; for who reads `stdout` himself."""
        for stream, sink in self._open:
            if stream is self._process.stderr:
                await self._pump_pipe(stream, sink)
                return

    def send_signal(self, number: int) -> None:
        """Send a signal to every member of the group. Never raises: nobody there is fine, and what may not be done is logged."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            _logger.warning("%s could not be sent signal %d: %s", self.name, number, error.strerror)

    async def _pump_pipes(self) -> None:
        async with trio.open_nursery() as nursery:
            for stream, sink in tuple(self._open):
                nursery.start_soon(self._pump_pipe, stream, sink)

    async def _pump_pipe(self, stream: trio.lowlevel.FdStream, sink: Sink) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await stream.receive_some(_CHUNK):
                sink(bytes(data))
        self._open.remove((stream, sink))
        if not self._open:
            self._all_read.set()

    async def end(self, grace: float, deliver_cancel: DeliverCancel | None) -> None:
        """End the group, and reap its leader. Run once, shielded; bounded by `grace`, `REAP` and a little."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump_pipes)
                try:
                    with trio.move_on_after(grace):
                        await self._tell(deliver_cancel)
                        await self._end_of_all()
                finally:
                    self.send_signal(signal.SIGKILL)
                with trio.move_on_after(REAP):
                    await self.wait()
                with trio.move_on_after(_LAST_WORDS):
                    await self._end_of_all()
                nursery.cancel_scope.cancel()
        finally:
            self._close()

    async def _tell(self, deliver_cancel: DeliverCancel | None) -> None:
        if deliver_cancel is None:
            self.send_signal(signal.SIGTERM)
            return
        try:
            await deliver_cancel(self)
        except Exception:
            _logger.exception("deliver_cancel of %s raised; it is killed", self.name)

    async def _end_of_all(self) -> None:
        """Wait for the leader and for the end of the pipes: as good as knowing that the group is gone."""
        await self.wait()
        await self._all_read.wait()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if isinstance(stream, trio.lowlevel.FdStream):
                stream.close()
        if self._ended:
            self._reap()
            return
        runtime = current_runtime()
        token = runtime.leftovers.add("processes", f"process {self.pid} of {self.name}")

        async def reap_late() -> None:
            await self.wait()
            self._reap()
            runtime.leftovers.remove(token)

        runtime.start_service(reap_late, name=f"wait for {self.name}")

    def _reap(self) -> None:
        self.returncode = self._process.returncode  # which reaps: it has ended
        trio.lowlevel.notify_closing(self._pidfd)
        os.close(self._pidfd)


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def open_process_group(
    command: Sequence[str],
    *,
    name: str,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bool = False,
    stderr: Sink | None = None,
    stdout: Sink = discard,
    grace: float = GRACE,
    deliver_cancel: DeliverCancel | None = None,
) -> AsyncIterator[ProcessGroup]:
    """Start a command in a session of its own; leaving the block ends it and all that it started.

    Cancelled, or left in any way: the group is told to end, has `grace` seconds, is killed, and the leader is reaped. That is
    shielded, so a deadline may be exceeded by `grace` and some 2.5 s for what hangs in the kernel. POSIX with `pidfd_open`
    (Linux 5.3).

    Args:
        command: The program and its words; no shell comes between.
        name: For logs and leftovers; no secret.
        cwd: Where it runs.
        env: Its environment, whole; None: that of this process.
        stdin: Whether there is a pipe to it; else it reads nothing.
        stderr: Takes what it writes there; None: it goes where stdout goes, in order.
        stdout: Takes what it writes there while `pump` runs and at the end; whoever reads `group.stdout` gets the rest.
        grace: Seconds between TERM and KILL.
        deliver_cancel: Asks the group to end, in place of TERM; has `grace` seconds. What it raises is logged.

    Yields:
        The group.

    Raises:
        OSError: The program cannot be started.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):  # what a thread starts is nobody's until the thread has returned
        options: dict[str, Any] = {"cwd": cwd, "env": env, "start_new_session": True}
        process = await trio.lowlevel.open_process(
            list(command),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stderr is None else subprocess.PIPE,
            **options,
        )
        pidfd = await _watch(process)
    group = ProcessGroup(name, process, pidfd, (stdout, stderr or discard))
    try:
        yield group
    finally:
        with trio.CancelScope(shield=True):
            await group.end(grace, deliver_cancel)


async def _watch(process: trio.Process) -> int:
    """Open a pidfd; where none can be had (no more file descriptors), nothing was started."""
    try:
        return os.pidfd_open(process.pid)
    except OSError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
        raise
