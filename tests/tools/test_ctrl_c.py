"""Ctrl-C while tools run: real signals to a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import threading
    import trio
    from tinyagent_actors import ChildSpec, open_system, run, tool
    from tinyagent_actors.messages import ToolCall
    from tinyagent_actors.tools import CallBatch

    @tool(cleanup_grace=3600)
    async def cleans() -> None:
        print("ready", flush=True)
        try:
            await trio.sleep_forever()
        finally:
            print("cleaning", flush=True)
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

    @tool
    def blocks() -> None:
        print("ready", flush=True)
        threading.Event().wait(3600)

    @tool
    async def handles() -> None:
        print("ready", flush=True)
        try:
            await trio.sleep_forever()
        finally:
            await trio.sleep(0.01)
            print("cleaned", flush=True)

    async def agent(ctx):
        ctx.started()
        tools = {"cleans": cleans, "blocks": blocks, "handles": handles}
        await CallBatch((ToolCall("a", NAME),), tools, runtime=ctx.runtime, path=ctx.path, run=1, turn=1).wait()

    async def main():
        async with open_system() as system:
            await system.start_child(ChildSpec("agent", agent, shutdown=SHUTDOWN))
            await trio.sleep_forever()

    run(main)
    """
)


def start(name: str, shutdown: str) -> subprocess.Popen[str]:
    program = PROGRAM.replace("NAME", repr(name)).replace("SHUTDOWN", shutdown)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.process
@pytest.mark.parametrize(("name", "said"), [("handles", "cleaned\n"), ("blocks", "")])
def test_a_ctrl_c_ends_the_tools_in_order(name: str, said: str) -> None:
    """T30: during a handler it may clean up; a thread is left behind and does not hold the process."""
    process = start(name, "'kill'")
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)

    assert process.returncode in (-signal.SIGINT, 130), errors
    assert printed == said


@pytest.mark.process
def test_a_second_ctrl_c_forces_the_end() -> None:
    """T30: a tool in a shielded cleanup that has an hour: the first waits for it, the second leaves it behind."""
    process = start("cleans", "'kill'")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 70
    assert "left running" in errors
