"""The fixture `fake_endpoint`, for pytest with pytest-trio.

In a ``conftest.py``, either of::

    pytest_plugins = ["tinyagent_actors.testing.pytest_plugin"]
    from tinyagent_actors.testing.pytest_plugin import *
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pytest_trio import trio_fixture  # type: ignore[import-untyped]  # it has none

from tinyagent_actors.testing._endpoint import Endpoint, open_endpoint

__all__ = ["fake_endpoint"]


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def fake_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of loopback, with an empty script; what its policy raised fails the test.

    Example:
        ::

            async def test_greeting(fake_endpoint):
                fake_endpoint.enqueue(Reply(text="hello"))
                agent = Agent(AgentOptions(model=Model(id="any", base_url=fake_endpoint.url)))
                assert await agent.prompt_text("hi") == "hello"
    """
    async with open_endpoint() as endpoint:
        yield endpoint
    endpoint.check()
