"""MCP servers as actors: real server processes, which are killed, stopped, and mean no good."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.tools._processes import is_alive, is_there, open_files, until
from tinyagent_actors import (
    AgentSpec,
    Backoff,
    McpServer,
    Model,
    SpecError,
    StartFailedError,
    StreamOptions,
    System,
    open_system,
)
from tinyagent_actors.actors import conflate
from tinyagent_actors.agents._mcp_actor import LONGEST_PROGRESS
from tinyagent_actors.agents._mcp_stdio import LONGEST_LINE
from tinyagent_actors.agents._mcp_tools import MOST_TOOLS
from tinyagent_actors.events import McpServerLoggedEvent, ToolExecutionUpdateEvent, ToolListChangedEvent
from tinyagent_actors.messages import ToolCall, ToolResultMessage
from tinyagent_actors.testing import CallSpec, Reply, open_endpoint
from tinyagent_actors.tools import CallBatch, open_process_group
from tinyagent_actors.tools._arguments import ArgumentReader

pytest.importorskip("mcp")
pytestmark = pytest.mark.process

HERE = Path(__file__).parent
REAL = [sys.executable, str(HERE / "_mcp_program.py")]
SOON = Backoff(min_seconds=0.01, max_seconds=0.05)


def raw(mode: str, **options: Any) -> McpServer:
    return McpServer("raw", command=[sys.executable, str(HERE / "_mcp_raw.py"), mode], backoff=SOON, **options)


def batch_of(system: System, server: McpServer, name: str, **arguments: Any) -> CallBatch:
    tools = {tool.name: tool for tool in server.current_tools()}
    return CallBatch((ToolCall("c", name, arguments),), tools, runtime=system.runtime, path="/a", run=1, turn=1)


async def call(system: System, server: McpServer, name: str, **arguments: Any) -> ToolResultMessage:
    batch = batch_of(system, server, name, **arguments)
    with trio.fail_after(60):
        await batch.wait()
    return batch.results()[0]


@asynccontextmanager
async def running(server: McpServer) -> AsyncIterator[tuple[System, Any]]:
    """A system with one server in it, and a subscription to all that happens."""
    async with open_system() as system:
        events = system.runtime.bus.open_subscription("**", policy=conflate(4096))
        await system.start_child(server)
        yield system, events


def told(events: Any, kind: Any) -> list[Any]:
    found = []
    while (event := events.next_nowait()) is not None:
        found += [event] if isinstance(event, kind) else []
    return found


async def test_a_real_server() -> None:
    """Its tools are listed with its prefix; they answer, tell progress and fail; a long answer is cut; and it goes with the system."""
    server = McpServer("real", command=REAL)
    await trio.lowlevel.checkpoint()
    before = open_files()
    async with running(server) as (system, events):
        names = [tool.name for tool in server.current_tools()]
        assert {"real_echo", "real_pid", "real_hang"} <= set(names)
        assert (await call(system, server, "real_echo", text="hello")).text == "hello"
        assert (await call(system, server, "real_progress")).text == "done"
        assert [event.partial_result.content[0].text for event in told(events, ToolExecutionUpdateEvent)] == [
            "1 of 2: half"
        ]
        failed = await call(system, server, "real_fail")
        assert failed.is_error
        assert "cut: 1000000 characters" in (await call(system, server, "real_big")).text
        assert "text" in (await call(system, server, "real_echo", text=3)).text, (
            "checked on this side, before it is sent"
        )
        pid = int((await call(system, server, "real_pid")).text)

    assert not is_there(pid)
    assert open_files() == before
    assert system.leftovers().total == 0


async def test_kill_9_in_mid_call(tmp_path: Path) -> None:
    """The call fails at once; the server is started again after a back-off, and the next call, which waits for it, is answered."""
    server = McpServer("real", command=REAL, backoff=SOON)
    async with running(server) as (system, events):
        hanging = batch_of(system, server, "real_hang", path=str(tmp_path / "pid"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hanging.wait)
            await until(lambda: bool((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
            pid = int((tmp_path / "pid").read_text())
            os.kill(pid, signal.SIGKILL)
        result = hanging.results()[0]
        assert result.is_error
        assert "the MCP server real has gone: ended by SIGKILL" in result.text

        assert (await call(system, server, "real_echo", text="again")).text == "again"
        assert int((await call(system, server, "real_pid")).text) != pid
        assert [event.error.problem for event in told(events, object) if event.type == "actor_crashed"] == [
            "has gone: ended by SIGKILL"
        ]


async def test_a_call_that_hangs_holds_nobody(tmp_path: Path) -> None:
    """A deadline for each call: it ends that call, the server lives, and others are answered meanwhile; a cancel likewise."""
    server = McpServer("real", command=REAL, call_timeout=3)
    async with running(server) as (system, _):
        pid = (await call(system, server, "real_pid")).text
        hanging = batch_of(system, server, "real_hang", path=str(tmp_path / "one"))
        cancelled = batch_of(system, server, "real_hang", path=str(tmp_path / "two"))
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hanging.wait)
                with trio.CancelScope() as scope:
                    nursery.start_soon(_cancel_when, scope, tmp_path / "two")
                    await cancelled.wait()
                assert (await call(system, server, "real_echo", text="meanwhile")).text == "meanwhile"

        assert "gave no answer within 3 s" in hanging.results()[0].text
        assert cancelled.results()[0].text.startswith("cancelled")
        assert (await call(system, server, "real_pid")).text == pid


async def _cancel_when(scope: trio.CancelScope, path: Path) -> None:
    await until(path.exists)
    scope.cancel()


async def test_a_server_that_is_stopped_and_deaf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It neither answers nor dies: after the deadline of a call it does not say that it lives, so it is killed and started again."""
    monkeypatch.setattr("tinyagent_actors.agents._mcp_actor.PING", 0.5)
    server = McpServer("real", command=REAL, call_timeout=1, backoff=SOON)
    async with running(server) as (system, _):
        result = await call(system, server, "real_stop", path=str(tmp_path / "pid"))
        pid = int((tmp_path / "pid").read_text())
        assert "gave no answer within 1 s" in result.text
        await until(lambda: not is_there(pid))
        await until(lambda: bool(system.child("real").path))
        server = McpServer("real", command=REAL)
        assert (await call(system, server, "real_echo", text="again")).text == "again"


