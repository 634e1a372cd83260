"""Other frameworks at the same endpoint: the agent run of `_agent_load`, by each in its own words.

They live in an environment of their own, ``.bench/others``, made from the registry when it is asked for (``python -m benchmarks
others``) and left out of everything else. This file is a program for that environment's interpreter, too.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGES = ("tiny-agent-os", "pydantic-ai-slim[openai]", "openai-agents")
_HOME = Path(".bench/others")
_AT_ONCE = 100


def count_words(text: str) -> int:
    """Count."""
    return len(text)


def count_letters(text: str) -> int:
    """Count."""
    return len(text)


def pydantic_ai(base_url: str) -> Callable[[], Awaitable[object]]:
    """Give one run of pydantic-ai."""
    models, providers = import_module("pydantic_ai.models.openai"), import_module("pydantic_ai.providers.openai")
    model = models.OpenAIChatModel("bench", provider=providers.OpenAIProvider(base_url=base_url, api_key="none"))
    agent = import_module("pydantic_ai").Agent(model, system_prompt="Be brief.", tools=[count_words, count_letters])

    async def run() -> object:
        async with agent.run_stream("Count the words and the letters.") as result:
            return await result.get_output()

    return run


def openai_agents(base_url: str) -> Callable[[], Awaitable[object]]:
    """Give one run of openai-agents."""
    agents = import_module("agents")
    agents.set_tracing_disabled(disabled=True)
    client = import_module("openai").AsyncOpenAI(base_url=base_url, api_key="none")
    model = agents.OpenAIChatCompletionsModel("bench", client)
    tools = [agents.function_tool(count_words), agents.function_tool(count_letters)]
    agent = agents.Agent("bench", instructions="Be brief.", model=model, tools=tools)

    async def run() -> object:
        result = agents.Runner.run_streamed(agent, "Count the words and the letters.")
        async for _ in result.stream_events():
            pass
        return result.final_output

    return run


def tiny_agent_os(base_url: str) -> Callable[[], Awaitable[object]]:
    """Give one run of tiny-agent-os."""
    tinyagent, provider = import_module("tinyagent"), import_module("tinyagent.alchemy_provider")
    os.environ.setdefault("OPENAI_API_KEY", "none")
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    async def execute(_id: str, args: dict[str, Any], _signal: object, _on_update: object) -> Any:
        return tinyagent.AgentToolResult(content=[{"type": "text", "text": str(len(args["text"]))}])

    tools = [
        tinyagent.AgentTool(name=name, description="Count.", parameters=schema, execute=execute)
        for name in ("count_words", "count_letters")
    ]

    async def run() -> object:
        agent = tinyagent.Agent(tinyagent.AgentOptions(stream_fn=provider.stream_alchemy_openai_completions))
        agent.set_system_prompt("Be brief.")
        agent.set_model(
            provider.OpenAICompatModel(provider="openai", id="bench", base_url=f"{base_url}/chat/completions")
        )
        agent.set_tools(tools)
        return await agent.prompt_text("Count the words and the letters.")

    return run


FRAMEWORKS = {"pydantic-ai": pydantic_ai, "openai-agents": openai_agents, "tiny-agent-os": tiny_agent_os}


def cpu_of_other(name: str, base_url: str) -> float | str:
    """Give what a run takes in one of them, seconds of CPU; where it does not run, why."""
    python = _HOME / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_HOME)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    command = [str(python), __file__, name, base_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["?"])[-1][:200]
    taken: float = json.loads(done.stdout.strip().splitlines()[-1])
    return taken


def main() -> None:
    """Measure one framework, as a program of the other environment."""
    import asyncio

    name, base_url = sys.argv[1:]

    async def measure() -> float:
        run = FRAMEWORKS[name](base_url)
        await asyncio.gather(*(run() for _ in range(10)))
        taken = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_SELF)
            answers = await asyncio.gather(*(run() for _ in range(_AT_ONCE)))
            after = resource.getrusage(resource.RUSAGE_SELF)
            assert all(answers), answers
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return statistics.median(taken) / _AT_ONCE

    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
