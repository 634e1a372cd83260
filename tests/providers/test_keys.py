"""Keys: where they come from, and what is never looked at or written for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import Reply, open_endpoint

ROOT = Path(__file__).parent.parent.parent
PROVIDERS = {
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "chutes": "CHUTES_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "groq": "GROQ_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "xai": "XAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "featherless": "FEATHERLESS_API_KEY",
    "litellm": "LITELLM_API_KEY",
    "somebody-else": "SOMEBODY_ELSE_API_KEY",
}
WATCHER = """
import os, sys
import trio
from tinyagent_actors.messages import Context, Model, UserMessage
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import Reply, open_endpoint

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)

async def main():
    before = dict(os.environ)
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        model = Model("openai/gpt-4.1", base_url=endpoint.url)
        context = Context(messages=[UserMessage("hello")])
        async with open_stream(model, context, StreamOptions(engine=sys.argv[1])) as stream:
            assert (await stream.result()).text == "hi"
        print(endpoint.requests[0].header("authorization"))
    print(dict(os.environ) == before)
    print([path for path in opened if os.path.basename(path).startswith(".env")])

trio.run(main)
"""


@pytest.mark.parametrize(("provider", "variable"), PROVIDERS.items())
async def test_the_key_is_the_environments_by_provider(
    engine: str, provider: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M07: each provider has its variables, for the key and for the base URL; an option goes before them."""
    options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
    async with open_endpoint([Reply(text="a"), Reply(text="b")]) as endpoint:
        monkeypatch.setenv(variable, f"key-of-{provider}")
        monkeypatch.setenv(variable.replace("API_KEY", "BASE_URL"), endpoint.url)
        for given in (None, "the-option"):
            with trio.fail_after(30):
                async with open_stream(
                    Model("m", provider), CONTEXT, StreamOptions(engine=options.engine, api_key=given)
                ) as stream:
                    assert (await stream.result()).error is None

        sent = [request.header("authorization") for request in endpoint.requests]
    assert sent == [f"Bearer key-of-{provider}", "Bearer the-option"]


async def test_a_function_is_asked_for_the_key_of_each_call(engine: str) -> None:
    """M07: with the provider's name; it may be awaitable, and may give another key each time."""
    asked: list[str] = []

    async def keys(provider: str) -> str:
        asked.append(provider)
        await trio.lowlevel.checkpoint()
        return f"key-{len(asked)}"

    options = StreamOptions(engine=engine, api_key=keys)  # type: ignore[arg-type]  # one of them
    async with open_endpoint([Reply(text="a"), Reply(text="b")]) as endpoint:
        for _ in range(2):
            with trio.fail_after(30):
                async with open_stream(Model("m", "groq", base_url=endpoint.url), CONTEXT, options) as stream:
                    await stream.result()

        assert [request.header("authorization") for request in endpoint.requests] == ["Bearer key-1", "Bearer key-2"]
    assert asked == ["groq", "groq"]


async def test_azure_is_told_in_its_own_header(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """M07: the key of AZURE_OPENAI_API_KEY goes as `api-key`, and the query of the URL stays."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
    async with open_endpoint([Reply(text="a")]) as endpoint:
        url = f"{endpoint.origin}/openai/deployments/d/chat/completions?api-version=2024-10-21"
        with trio.fail_after(30):
            async with open_stream(Model("m", "azure", base_url=url), CONTEXT, options) as stream:
                await stream.result()

        (request,) = endpoint.requests
    assert (request.header("api-key"), request.header("authorization")) == ("azure-key", None)
    assert request.target.endswith("?api-version=2024-10-21")


@pytest.mark.process
async def test_no_dotenv_is_read_and_no_variable_written(engine: str, tmp_path: Path) -> None:
    """M07: a `.env` with a key lies in the folder: nobody opens it, the key is not sent, the environment is as it was."""
    (tmp_path / ".env").write_text("OPENROUTER_API_KEY=sk-of-the-file\n")
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-c", WATCHER, engine]
    done = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**environ, "PYTHONPATH": str(ROOT)},
        )
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["None", "True", "[]"]