@pytest.mark.parametrize(("command", "name"), [(REAL, "real_learn"), (None, "raw_echo")])
async def test_a_list_that_changes(command: list[str] | None, name: str) -> None:
    """By the stream of the newer protocol, by the notification of the older: told, and offered from then on."""
    server = McpServer("real", command=command) if command else raw("changes")
    async with running(server) as (system, events):
        first = [tool.name for tool in server.current_tools()]
        told(events, object)
        await call(system, server, name)
        with trio.fail_after(30):
            while not (changes := told(events, ToolListChangedEvent)):  # noqa: ASYNC110  # read off the subscription
                await trio.sleep(0.01)
        now = tuple(tool.name for tool in server.current_tools())

        assert changes[0].tools == now
        assert set(now) == ({*first, "real_learned"} if command else {"raw_other"})


async def test_an_agent_uses_what_there_is_now() -> None:
    """Each request offers the tools of that moment, beside the agent's own; a call of one reaches the server."""
    server = raw("changes")
    script = [
        Reply(tool_calls=[CallSpec(name="raw_echo", arguments={"text": "hi"})]),
        Reply(text="first"),
        Reply(text="two"),
    ]
    async with open_endpoint(script) as endpoint, running(server) as (system, events):
        spec = AgentSpec(
            "clerk",
            model=Model("openai", "m", base_url=endpoint.url),
            options=StreamOptions(api_key="k"),
            tools=[server],
        )
        clerk = await system.start_child(spec)
        with trio.fail_after(60):
            await clerk.ask("go")
            while not any("raw_other" in event.tools for event in told(events, ToolListChangedEvent)):  # noqa: ASYNC110
                await trio.sleep(0.01)
            await clerk.ask("again")
        offered = [[tool["function"]["name"] for tool in request.json["tools"]] for request in endpoint.requests]

    assert offered[0] == ["raw_echo"]
    assert offered[2] == ["raw_other"]
    assert endpoint.requests[1].json["messages"][-1]["content"] == "hi"


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("floods", "x"),
        ("junk", "x"),
        ("refuses", "the MCP server raw refused: not like this"),
        ("wrong", "sent what is no answer: ValidationError"),
        ("closes", "the MCP server raw closed its stdout"),
        ("long line", "sent a line of more than 100000 bytes"),
    ],
)
async def test_a_server_that_means_no_good(monkeypatch: pytest.MonkeyPatch, mode: str, text: str) -> None:
    """Floods, lines that are none, answers that are none, a line without an end: a result, and the next call is served."""
    monkeypatch.setattr("tinyagent_actors.agents._mcp_stdio.LONGEST_LINE", 100_000)
    async with running(raw(mode)) as (system, events):
        server = raw(mode)
        result = await call(system, server, "raw_echo", text="x")
        assert text in result.text
        again = await call(system, server, "raw_echo", text="x")
        assert text in again.text
        lists = told(events, ToolListChangedEvent)

    assert len(lists) < 20, "however often it tells of a change, the list is read at intervals"
    assert system.leftovers().total == 0


