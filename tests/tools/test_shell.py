"""The shell as a tool: nothing outlives a call, and what it said is kept. Real processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.tools._calls import run_out_of_time
from tests.tools._processes import is_alive, open_files, until
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.messages import ToolCall, ToolResultMessage
from tinyagent_actors.tools import CallBatch, Tool, ToolContext, tool
from tinyagent_actors.tools.library import shell_tool

pytestmark = pytest.mark.process


def batch_of(tool: Tool, **arguments: Any) -> CallBatch:
    call = ToolCall("c", tool.name, arguments)
    return CallBatch((call,), {tool.name: tool}, runtime=current_runtime(), path="/", run=1, turn=1)


async def call(tool: Tool, **arguments: Any) -> ToolResultMessage:
    batch = batch_of(tool, **arguments)
    with trio.fail_after(60):
        await batch.wait()
    return batch.results()[0]


async def test_output_in_order_with_the_exit_code(tmp_path: Path) -> None:
    """Stdout and stderr as they came, in the folder that was given; a failure is no exception."""
    result = await call(shell_tool(tmp_path), command="pwd; echo oh >&2; echo ok; exit 3")

    assert result.text == f"{tmp_path}\noh\nok\n[exit code 3]"
    assert not result.is_error


async def test_no_key_reaches_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment a command gets what a shell needs, and what is given; nothing is asked of a terminal."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-secret")
    result = await call(shell_tool(tmp_path, env={"MINE": "1"}), command="env; cat; [ -t 0 ] || echo none")

    assert "sk-secret" not in result.text
    assert "MINE=1" in result.text
    assert "PATH=" in result.text
    assert "none" in result.text


async def test_its_own_timeout_keeps_what_it_said(tmp_path: Path, running_clock: trio.testing.MockClock) -> None:
    """T09: the group is gone, and the model reads what came until then."""
    batch = batch_of(
        shell_tool(tmp_path, grace=0.1), command="sleep 120 & echo $!; echo > up; wait", timeout_seconds=60
    )
    await run_out_of_time(batch, running_clock, (tmp_path / "up").exists)
    result = batch.results()[0]

    assert "[timed out after 60 s]" in result.text
    pid = int(result.text.split()[0])
    await until(lambda: not is_alive(pid))


@pytest.mark.parametrize("grace", [0.1, 1.0])
async def test_a_cancelled_run_keeps_what_it_said(tmp_path: Path, grace: float) -> None:
    """T09, T11: cancelled from outside, the command ends; the result tells what it had said until then."""
    before = open_files()
    batch = batch_of(
        shell_tool(tmp_path, grace=grace), command="trap '' TERM; sleep 120 & echo pid $!; echo > up; wait"
    )
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await until((tmp_path / "up").exists)
            nursery.cancel_scope.cancel()
    result = batch.results()[0]
    pid = int(re.findall(r"pid (\d+)", result.text)[0])

    assert re.match(r"cancelled: .*\nUntil then:\n", result.text)
    with trio.fail_after(60):
        await until(lambda: not is_alive(pid) and open_files() == before)


async def test_a_partial_that_cannot_be_had(autojump_clock: trio.testing.MockClock) -> None:
    """What a tool kept and cannot give is told; the call has its result."""

    @tool(timeout=1)
    async def broken(ctx: ToolContext) -> None:
        """Hang."""
        ctx.keep(lambda: dict[str, str]()["x"])
        await trio.sleep_forever()

    result = await call(broken)

    assert "timed out" in result.text
    assert "cannot be had: KeyError" in result.text


async def test_a_tool_that_is_given_up_keeps_what_it_had(autojump_clock: trio.testing.MockClock) -> None:
    """T02: it would not end; the model reads that, and what there was until then."""
    release = trio.Event()

    @tool(timeout=1, cleanup_grace=1)
    async def stubborn(ctx: ToolContext) -> None:
        """Hang."""
        ctx.keep(lambda: "half of it")
        with trio.CancelScope(shield=True):
            await release.wait()

    result = await call(stubborn)
    release.set()

    assert result.text.startswith("abandoned: ")
    assert result.text.endswith("Until then:\nhalf of it")


async def test_a_flood_is_bounded(tmp_path: Path) -> None:
    """T17: the model sees the beginning and the end, the file has as much as a file may."""
    result = await call(shell_tool(tmp_path), command="echo first; seq 1 200000; echo last")
    found = re.search(r"in (/\S+\.txt)\]", result.text)

    assert len(result.text) < 260 * 1024
    assert result.text.startswith("first\n1\n2\n")
    assert result.text.endswith("200000\nlast\n[exit code 0]")
    assert found is not None
    assert Path(found[1]).read_text() == "first\n" + "".join(f"{n}\n" for n in range(1, 200_001)) + "last\n"  # noqa: ASYNC240
    await current_runtime().close_resources()


async def test_an_endless_flood_is_bounded(tmp_path: Path, running_clock: trio.testing.MockClock) -> None:
    """T17: it goes on until its time is over; memory and file are bounded."""
    from tinyagent_actors.tools import SpillPolicy, spill_files

    spilled = tmp_path / "spilled"
    spill_files(current_runtime()).policy = SpillPolicy(file_bytes=1_000_000, folder=spilled)
    batch = batch_of(shell_tool(tmp_path), command="yes", timeout_seconds=60)
    await run_out_of_time(
        batch, running_clock, lambda: any(file.stat().st_size == 1_000_000 for file in spilled.rglob("*.txt"))
    )
    result = batch.results()[0]

    assert len(result.text) < 260 * 1024
    assert "the first 1000000 bytes are in" in result.text
    await current_runtime().close_resources()


async def test_what_is_no_text(tmp_path: Path) -> None:
    """T17: bytes that are no UTF-8, and NUL, come as a sign that something was there."""
    result = await call(shell_tool(tmp_path), command=r"printf 'a\000\377b'")

    assert result.text == "a\ufffd\ufffdb\n[exit code 0]"


async def test_a_signal_is_named(tmp_path: Path) -> None:
    """A command that a signal ended says which."""
    result = await call(shell_tool(tmp_path), command="kill -SEGV $$")

    assert result.text == "[ended by SIGSEGV]"


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """An error result; nothing else."""
    result = await call(shell_tool(tmp_path / "no"), command="true")

    assert result.is_error
    assert "FileNotFoundError" in result.text
