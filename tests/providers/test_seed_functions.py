"""The stream functions and models that programs were written for: names, inference, dict shapes, and which engine serves."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import tinyagent_actors
from tests.providers.conftest import CONTEXT
from tinyagent_actors import Agent, AgentOptions, EngineUnavailableError, ValueShapeError, _alchemy, alchemy_provider
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import (
    OpenAICompatModel,
    SimpleStreamOptions,
    StreamOptions,
    _open_stream,
    best_engine,
    stream_alchemy_openai_completions,
    stream_openrouter,
)
from tinyagent_actors.providers._engines import open_source
from tinyagent_actors.testing import Reply, open_endpoint

SHAPE = {
    "system_prompt": "Be brief.",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}], "timestamp": 1}],
    "tools": [{"name": "sum", "description": "Add.", "parameters": {"type": "object"}}],
}


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the engine of each stream that is opened."""
    names: list[str] = []
    real = open_source

    def note(engine: Any, request: Any) -> Any:
        names.append(engine)
        return real(engine, request)

    monkeypatch.setattr(_open_stream, "open_source", note)
    return names


def test_the_names_are_where_programs_import_them_from() -> None:
    """From the package, and from the module of that name."""
    for name in alchemy_provider.__all__:
        assert getattr(alchemy_provider, name) is getattr(tinyagent_actors, name)


@pytest.mark.parametrize(
    ("given", "api"),
    [
        ({"provider": "openrouter"}, "openai-completions"),
        ({"provider": "chutes", "api": " "}, "openai-completions"),
        ({"provider": "minimax"}, "minimax-completions"),
        ({"provider": "minimax-cn", "base_url": "https://api.minimax.chat/v1/chat/completions"}, "minimax-completions"),
        ({"provider": "minimax", "api": "openai"}, "openai-completions"),
        ({"provider": "chutes", "api": "openrouter"}, "openai-completions"),
        ({"provider": "chutes", "api": "minimax"}, "minimax-completions"),
    ],
)
def test_the_api_is_inferred(given: dict[str, str], api: str) -> None:
    """A blank one by the provider; the old names mean what they meant."""
    model = OpenAICompatModel(id="m", **given)

    assert isinstance(model, Model)
    assert (model.api, model.provider) == (api, given["provider"])


async def test_which_engine_serves(engines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A02: the one is httpx; the other the best that is built, which without the native engine is httpx."""
    best = best_engine()
    async with open_endpoint([Reply(text="a"), Reply(text="b"), Reply(text="c")]) as endpoint:
        model = OpenAICompatModel(id="m", base_url=f"{endpoint.url}/chat/completions")
        await (await stream_openrouter(model, CONTEXT)).result()
        await (await stream_alchemy_openai_completions(model, CONTEXT)).result()
        monkeypatch.setattr(_alchemy, "AVAILABLE", False)
        message = await (await stream_alchemy_openai_completions(model, CONTEXT)).result()

    assert engines == ["httpx", best, "httpx"]
    assert message.text == "c"


async def test_the_crate_serves_where_it_is_named(engines: list[str]) -> None:
    """A02: and only there; where it is not built that is an error."""
    async with open_endpoint([Reply(text="a")]) as endpoint:
        model = OpenAICompatModel(id="m", base_url=endpoint.url)
        options = StreamOptions(engine="alchemy")
        if not _alchemy.ALCHEMY_AVAILABLE:
            with pytest.raises(EngineUnavailableError):
                await stream_alchemy_openai_completions(model, CONTEXT, options)
            return
        with trio.fail_after(30):
            message = await (await stream_alchemy_openai_completions(model, CONTEXT, options)).result()

    assert (message.text, engines) == ("a", ["alchemy"])


@pytest.mark.parametrize("function", [stream_openrouter, stream_alchemy_openai_completions])
async def test_dicts_are_taken_for_values(function: Any) -> None:
    """A model, a context, its messages and its tools may be the dicts that programs hold."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        model = {"provider": "chutes", "id": "m", "base_url": f"{endpoint.url}/chat/completions", "api": None, "x": 1}
        stream = await function(model, SHAPE, SimpleStreamOptions(max_tokens=9))
        with trio.fail_after(30):
            message = await stream.result()
        sent = endpoint.requests[0].json

    assert (message.text, message.provider) == ("hello", "chutes")
    assert [(turn["role"], turn["content"]) for turn in sent["messages"]] == [
        ("system", "Be brief."),
        ("user", "Hello"),
    ]
    assert (sent["tools"][0]["function"]["name"], sent["max_tokens"]) == ("sum", 9)


@pytest.mark.parametrize(
    ("model", "context", "field"),
    [
        ({"provider": "chutes"}, SHAPE, "model"),
        ({"id": "m"}, {"messages": [{"role": "user"}]}, "content"),
        ({"id": "m"}, {"tools": [{"description": "nameless"}]}, "tools"),
    ],
)
async def test_dicts_of_another_shape_are_refused(model: Any, context: Any, field: str) -> None:
    """With the member that is wrong, before anything is sent."""
    with pytest.raises(ValueShapeError) as caught:
        await stream_openrouter(model, context)

    assert field in caught.value.field


async def test_an_agent_asks_through_it() -> None:
    """As the stream function of an `Agent`."""
    async with open_endpoint([Reply(text="Paris.")]) as endpoint:
        agent = Agent(AgentOptions(stream_fn=stream_alchemy_openai_completions, session_id="my-session"))
        agent.set_model(OpenAICompatModel(provider="chutes", id="m", base_url=endpoint.url))
        with trio.fail_after(30):
            assert await agent.prompt_text("What is the capital of France?") == "Paris."