@pytest.mark.parametrize(
    ("mode", "text"), [("endless line", "sent a line of more than 16777216 bytes"), ("torrent", "x")]
)
def test_memory_is_bounded_however_much_a_server_says(mode: str, text: str) -> None:
    """A line without an end, a quarter of a gigabyte of notifications: the process grows by a few of the longest lines, no more."""
    command = [sys.executable, "-m", "tests.agents._mcp_peak", mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout)

    assert text in told["text"]
    assert told["grown_mb"] < 6 * LONGEST_LINE / 2**20


async def test_tools_that_are_unfit() -> None:
    """Schemas that lead elsewhere, are none or too long, names twice: left out and told; strange names are made fit."""
    async with running(raw("unfit")) as (_, events):
        (change,) = told(events, ToolListChangedEvent)

    assert [line.partition(":")[0] for line in change.refused] == ["raw_far", "raw_wrong", "raw_long", "raw_echo"]
    assert "outside itself" in change.refused[0]
    echo, strange, long = change.tools
    assert echo == "raw_echo"
    assert strange.startswith("raw_strange_name___")
    assert (len(strange) < 64, len(long)) == (True, 64)


async def test_a_server_with_ten_thousand_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first are taken; of the others none is made, which would hold the loop, and it is told that they are left out."""
    made: list[str] = []

    def reader(name: str, *rest: Any) -> ArgumentReader:
        made.append(name)
        return ArgumentReader(name, *rest)

    monkeypatch.setattr("tinyagent_actors.agents._mcp_tools.ArgumentReader", reader)
    async with running(raw("many")) as (system, events):
        (change,) = told(events, ToolListChangedEvent)
        result = await call(system, raw("many"), "raw_echo", text="x")

    assert len(change.tools) == len(made) == MOST_TOOLS
    assert change.refused == (
        f"raw_tool_{MOST_TOOLS - 1}: more than {MOST_TOOLS} tools; it and what follows is left out",
    )
    assert "x" in result.text


async def test_progress_that_is_long_is_cut() -> None:
    """A megabyte of text with each step would be a megabyte for every listener."""
    async with running(raw("chatty")) as (system, events):
        assert (await call(system, raw("chatty"), "raw_echo", text="x")).text == "x"
        (update,) = told(events, ToolExecutionUpdateEvent)

    assert update.partial_result.content[0].text == f"1: {'x' * LONGEST_PROGRESS}"


async def test_content_of_all_kinds() -> None:
    """Images are images, texts are texts; what no model can read is named."""
    async with running(raw("strange content")) as (system, _):
        result = await call(system, raw("plain"), "raw_echo", text="x")

    assert result.content[0].mime_type == "image/png"
    assert [block.text for block in result.content[1:]] == ["[file:///a]\nin it", "[b: file:///b]", "[audio, left out]"]
    assert result.details == {"a": 1}


async def test_what_it_says_goes_to_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stderr as events, redacted, so many a second and no more; of this process's keys it knows none."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-process")
    server = McpServer("real", command=["/bin/sh", "-c", 'env >&2; exec "$@"', "sh", *REAL], env={"MINE": "given"})
    async with running(server) as (system, events):
        started = " ".join(event.text for event in told(events, McpServerLoggedEvent))
        await trio.sleep(1)
        await call(system, server, "real_say", lines=3000)
        await call(system, server, "real_echo", text="x")
        lines = [event.text for event in told(events, McpServerLoggedEvent)]

    assert "MINE=given" in started
    assert "sk-of-this-process" not in started
    assert 1 <= len(lines) <= 60
    assert lines[0].startswith("line 0 api_key=")
    assert not any("sk-abcdefgh" in line for line in lines)


async def test_a_server_that_does_not_end_by_itself(tmp_path: Path) -> None:
    """Its stdin is closed; a while later it is told, with all that it started."""
    command = ["/bin/sh", "-c", f'sleep 120 & echo $! >{tmp_path}/pid; exec "$@"', "sh", *(raw("stays").command or ())]
    async with running(McpServer("raw", command=command)):
        pid = int((tmp_path / "pid").read_text())

    await until(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    ("command", "problem"),
    [(["/no/such/program"], "FileNotFoundError"), (["/bin/false"], "exit code 1"), (None, "not started")],
)
async def test_a_server_that_cannot_be_started(command: list[str] | None, problem: str) -> None:
    """The start has failed, and says why; nothing stays."""
    server = McpServer("bad", command=command) if command else raw("deaf", start_timeout=0.5)
    before = open_files()
    async with open_system() as system:
        with trio.fail_after(60), pytest.raises(StartFailedError) as caught:
            await system.start_child(server)

    assert problem in str(caught.value)
    assert open_files() == before


async def test_a_server_by_http() -> None:
    """The same over streamable HTTP; when it goes, its actor connects anew until it is there again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = McpServer(
        "web", url=f"http://127.0.0.1:{port}/mcp", headers={"Authorization": "Bearer sk-secret"}, backoff=Backoff(1, 2)
    )
    assert "sk-secret" not in repr(server)
    async with _serving(port):
        async with running(server) as (system, _):
            assert (await call(system, server, "web_echo", text="hello")).text == "hello"
            pid = int((await call(system, server, "web_pid")).text)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not is_alive(pid))
            gone = await call(system, server, "web_echo", text="hello")
            assert gone.is_error
            async with _serving(port):
                with trio.fail_after(60):
                    while (await call(system, server, "web_echo", text="again")).text != "again":  # noqa: ASYNC110
                        await trio.sleep(0.05)


@asynccontextmanager
async def _serving(port: int) -> AsyncIterator[None]:
    """The real server on a port, until the block is left."""
    async with open_process_group([*REAL, str(port)], name="server", grace=0.5) as group:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(group.pump)
            with trio.fail_after(60):
                while not await _accepts(port):  # noqa: ASYNC110  # another process is asked
                    await trio.sleep(0.05)
            yield
            nursery.cancel_scope.cancel()


async def _accepts(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


def test_a_server_that_is_described_wrong() -> None:
    """Each field is checked before anything starts."""
    wrong: list[dict[str, Any]] = [
        {},
        {"command": ["x"], "url": "http://x"},
        {"command": "a shell line"},
        {"command": []},
    ]
    for options in wrong:
        with pytest.raises(SpecError) as caught:
            McpServer("x", **options)
        assert caught.value.field == "command"
    with pytest.raises(SpecError):
        McpServer("x", command=["x"], call_timeout=-1)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said where a server is described, and how to install it; nothing else needs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SpecError, match=r"pip install 'tinyagent-actors\[mcp\]'"):
        McpServer("x", command=["x"])
