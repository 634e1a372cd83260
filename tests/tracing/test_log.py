"""The log: a subscriber that nothing in an event can end."""

from __future__ import annotations

import json
from pathlib import Path

from tinyagent_actors import AgentRef, AgentSpec, Model, open_system
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
