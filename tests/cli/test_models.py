"""The demo with models that are not in its process: one that works, one that goes away, and some that answer nonsense."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tinyagent_actors.cli._demo_policy import SurveyPolicy
from tinyagent_actors.testing import CallSpec, ChatRequest, Reply, Reset, open_endpoint

pytestmark = pytest.mark.process

FILES = 40
_numbers = itertools.count()


@attrs.frozen
class Done:
    """What came of a run."""

    code: int
    said: str
    report: dict[str, Any]
    log: list[dict[str, Any]]

    def errors(self) -> set[tuple[str, str | None]]:
        """Give class and kind of each error that ended a run of an agent."""
        errors = [line["error"] for line in self.log if line["event"] == "agent_end" and line["error"]]
        return {(error["type"], error.get("kind")) for error in errors}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder of small files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"file-{number:02}").write_bytes(b"some words\n")
    return folder


def demo(top: Path, url: str, *options: str) -> Done:
    log = top.with_name("log.jsonl")
    command = [sys.executable, "-m", "tinyagent_actors", "demo", str(top), "--json", "--log", str(log)]
    done = subprocess.run(
        [*command, "--base-url", url, "--model", "any", *options], capture_output=True, timeout=100, check=False
    )
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    return Done(done.returncode, done.stderr.decode(), json.loads(done.stdout), lines)


async def demo_against(policy: Callable[[ChatRequest], Reply], top: Path, *options: str) -> Done:
    async with open_endpoint(policy) as endpoint:
        done = await trio.to_thread.run_sync(partial(demo, top, endpoint.url, *options))
        await endpoint.wait_for(lambda now: now.connections == 0)
    return done


def test_an_endpoint_in_another_process(top: Path) -> None:
    """`fake-endpoint --policy survey` serves the demo, faults and all."""
    command = [sys.executable, "-m", "tinyagent_actors", "fake-endpoint", "--policy", "survey"]
    endpoint = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert endpoint.stdout is not None
    url = endpoint.stdout.readline().strip()
    done = demo(top, url)
    endpoint.send_signal(signal.SIGINT)
    said, errors = endpoint.communicate(timeout=60)

    assert (done.code, done.said, done.report["endpoint"]) == (0, "", url)
    assert done.report["totals"]["files"] == FILES
    assert done.report["agents"] == {"started": 4, "crashed": 1, "restarted": 1}
    assert done.report["tools"]["timed_out"] == 1
    assert (endpoint.returncode, errors) == (130, "")
    assert "stopped by SIGINT" in said


async def test_an_endpoint_that_dies_in_mid_run(top: Path) -> None:
    """Exit 1, the error in the log by its class and kind, nothing left."""
    survey = SurveyPolicy(batch=16)

    def dying(request: ChatRequest) -> Reply:
        return survey(request) if request.number <= 2 else Reply(text="no", fault=Reset(after_bytes=10))

    done = await demo_against(dying, top, "--agents", "2")

    assert done.code == 1
    assert done.said.startswith("failed: ProviderError: ")
    assert done.errors() == {("ProviderError", "truncated")}
    assert done.report["ok"] is False
    assert done.report["tools"]["finished"] > 0
    assert done.report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}
    assert done.log[-1]["event"] == "system_stopped"


def unknown_tool(_: ChatRequest) -> Reply:
    return Reply(tool_calls=[CallSpec(name="no_such_tool", arguments={})])


def bad_arguments(_: ChatRequest) -> Reply:
    return Reply(tool_calls=[CallSpec(name="survey_file", arguments={"path": 3})])


def without_end(_: ChatRequest) -> Reply:
    return Reply(tool_calls=[CallSpec(name="survey_file", arguments={"path": f"nowhere-{next(_numbers)}"})])


def cut_for_ever(_: ChatRequest) -> Reply:
    return Reply(tool_calls=[CallSpec(name="survey_file", arguments={"path": "file-00"})], finish="length")


def idle(_: ChatRequest) -> Reply:
    return Reply(text="I would rather not.")


def no_stream(_: ChatRequest) -> Reply:
    return Reply(body=b"<html>Welcome</html>", headers=(("content-type", "text/html"),))


@pytest.mark.parametrize(
    ("policy", "error", "in_log"),
    [
        (unknown_tool, "RepeatedCallError", {("RepeatedCallError", None)}),
        (bad_arguments, "RepeatedCallError", {("RepeatedCallError", None)}),
        (without_end, "TurnLimitError", {("TurnLimitError", None)}),
        (cut_for_ever, "RepeatedCallError", {("RepeatedCallError", None)}),
        (idle, "SurveyFailedError", set()),
        (no_stream, "ProviderError", {("ProviderError", "protocol_error")}),
    ],
)
async def test_nonsense(
    top: Path, policy: Callable[[ChatRequest], Reply], error: str, in_log: set[tuple[str, str | None]]
) -> None:
    """Calls that may not run give error results, turns are bounded, and the survey fails with an error that says why."""
    done = await demo_against(policy, top)

    assert done.code == 1
    assert done.said.startswith(f"failed: {error}: ")
    assert done.errors() == in_log
    assert done.report["tools"]["finished"] == 0
    assert done.report["totals"]["files"] == 0
    assert max(line["turn"] or 0 for line in done.log) <= FILES / 4 + 10
    assert done.report["leftovers"] == {"tasks": 0, "threads": 0, "streams": 0, "processes": 0}
