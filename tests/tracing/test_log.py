"""The log: a subscriber that nothing in an event can end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import structlog

from tinyagent_actors import ActorContext, AgentRef, AgentSpec, ChildSpec, Model, open_system
from tinyagent_actors.testing import Reply, open_endpoint


async def test_a_prompt_that_cannot_be_encoded_is_logged(tmp_path: Path) -> None:
    """A lone surrogate in a prompt is replaced in its lines; the run and all later lines are as ever."""
    log = tmp_path / "log.jsonl"
    async with open_endpoint([Reply(text="Hello.")]) as endpoint, open_system(log=log) as system:
        model = Model("scripted", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model))
        assert (await agent.ask("\ud800 hi")).text == "Hello."
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    prompt = next(line["message"] for line in lines if line["event"] == "message_end")

    assert prompt["content"] == [{"type": "text", "text": "\ufffd hi"}]
    assert lines[-1]["event"] == "system_stopped"


async def test_processors_of_structlog_see_each_record_before_it_is_a_line(tmp_path: Path) -> None:
    """What they add stands in the line, what they drop is left out; one that fails costs no line and is told once."""

    def by_hand(_logger: object, _method: str, record: Any) -> Any:
        if record["event"] == "actor_stopped":
            raise structlog.DropEvent
        if record["path"] == "/bad":
            raise LookupError("a bug in a processor")
        return {**record, "host": "here"}

    async def idle(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            pass

    log = tmp_path / "log.jsonl"
    async with open_system(log=log, log_processors=[by_hand]) as system:
        for name in ("good", "bad"):
            await system.start_child(ChildSpec(name, idle))
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    started = {line["path"]: line.get("host") for line in lines if line["event"] == "actor_started"}

    assert started == {"/": "here", "/good": "here", "/bad": None}
    assert [line for line in lines if line["event"] == "actor_stopped"] == []
    assert [line["subscriber"] for line in lines if line["event"] == "subscriber_failed"] == ["log processors"]
