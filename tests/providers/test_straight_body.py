"""The way straight to the body of a response, and the way around, where httpcore is another one."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, _httpx_pool, open_stream
from tinyagent_actors.providers._straight_body import StraightBody, straight_body
from tinyagent_actors.testing import Delivery, Endpoint, Reply, open_endpoint

FOREVER = Reply(text="word " * 1000, delivery=Delivery(delay_between=0.02))


@pytest.fixture(params=["straight", "around"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Notes for each response whether its body is read straight; or has httpcore be one that nobody knows."""
    taken: list[bool] = []

    def find(stream: object) -> StraightBody | None:
        found = straight_body(stream if request.param == "straight" else object())
        taken.append(found is not None)
        return found

    monkeypatch.setattr(_httpx_pool, "straight_body", find)
    return taken


async def read(endpoint: Endpoint) -> str:
    """Read one answer whole."""
    async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, StreamOptions(engine="httpx")) as stream:
        return (await stream.result()).text


async def test_both_ways_give_the_same_and_keep_the_connection(
    ways: list[bool], request: pytest.FixtureRequest
) -> None:
    """Two answers, one after the other, come over one connection."""
    async with open_endpoint([Reply(text="one"), Reply(text="two")]) as endpoint:
        assert (await read(endpoint), await read(endpoint)) == ("one", "two")

        assert endpoint.statistics().accepted == 1
    assert ways == [request.node.callspec.params["ways"] == "straight"] * 2


async def test_both_ways_close_the_socket_at_a_cancel(ways: list[bool]) -> None:
    """Cancelled while it waits for the next piece: the server sees the client leave, and the next request works."""
    async with open_endpoint([FOREVER, Reply(text="next")]) as endpoint:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, endpoint)
            with trio.fail_after(5):
                await endpoint.wait_for(lambda now: now.open_streams == 1)
                while not ways:  # the response has come, and its body is read
                    await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1 and now.open_streams == 0)
        assert await read(endpoint) == "next"
