"""`tinyagent chat`, as somebody at a terminal sees it: a process of its own behind a pseudo-terminal, at a real endpoint."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from tinyagent_actors.testing import CallSpec, ChatRequest, Delivery, Reply, open_endpoint

pytestmark = pytest.mark.process

DEADLINE = 60
"""Seconds, far above what is expected."""
SLOW = Reply(text="word " * 2000, chunk_size=5, delivery=Delivery(delay_between=0.05))
PROMPT = "> "


@attrs.define(eq=False)
class Person:
    """Somebody at a terminal."""

    fd: int
    process: subprocess.Popen[bytes]
    shown: str = ""
    """All that was shown so far, without colours."""
    _read_to: int = 0

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.fd, text.encode())

    async def see(self, text: str) -> None:
        """Wait until that is shown, after what was seen before."""
        with trio.fail_after(DEADLINE):
            while text not in self.shown[self._read_to :]:
                await trio.lowlevel.wait_readable(self.fd)
                try:
                    data = os.read(self.fd, 4096)
                except OSError:
                    data = b""
                if not data:
                    pytest.fail(f"it ended without {text!r}: {self.shown}")
                self.shown += re.sub(r"\x1b\[[0-9;]*m", "", data.decode("utf-8", "replace"))
        self._read_to = self.shown.index(text, self._read_to) + len(text)

    async def left(self) -> int:
        """Wait for the end of the process; its exit code."""
        with trio.fail_after(DEADLINE):
            return await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)


def command(url: str, options: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tinyagent_actors", "chat", "--base-url", url, "--model", "scripted", *options]


@asynccontextmanager
async def chatting(url: str, *options: str) -> AsyncIterator[Person]:
    """Sit down at a terminal where the command runs."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220  # its end is waited for in a thread
        command(url, options), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Person(ours, process)
    finally:
        os.close(ours)
        process.kill()
        process.wait()


