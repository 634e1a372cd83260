"""run(): signals and exit codes, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import trio
from tinyagent_actors import ChildSpec, open_system, run

async def noted(ctx):
    async for _ in ctx.messages():
        pass
    print("stopped", ctx.name, flush=True)

async def deaf(ctx):
    ctx.started()
    await trio.sleep_forever()

async def stuck(ctx):
    ctx.started()
    while True:
        try:
            await trio.sleep_forever()
        except BaseException:
            pass

async def main():
    async with open_system(shutdown=SHUTDOWN) as system:
        for name, function in CHILDREN:
            await system.start_child(ChildSpec(name, function, shutdown=60))
        print("ready", flush=True)
        await trio.sleep_forever()

run(main)
"""


def start(children: str, shutdown: float = 10) -> subprocess.Popen[str]:
    program = PROGRAM.replace("CHILDREN", f"[{children}]").replace("SHUTDOWN", str(shutdown))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_in_order(number: int, code: int) -> None:
    """T30: children stop in reverse order; the process ends as one that was interrupted."""
    process = start("('a', noted), ('b', noted)")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)

    assert out == "stopped b\nstopped a\n"
    assert process.returncode in (code, 130)


@pytest.mark.process
def test_the_second_signal_cancels_what_is_left() -> None:
    """A child that does not stop holds nobody for its 60 seconds."""
    process = start("('deaf', deaf)", shutdown=60)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode in (-signal.SIGINT, 130, 143)


@pytest.mark.process
def test_the_third_ends_the_process() -> None:
    """T30: also while a task swallows every cancel."""
    process = start("('stuck', stuck)", shutdown=60)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if number != signal.SIGHUP:
            process.send_signal(number)
    process.communicate(timeout=30)

    assert process.returncode != 0


@pytest.mark.process
def test_a_task_that_will_not_end_is_named_and_left_behind() -> None:
    """T04: the process ends with code 70 and says what it left."""
    process = start("('stuck', stuck)", shutdown=0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 70
    assert "actor /stuck" in said


BETWEEN = """
import os, signal
import trio, trio.testing
from tinyagent_actors import open_system, run

async def main():
    async with open_system():
        pass
    os.kill(os.getpid(), signal.SIGINT)
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
    return "done"

print(run(main))
"""


@pytest.mark.process
def test_a_signal_between_the_last_system_and_the_end_is_not_lost() -> None:
    """Though the main function meets no checkpoint any more where its cancellation could strike."""
    done = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, text=True, check=False)

    assert done.returncode in (-signal.SIGINT, 130)
    assert done.stdout == ""
