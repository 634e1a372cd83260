"""Many callers and agents on one key: what is wasted, who is served, and that every place comes back (P71, P73)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import told
from tests.providers.conftest import CONTEXT
from tinyagent_actors import (
    AgentEndEvent,
    AgentSpec,
    ModelCallQueuedEvent,
    ModelCallRetriedEvent,
    open_system,
    supervisor,
)
from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, governor_statistics, open_stream
from tinyagent_actors.providers._governor_limit import WINDOW
from tinyagent_actors.testing import (
    CapacityPolicy,
    ChatRequest,
    Delivery,
    Endpoint,
    Reply,
    assert_quiescent,
    open_endpoint,
)

KEY = "sk-of-them-all"
SOON = {"retry-after-ms": "50"}
SHORT = Reply(text="a short answer", chunk_size=5, delivery=Delivery(delay_between=0.01, coalesce=False))
LONG = Reply(text="word " * 1000, chunk_size=5, delivery=Delivery(delay_between=0.05, coalesce=False))


def model_at(endpoint: Endpoint) -> Model:
    """Name the model there."""
    return Model("crowd", provider="custom", base_url=endpoint.url)


def in_flight() -> int:
    """Give how many calls have a place."""
    return sum(governor.in_flight for governor in governor_statistics())


async def test_sixty_callers_at_a_provider_that_serves_five(engine: str) -> None:
    """P71, P73: every one is served, no more than one window of requests is refused besides a few that probe, and no herd comes back."""
    policy = CapacityPolicy(lambda _: SHORT, capacity=5, headers=SOON)
    options = StreamOptions(engine=engine, api_key=KEY, retries=4)
    texts: list[str] = []

    async def call(endpoint: Endpoint) -> None:
        async with open_stream(model_at(endpoint), CONTEXT, options) as stream:
            texts.append((await stream.result()).text)

    async with open_endpoint(policy, on_answer=policy.answered) as endpoint:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    nursery.start_soon(call, endpoint)

        assert texts == ["a short answer"] * 60
        assert policy.most == 5
        # One window as the limit is met for the first time, then one for each time that a sixth is tried.
        assert policy.refused <= WINDOW + 2
        (now,) = governor_statistics()
        assert (now.in_flight, now.queue) == (0, ())
        assert now.limit is not None
        assert 1 <= now.limit <= 7


async def test_agents_of_a_system(engine: str) -> None:
    """P71: agents retry by themselves; what it took is told with the path and the run of each, and nothing is left."""
    policy = CapacityPolicy(lambda _: SHORT, capacity=2, headers=SOON)
    options = StreamOptions(engine=engine, api_key=KEY)

    async with open_endpoint(policy, on_answer=policy.answered) as endpoint, open_system() as system:
        team = await system.start_child(supervisor("team", strategy="dynamic"))
        async with system.subscribe("team/**") as events:
            async with trio.open_nursery() as nursery:
                answers: list[Any] = []

                async def ask(number: int) -> None:
                    spec = AgentSpec(f"agent-{number}", model=model_at(endpoint), options=options)
                    answers.append(await (await team.start_child(spec)).ask("Go."))

                for number in range(12):
                    nursery.start_soon(ask, number)
            noted = told(events, ModelCallQueuedEvent, ModelCallRetriedEvent, AgentEndEvent)

        assert [answer.text for answer in answers] == ["a short answer"] * 12
        calls = [event for event in noted if not isinstance(event, AgentEndEvent)]
        assert any(isinstance(event, ModelCallRetriedEvent) for event in calls)
        assert {(event.run, event.turn) for event in calls} == {(1, 1)}
        assert all(event.path.startswith("/team/agent-") and event.cause is not None for event in calls)
        await team.stop()
        assert_quiescent(system, "team")


async def test_the_end_of_a_system_with_a_full_queue(engine: str) -> None:
    """Agents wait for a place as the system stops: they end at once, and nothing of the governor is left."""
    options = StreamOptions(engine=engine, api_key=KEY, max_in_flight=1)
    async with open_endpoint(lambda _: LONG) as endpoint:
        with trio.fail_after(30):
            async with open_system() as system:
                for number in range(10):
                    spec = AgentSpec(f"agent-{number}", model=model_at(endpoint), options=options, restart="temporary")
                    await (await system.start_child(spec)).tell("Go.")
                while not governor_statistics() or len(governor_statistics()[0].queue) < 9:
                    await trio.lowlevel.checkpoint()
                await endpoint.wait_for(lambda now: now.requests == 1)
            assert_quiescent(system)

        assert endpoint.statistics().requests == 1


async def test_two_systems_have_a_governor_each(engine: str) -> None:
    """The same key in two systems of one program: what one has learned is not known to the other."""
    options = StreamOptions(engine=engine, api_key=KEY)
    async with open_endpoint([Reply.rate_limited(3600), SHORT]) as endpoint:
        async with open_system("one"):
            async with open_stream(model_at(endpoint), CONTEXT, options) as stream:
                first = await stream.result()
            assert governor_statistics()[0].pause > 3500
        async with open_system("two"):
            assert governor_statistics() == ()
            async with open_stream(model_at(endpoint), CONTEXT, options) as stream:
                second = await stream.result()

    assert (first.stop_reason, second.text) == ("error", "a short answer")


# Every place comes back.


@pytest.mark.parametrize("how", ["leave", "cancel", "crash"])
async def test_a_stream_that_is_left_gives_its_place_back(engine: str, how: str) -> None:
    """P73: the block is left early, cancelled, or its body raises: the next caller is served."""
    options = StreamOptions(engine=engine, api_key=KEY, max_in_flight=1)
    async with open_endpoint([LONG, SHORT]) as endpoint:
        with trio.fail_after(20), pytest.raises(ZeroDivisionError) if how == "crash" else trio.CancelScope() as scope:
            async with open_stream(model_at(endpoint), CONTEXT, options) as stream:
                await stream.next_events()
                assert in_flight() == 1
                if how == "crash":
                    raise ZeroDivisionError
                if how == "cancel" and isinstance(scope, trio.CancelScope):
                    scope.cancel()
                    await stream.result()

        assert in_flight() == 0
        async with open_stream(model_at(endpoint), CONTEXT, options) as stream:
            with trio.fail_after(20):
                assert (await stream.result()).text == "a short answer"


async def test_a_place_comes_back_with_the_last_event(engine: str) -> None:
    """Who lingers in the block after the end holds up nobody."""
    options = StreamOptions(engine=engine, api_key=KEY, max_in_flight=1)
    async with open_endpoint([SHORT, SHORT]) as endpoint:
        async with open_stream(model_at(endpoint), CONTEXT, options) as first:
            await first.result()
            assert in_flight() == 0
            async with open_stream(model_at(endpoint), CONTEXT, options) as second:
                with trio.fail_after(20):
                    assert (await second.result()).text == "a short answer"


async def test_a_request_that_cannot_be_sent_gives_its_place_back(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine fails to open: the error passes, the place is free."""
    from tinyagent_actors.providers import _open_stream

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(_open_stream, "open_source", broken)
    options = StreamOptions(engine=engine, api_key=KEY)
    async with open_stream(Model("any", base_url="http://127.0.0.1:1/v1"), CONTEXT, options) as stream:
        with pytest.raises(MemoryError):
            await stream.result()
        assert in_flight() == 0