async def in_a_pipe(url: str, said: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Give lines on standard input, without a terminal."""
    with trio.fail_after(DEADLINE):
        return await trio.run_process(
            command(url, options), stdin=said.encode(), capture_stdout=True, capture_stderr=True, check=False
        )


async def test_escape_interrupts_the_turn_only() -> None:
    """The stream closes, what came is kept, and the next prompt is answered by the same agent, who knows what went before."""
    async with open_endpoint([SLOW, Reply(text="I am still here.")]) as endpoint, chatting(endpoint.url) as person:
        await person.see(PROMPT)
        person.type("Count for ever.\n")
        await person.see("word word")
        person.type("\x1b")
        await person.see("interrupting (Esc)")
        await person.see("[interrupted]")
        await person.see(PROMPT)
        with trio.fail_after(DEADLINE):
            await endpoint.wait_for(lambda now: now.open_streams == 0)

        person.type("Are you there?\n")
        await person.see("I am still here.")
        await person.see(PROMPT)
        person.type("\x04")

        assert await person.left() == 0
        roles = [message["role"] for message in json.loads(endpoint.requests[-1].body)["messages"]]
        assert roles[-3:] == ["user", "assistant", "user"]


async def test_ctrl_c_interrupts_the_turn_only() -> None:
    """During a turn; while nothing goes on it leaves, the second time."""
    async with open_endpoint([SLOW, Reply(text="I am still here.")]) as endpoint, chatting(endpoint.url) as person:
        await person.see(PROMPT)
        person.type("Count for ever.\n")
        await person.see("word word")
        os.kill(person.process.pid, signal.SIGINT)
        await person.see("interrupting (Ctrl-C)")
        await person.see("[interrupted]")

        person.type("Are you there?\n")
        await person.see("I am still here.")
        await person.see(PROMPT)
        os.kill(person.process.pid, signal.SIGINT)
        await person.see("once more")
        os.kill(person.process.pid, signal.SIGINT)

        assert await person.left() == 0


async def test_a_tool_that_is_read_only_runs_and_one_that_writes_is_asked_for(tmp_path: Path) -> None:
    """Its call is shown; a yes lets it run, a no is told to the model."""
    (tmp_path / "seen.txt").write_text("what stands in it")

    def policy(request: ChatRequest) -> Reply:
        made = len(request.calls)
        if made == 0:
            return Reply(tool_calls=(CallSpec("read_file", {"path": "seen.txt"}),))
        if made < 3:
            return Reply(tool_calls=(CallSpec("write_file", {"path": f"new-{made}.txt", "text": "x"}),))
        return Reply(text="Done.")

    async with (
        open_endpoint(policy) as endpoint,
        chatting(endpoint.url, "--root", str(tmp_path), "--write") as person,
    ):
        await person.see(PROMPT)
        person.type("Write.\n")
        await person.see("read_file(path=")
        await person.see("write_file(path=")
        await person.see("[y/n]")
        person.type("?y")
        await person.see("new-2.txt")
        await person.see("[y/n]")
        person.type("n")
        await person.see("Done.")
        person.type("\x04")

        assert await person.left() == 0
        assert sorted(os.listdir(tmp_path)) == ["new-1.txt", "seen.txt"]  # noqa: PTH208
        assert "the user said no" in endpoint.requests[-1].body.decode()


async def test_what_is_typed_during_a_turn_steers() -> None:
    """It enters at the next request; an unfinished line is shown as not sent."""
    calls = (CallSpec("list_files", {"path": "."}),)
    replies = [attrs.evolve(SLOW, text="word " * 40, tool_calls=calls), Reply(text="As you say.")]
    async with open_endpoint(replies) as endpoint, chatting(endpoint.url, "--root", "docs") as person:
        await person.see(PROMPT)
        person.type("Begin.\n")
        await person.see("word")
        person.type("shorrt\x7f\x7ft, please\nand th")
        await person.see("steering: short, please")
        await person.see("As you say.")
        await person.see("not sent: and th")
        person.type("\x04")

        assert await person.left() == 0
        assert "short, please" in endpoint.requests[-1].body.decode()


async def test_what_a_model_says_does_not_steer_the_terminal() -> None:
    """Escape sequences in an answer are shown, not obeyed."""
    async with open_endpoint([Reply(text="a\x1b[2Jb\x07")]) as endpoint:
        told = await in_a_pipe(endpoint.url, "Hello?\n")

    assert told.stdout.decode() == "a\\x1b[2Jb\\x07\n"


async def test_lines_of_a_pipe_are_answered_in_turn() -> None:
    """Without prompts; the exit code tells whether the last turn failed, standard error why."""
    async with open_endpoint([Reply(text="One."), Reply.error(400, "no such model"), Reply(text="Two.")]) as endpoint:
        good = await in_a_pipe(endpoint.url, "1\n")
        bad = await in_a_pipe(endpoint.url, "2\n")
        none = await in_a_pipe(endpoint.url, "\n\n")

    assert (good.returncode, good.stdout) == (0, b"One.\n")
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert b"failed: ProviderError" in bad.stderr
    assert (none.returncode, none.stdout) == (0, b"")


async def test_a_limit_ends_the_turn_only() -> None:
    """It is told as what it is, and the next line is answered."""

    def policy(request: ChatRequest) -> Reply:
        if request.user_text == "Stop.":
            return Reply(text="I stopped.")
        return Reply(tool_calls=(CallSpec("list_files", {"path": "."}),))

    async with open_endpoint(policy) as endpoint:
        bad = await in_a_pipe(endpoint.url, "Go on.\n", "--root", "docs")
        good = await in_a_pipe(endpoint.url, "Go on.\nStop.\n", "--root", "docs")

    assert bad.returncode == 1
    assert b"failed: RepeatedCallError: " in bad.stderr
    assert b"Traceback" not in bad.stderr
    assert good.returncode == 0
    assert good.stdout.endswith(b"I stopped.\n")


async def test_json_lines(tmp_path: Path) -> None:
    """One for each answer; nobody can be asked, so what needs a yes is denied."""
    replies = [Reply(tool_calls=(CallSpec("run_command", {"command": "touch made"}),)), Reply(text="No.")]
    async with open_endpoint(replies) as endpoint:
        told = await in_a_pipe(endpoint.url, "Make it.", "--json", "--root", str(tmp_path), "--shell")

    (line,) = told.stdout.splitlines()
    answer = json.loads(line)
    assert (answer["ok"], answer["text"], answer["message"]["role"]) == (True, "No.", "assistant")
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base-url", "http://127.0.0.1:9"], "--model"),
        (["--model", "scripted:x", "--shell"], "--root"),
        (["--model", ""], "model"),
        (["--model", "m", "--base-url", "http://127.0.0.1:9", "--log", "/nowhere/at/all"], "--log"),
    ],
)
def test_wrong_usage(options: list[str], said: str) -> None:
    """Exit code 2, and the option is named."""
    told = subprocess.run(
        [sys.executable, "-m", "tinyagent_actors", "chat", *options], capture_output=True, timeout=DEADLINE, check=False
    )

    assert told.returncode == 2
    assert said in told.stderr.decode()
