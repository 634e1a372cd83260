"""ProcessGroup: what a command started ends with it, however it ends. Real processes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from typing import Any

import pytest
import trio

from tests.tools._processes import Said, is_alive, is_there, open_files, until
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.tools import ProcessGroup, open_process_group

pytestmark = pytest.mark.process

HELD = "sleep 120 & echo $!; wait"
STUBBORN = 'trap "" TERM; echo ready; for i in $(seq 1200); do sleep 0.1; done'


async def run(script: str, said: Said, **options: Any) -> ProcessGroup:
    """Run a script of the shell to its end."""
    async with open_process_group(["/bin/sh", "-c", script], name="test", stdout=said, **options) as group:
        await group.pump()
    return group


async def cancelled(script: str, said: Said, **options: Any) -> ProcessGroup:
    """Run a script of the shell until its first line, then cancel it."""
    groups: list[ProcessGroup] = []

    async def work() -> None:
        async with open_process_group(["/bin/sh", "-c", script], name="test", stdout=said, **options) as group:
            groups.append(group)
            await group.pump()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await said.line.wait()
            nursery.cancel_scope.cancel()
    return groups[0]


async def test_a_cancel_ends_the_whole_group() -> None:
    """T09: the leader is reaped, its children are gone, no zombie and no file descriptor stays."""
    before, said = open_files(), Said()
    group = await cancelled(HELD, said)

    assert group.returncode == -signal.SIGTERM
    assert not is_there(group.pid)
    await until(lambda: not is_alive(int(said.data)))
    assert open_files() == before


async def test_what_a_dead_leader_left_is_killed() -> None:
    """T09: the leader ended by itself, and its child has closed all pipes: it goes with the group."""
    said = Said()
    group = await run("sleep 120 >/dev/null 2>&1 & echo $!", said)

    assert group.returncode == 0
    await until(lambda: not is_alive(int(said.data)))


async def test_a_cancel_after_the_leader_died() -> None:
    """T09: the leader is dead when the cancel comes, its child ignores TERM: killed all the same."""
    said = Said()
    script = "sh -c 'trap \"\" TERM; for i in $(seq 1200); do sleep 0.1; done' >/dev/null 2>&1 & echo $!"
    async with open_process_group(["/bin/sh", "-c", script], name="test", stdout=said, grace=0.2) as group:
        await group.pump()
        assert is_alive(int(said.data))
        assert is_there(group.pid), "the leader is not reaped before the last signal"

    assert not is_there(group.pid)
    await until(lambda: not is_alive(int(said.data)))


async def test_a_grandchild_that_holds_the_pipe_holds_nobody() -> None:
    """T10: the command has ended, something else keeps its stdout open: what it said is there, and nobody waits for more."""
    said = Said()
    with trio.fail_after(60):
        group = await run("sleep 120 & echo $!", said)

    assert group.returncode == 0
    await until(lambda: not is_alive(int(said.data)))


async def test_a_process_that_left_the_session_holds_nobody() -> None:
    """T10: it is out of reach of the group's signals, and holds the pipe; our end of it is closed."""
    before, said = open_files(), Said()
    with trio.fail_after(60):
        await run("setsid sleep 120 & echo $!; sleep 0.2", said)
    assert open_files() == before

    await until(lambda: _kill_session_of(int(said.data)))


def _kill_session_of(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    return False


async def test_term_ignored_means_kill_after_the_grace() -> None:
    """T11: TERM, the grace, KILL; and what it says during the grace is kept."""
    said = Said()
    group = await cancelled('trap "echo never" TERM; echo ready; while :; do sleep 0.1; done', said, grace=3)

    assert group.returncode == -signal.SIGKILL
    assert b"never" in said.data


async def test_a_deliver_cancel_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """T11: it is logged, the group is killed, and nothing else of the program is touched."""

    async def broken(group: ProcessGroup) -> None:
        raise LookupError("no way to ask")

    with caplog.at_level(logging.ERROR, "tinyagent_actors"):
        group = await cancelled(STUBBORN, Said(), grace=0.1, deliver_cancel=broken)

    assert group.returncode == -signal.SIGKILL
    assert "deliver_cancel of test raised" in caplog.text


async def test_a_deliver_cancel_that_hangs() -> None:
    """T11: it has the grace and no more."""

    async def hangs(group: ProcessGroup) -> None:
        await trio.sleep_forever()

    group = await cancelled(STUBBORN, Said(), grace=0.1, deliver_cancel=hangs)

    assert group.returncode == -signal.SIGKILL


async def test_what_may_not_be_killed_is_a_leftover(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """T11: a signal that is refused crashes nothing; the process is counted and named until it has ended."""

    def refused(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    real = os.killpg
    monkeypatch.setattr("tinyagent_actors.tools._process_group.REAP", 0.05)
    monkeypatch.setattr(os, "killpg", refused)
    group = await cancelled(STUBBORN, Said(), grace=0.05)
    left = current_runtime().leftovers.snapshot()
    assert (left.processes, left.names) == (1, (f"process {group.pid} of test",))
    assert "could not be sent" in caplog.text

    real(group.pid, signal.SIGKILL)
    await until(lambda: current_runtime().leftovers.snapshot().total == 0)
    assert not is_there(group.pid)


async def test_a_cancel_between_the_start_and_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: the cancel comes when the process runs and nobody knows of it yet: neither it nor a descriptor stays."""
    before, started, real = open_files(), [], subprocess.Popen

    def spawn(*args: Any, **options: Any) -> Any:
        process = real(*args, **options)
        started.append(process.pid)
        trio.from_thread.run_sync(scope.cancel)
        return process

    monkeypatch.setattr(subprocess, "Popen", spawn)
    with trio.fail_after(30), trio.CancelScope() as scope:
        await run("echo; sleep 120", Said())

    assert scope.cancelled_caught
    assert len(started) == 1
    assert not is_there(started[0])
    assert open_files() == before


async def test_a_start_without_descriptors_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: the process runs and cannot be watched: it is killed and reaped, and the error says why."""
    before, pids = open_files(), []

    def refused(pid: int, flags: int = 0) -> int:
        pids.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refused)
    with trio.fail_after(30), pytest.raises(OSError, match="Too many"):
        await run("sleep 120", Said())

    assert not is_there(pids[-1])
    assert open_files() == before


async def test_a_cancel_before_the_start_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: a scope that is cancelled already."""
    monkeypatch.setattr(subprocess, "Popen", None)
    with trio.CancelScope() as scope:
        scope.cancel()
        await run("sleep 120", Said())

    assert scope.cancelled_caught


async def test_a_program_that_is_not_there() -> None:
    """The error is the system's; nothing stays open."""
    before = open_files()
    with pytest.raises(FileNotFoundError):
        async with open_process_group(["/no/such/program"], name="test"):
            pass

    assert open_files() == before


async def test_many_at_once_leave_nothing() -> None:
    """T09, T12: 20 groups with grandchildren are cancelled at once."""
    before, all_said = open_files(), [Said() for _ in range(20)]
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for said in all_said:
                nursery.start_soon(cancelled, HELD, said)

    for said in all_said:
        await until(lambda said=said: not is_alive(int(said.data)))  # type: ignore[misc]  # the default binds it
    assert open_files() == before
