"""Tools in processes of their own: what goes in and out, and that nothing of them stays. Real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.tools import _isolated as isolated
from tests.tools._processes import is_alive, is_there, open_files, until
from tinyagent_actors import ToolDefinitionError, tool
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.events import ToolExecutionUpdateEvent
from tinyagent_actors.messages import ToolCall, ToolResultMessage
from tinyagent_actors.tools import CallBatch, Tool

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent


def batch_of(tool: Tool, **arguments: Any) -> CallBatch:
    call = ToolCall("c7", tool.name, arguments)
    return CallBatch((call,), {tool.name: tool}, runtime=current_runtime(), path="/a", run=1, turn=1)


async def call(tool: Tool, **arguments: Any) -> ToolResultMessage:
    batch = batch_of(tool, **arguments)
    with trio.fail_after(60):
        await batch.wait()
    return batch.results()[0]


async def test_arguments_come_in_the_types_of_the_signature() -> None:
    """Nested classes, enums, dates, sets, the context: as in this process; and it is another one."""
    import os

    arguments = {"point": {"x": 3}, "color": "red", "when": "2026-01-02T03:04:05Z", "names": ["a"]}
    result = await call(isolated.describe, **arguments)

    assert result.details["kinds"] == ["Point", "Color", "datetime", "set"]
    assert (result.details["x"], result.details["id"], result.details["path"]) == (3, "c7", "/a")
    assert result.details["pid"] != os.getpid()
    assert not is_there(result.details["pid"])


async def test_async_functions_generators_and_progress() -> None:
    """They run on a Trio of their own; progress comes as events; what they print disturbs nothing."""
    events = current_runtime().bus.open_subscription("**")
    waited = await call(isolated.wait_then, text="x")
    counted = await call(isolated.count, to=3)
    reported = await call(isolated.report)
    told = []
    while (event := events.next_nowait()) is not None:
        told += [event.partial_result.content[0].text] if isinstance(event, ToolExecutionUpdateEvent) else []
    current_runtime().bus.close_subscription(events)

    assert (waited.text, counted.text) == ("X", "2")
    assert told in (["0", "1", "half"], ["1", "half"]), "of what comes at once the latest is told"
    assert reported.content[0].url == "https://example.org/a.png"
    assert reported.details == {"a": [1]}


async def test_a_cancel_kills_it_at_once_with_all_it_started(tmp_path: Path) -> None:
    """T09: a loop that never awaits, deaf to TERM, with a child of its own: both are gone, and no descriptor stays."""
    before = open_files()
    batch = batch_of(isolated.hold, path=str(tmp_path / "pids"))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await until((tmp_path / "pids").exists)
            nursery.cancel_scope.cancel()
    leader, child = map(int, (tmp_path / "pids").read_text().split())

    assert batch.results()[0].text.startswith("cancelled: ")
    assert current_runtime().leftovers.snapshot().total == 0
    assert not is_there(leader)
    await until(lambda: not is_alive(child))
    assert open_files() == before


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("segv", "ToolCrashedError: the process of end gave no result: ended by SIGSEGV; it said: about to end"),
        ("exit", "ToolCrashedError: the process of end gave no result: exit code 7; it said: about to end"),
        (
            "sys.exit",
            "ToolCrashedError: the process of end gave no result: exit code 1; it said: about to end\nso long",
        ),
        ("raise", "LookupError: nothing there"),
        ("group", "ValueError: one; LookupError: two"),
        ("bytes", "TypeError: a tool must not return bytes; decode them, or give an image"),
    ],
)
async def test_a_crash_is_an_error_result(how: str, text: str) -> None:
    """However it ends without a result, the model reads how, and this process goes on."""
    result = await call(isolated.end, how=how)

    assert result.is_error
    assert result.text == text


async def test_long_results_are_cut_and_kept() -> None:
    """T17: as of any tool; what not even a message between processes can carry is cut over there."""
    big, huge = await call(isolated.end, how="big"), await call(isolated.end, how="huge")
    odd = await call(isolated.end, how="surrogate")

    assert "1000000 characters in all" in big.text
    assert "all of it is in /" in big.text
    assert "70000000 characters in all" in huge.text
    assert len(huge.text) < 260 * 1024
    assert odd.text == "a\ufffd"
    await current_runtime().close_resources()


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"result": 3}', '{"error": {}}'])
async def test_what_is_no_message_is_an_error_result(line: str) -> None:
    """Whatever comes through the channel is judged, never run or believed; the process is killed."""
    result = await call(isolated.speak, line=line)

    assert result.is_error
    assert "it sent what is no message" in result.text


async def test_a_flood_on_the_channel_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is given up at its longest."""
    monkeypatch.setattr("tinyagent_actors.tools._process_isolation.LONGEST_MESSAGE", 100_000)
    result = await call(isolated.end, how="big")

    assert "is longer than 100000 bytes" in result.text


async def test_only_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for their turn, and are cancelled while they wait."""
    monkeypatch.setattr("tinyagent_actors.tools._process_isolation.PROCESSES", 1)
    calls = tuple(ToolCall(f"c{n}", "wait_then", {"text": str(n)}) for n in range(3))
    tools = {"wait_then": isolated.wait_then}
    batch = CallBatch(calls, tools, runtime=current_runtime(), path="/", run=1, turn=1)
    with trio.fail_after(60):
        await batch.wait()

    assert [result.text for result in batch.results()] == ["0", "1", "2"]


def test_what_cannot_be_found_is_refused_at_once() -> None:
    """A function within a function, a lambda: another process could not find them by name."""

    def inner() -> None:
        pass

    for function in (inner, lambda: None):
        with pytest.raises(ToolDefinitionError, match="top of a module"):
            tool(isolation="process", name="inner")(function)


def test_the_program_itself_may_hold_the_tool(tmp_path: Path) -> None:
    """It is loaded again under another name, so it does not start again."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, trio\n"
        "from tinyagent_actors import tool\n"
        "from tinyagent_actors.actors import current_runtime\n"
        "from tinyagent_actors.messages import ToolCall\n"
        "from tinyagent_actors.tools import CallBatch\n"
        "@tool(isolation='process')\n"
        "def double(number: int) -> int:\n"
        "    'Double.'\n"
        "    return number * 2\n"
        "async def main():\n"
        "    batch = CallBatch((ToolCall('c', 'double', {'number': 4}),), {'double': double},\n"
        "                      runtime=current_runtime(), path='/', run=1, turn=1)\n"
        "    await batch.wait()\n"
        "    print(batch.results()[0].text)\n"
        "if __name__ == '__main__':\n"
        "    trio.run(main)\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

    assert done.stdout == "8\n", done.stderr