async def test_a_cancelled_caller_sends_nothing(engine: str) -> None:
    """P73: a scope that is cancelled already: there is room, but no request is made."""
    async with open_endpoint([SHORT]) as endpoint:
        with trio.CancelScope() as scope:
            async with open_stream(model_at(endpoint), CONTEXT, StreamOptions(engine=engine)) as stream:
                scope.cancel()
                await stream.result()
        await trio.testing.wait_all_tasks_blocked(0.01)

        assert in_flight() == 0
        assert endpoint.statistics().requests == 0


async def test_a_caller_who_leaves_the_queue_leaves_no_trace(engine: str) -> None:
    """Cancelled while it waits: the queue is shorter by one, and the place goes to somebody else."""
    options = StreamOptions(engine=engine, api_key=KEY, max_in_flight=1)
    async with open_endpoint([SHORT, SHORT]) as endpoint:
        async with open_stream(model_at(endpoint), CONTEXT, options) as first:
            await first.next_events()
            with trio.move_on_after(0.05):
                async with open_stream(model_at(endpoint), CONTEXT, options) as second:
                    await second.result()
            assert governor_statistics()[0].queue == ()
            await first.result()

        assert endpoint.statistics().requests == 1


async def test_a_retry_gives_its_place_back_while_it_waits(engine: str) -> None:
    """P73: a back-off holds no place: another caller is served during it."""

    def policy(request: ChatRequest) -> Reply:
        return Reply(status=500, body=b"{}", retry_after=30) if request.number == 1 else SHORT

    options = StreamOptions(engine=engine, api_key=KEY, max_in_flight=1, retries=1)
    async with open_endpoint(policy) as endpoint, trio.open_nursery() as nursery:
        async with open_stream(model_at(endpoint), CONTEXT, options) as waiting:
            nursery.start_soon(waiting.result)
            await endpoint.wait_for(lambda now: now.served == 1)
            with trio.fail_after(20):
                async with open_stream(model_at(endpoint), CONTEXT, options) as other:
                    assert (await other.result()).text == "a short answer"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("wrong", [{"max_in_flight": 0}, {"priority": 1.5}, {"retries": -1}])
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    """With the name of the field."""
    with pytest.raises(SpecError) as caught:
        StreamOptions(**wrong)
    assert caught.value.field == f"StreamOptions.{next(iter(wrong))}"
