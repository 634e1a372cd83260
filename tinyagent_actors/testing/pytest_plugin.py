"""The fixtures `fake_endpoint` and `cassette`, for pytest with pytest-trio.

In a ``conftest.py``, either of::

    pytest_plugins = ["tinyagent_actors.testing.pytest_plugin"]
    from tinyagent_actors.testing.pytest_plugin import *
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pytest_trio import trio_fixture  # type: ignore[import-untyped]  # it has none

from tinyagent_actors.testing._endpoint import Endpoint, open_endpoint
from tinyagent_actors.testing._replay import Replay, replay_cassette

__all__ = ["cassette", "fake_endpoint"]


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def fake_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of loopback, with an empty script; what its policy raised fails the test.

    Example:
        ::

            async def test_greeting(fake_endpoint):
                fake_endpoint.enqueue(Reply(text="hello"))
                agent = Agent()
                agent.set_model(Model("any", base_url=fake_endpoint.url))
                assert await agent.prompt_text("hi") == "hello"
    """
    async with open_endpoint() as endpoint:
        yield endpoint
    endpoint.check()


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def cassette(request: pytest.FixtureRequest) -> AsyncIterator[Replay]:
    """A cassette, played back as fast as possible: ``cassettes/NAME_OF_THE_TEST.jsonl`` beside the file of the test.

    Another file in that folder is named as the fixture's parameter. What was asked that it does not hold, and what it holds that
    was not asked, fails the test.

    Example:
        ::

            async def test_paris(cassette):  # plays cassettes/test_paris.jsonl
                agent = Agent()
                agent.set_model(Model("gpt-5.4-mini", base_url=cassette.url))
                assert await agent.prompt_text("The capital of France?") == "Paris."

            @pytest.mark.parametrize("cassette", ["rome.jsonl"], indirect=True)
            async def test_rome(cassette): ...
    """
    named = getattr(request, "param", f"{request.node.originalname}.jsonl")
    async with replay_cassette(request.path.parent / "cassettes" / named, timed=False) as replay:
        yield replay
