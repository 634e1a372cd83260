"""The governor among tasks: who is woken, what a cancel leaves, how it ends. Under virtual time and many orders of tasks."""

from __future__ import annotations

import random
from math import inf
from typing import Any

import pytest
import trio
import trio.testing

from tinyagent_actors import ProviderLimitChangedEvent, ProviderPausedEvent, ProviderResumedEvent
from tinyagent_actors._errors import ProviderError
from tinyagent_actors.actors import Runtime
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._governor import Governor
from tinyagent_actors.providers._governor_gate import Gate, Place
from tinyagent_actors.providers._governor_limit import InFlightLimit
from tinyagent_actors.providers._governor_queue import Waiter
from tinyagent_actors.providers._governors import MAX_KEPT, Governors
from tinyagent_actors.testing import deterministic


def busy(retry_after: float | None = 1.0) -> ProviderError:
    """Make the error of a refusal."""
    return ProviderError("rate_limited", "slow down", 429, retry_after, retryable=True)


def make(*, cap: float = inf, runtime: Runtime | None = None) -> Governor:
    """Make a governor."""
    return Governor("host.example", runtime or Runtime("test"), Gate(InFlightLimit(cap=cap), random.random))


async def enter(governor: Governor, waiter: Waiter | None = None, *, again: bool = False) -> Place:
    """Take a place, or wait for one, as a call does; a cancel gives it back."""
    place = governor.try_enter()
    if place is None:
        waiter = waiter or Waiter("/")
        governor.line_up(waiter, again=again)
        place = await governor.wait_for_place(waiter)
    try:
        await trio.lowlevel.checkpoint_if_cancelled()
    except trio.Cancelled:
        governor.give_back(place)
        raise
    return place


def is_clean(governor: Governor) -> bool:
    """Whether nothing is in flight, nobody waits, and no task keeps time."""
    return (governor.in_flight, governor.waiting, governor._parked, governor._timing) == (0, 0, {}, None)


async def quiet() -> None:
    """Let every task run that can."""
    await trio.testing.wait_all_tasks_blocked()


@deterministic(seeds=20)
async def test_a_place_that_is_free_is_had_at_once() -> None:
    """Where there is room a call takes no checkpoint, no task and no event."""
    runtime = Runtime("test")
    governor = make(runtime=runtime)
    before = trio.lowlevel.current_statistics().tasks_living
    with trio.testing.assert_no_checkpoints():
        place = governor.try_enter()
        assert place is not None
        governor.accept(place)
        governor.give_back(place)

    assert runtime.bus.events == 0
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert is_clean(governor)


@deterministic(seeds=30)
async def test_never_more_than_the_limit_and_everybody_in_the_end() -> None:
    """Fifty calls over three places: no more than three at once, each once, nothing left."""
    governor = make(cap=3)
    inside = most = served = 0

    async def call(number: int) -> None:
        nonlocal inside, most, served
        place = await enter(governor, Waiter(f"/team-{number % 4}/{number}"))
        governor.accept(place)
        inside += 1
        most = max(most, inside)
        await trio.sleep(number % 7 / 10)
        inside -= 1
        served += 1
        governor.give_back(place)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(call, number)

    assert (most, served) == (3, 50)
    assert is_clean(governor)


@deterministic(seeds=200)
async def test_a_waiter_is_cancelled_in_the_moment_of_its_grant() -> None:
    """Whichever comes first, the place is not lost: the next one gets it."""
    governor = make(cap=1)
    held = await enter(governor)
    scope = trio.CancelScope()
    got: list[str] = []

    async def doomed() -> None:
        with scope:
            governor.give_back(await enter(governor))
            got.append("doomed")

    async def next_one() -> None:
        place = await enter(governor)
        got.append("next")
        governor.give_back(place)

    async def give_back() -> None:
        await trio.sleep(1)
        governor.give_back(held)

    async def cancel() -> None:
        await trio.sleep(1)
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(doomed)
        await quiet()
        nursery.start_soon(next_one)
        await quiet()
        nursery.start_soon(give_back)
        nursery.start_soon(cancel)

    assert got in (["next"], ["doomed", "next"])
    assert is_clean(governor)


@deterministic(seeds=100)
async def test_a_pause_outlives_the_call_that_brought_it() -> None:
    """P71: the call that was refused goes away; the others still keep away until the time it was told."""
    governor = make()
    scope = trio.CancelScope()
    sent: list[float] = []

    async def pauses() -> None:
        with scope:
            place = await enter(governor)
            governor.refuse(place, busy(10))
            await enter(governor, again=True)

    async def other() -> None:
        place = await enter(governor)
        sent.append(trio.current_time() - began)
        governor.accept(place)
        governor.give_back(place)

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pauses)
        await quiet()
        for _ in range(5):
            nursery.start_soon(other)
        await trio.sleep(3)
        scope.cancel()

    assert len(sent) == 5
    assert min(sent) >= 10
    assert is_clean(governor)


@deterministic(seeds=50)
async def test_after_a_pause_no_herd() -> None:
    """P71: one call goes ahead; while it is not known to have got through, nobody follows."""
    governor = make()
    governor.refuse(await enter(governor), busy(10))
    sent: list[float] = []

    async def call() -> None:
        place = await enter(governor)
        sent.append(trio.current_time())
        await trio.sleep(0.1)
        governor.accept(place)
        governor.give_back(place)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(call)

    assert len([at for at in sent if at < sent[0] + 0.1]) == 1
    assert is_clean(governor)


@deterministic(seeds=50)
async def test_the_timekeeper_goes_with_the_last_waiter() -> None:
    """Nobody waits any more: no task is left to sleep through the pause."""
    governor = make()
    governor.refuse(await enter(governor), busy(1000))
    before = trio.lowlevel.current_statistics().tasks_living
    with trio.move_on_after(1):
        await enter(governor)
    await quiet()

    assert is_clean(governor)
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert trio.current_time() < 100


@deterministic(seeds=20)
async def test_one_task_keeps_time_for_all() -> None:
    """A hundred calls wait for the end of a pause with one task between them, besides their own."""
    governor = make()
    governor.refuse(await enter(governor), busy(50))

    async def call() -> None:
        place = await enter(governor)
        governor.accept(place)
        governor.give_back(place)

    async with trio.open_nursery() as nursery:
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(100):
            nursery.start_soon(call)
        await quiet()
        assert trio.lowlevel.current_statistics().tasks_living == before + 100 + 1
    assert is_clean(governor)


@deterministic(seeds=100)
async def test_the_end_with_a_full_queue() -> None:
    """Whoever waits gets an error, whoever comes later too, and nothing is left; a place that is out still comes back."""
    governor = make(cap=1)
    held = await enter(governor)
    errors: list[str] = []

    async def call() -> None:
        try:
            await enter(governor)
        except ProviderError as error:
            errors.append(error.kind)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(call)
        await quiet()
        nursery.start_soon(governor.aclose)
    await call()
    governor.give_back(held)

    assert errors == ["connection_error"] * 11
    assert is_clean(governor)


@deterministic(seeds=30)
async def test_what_it_tells() -> None:
    """A pause, its end and each change of the limit are events of the system, named by the host."""
    runtime = Runtime("test")
    governor = make(runtime=runtime)
    async with runtime.bus.subscribe() as events:
        places = [await enter(governor) for _ in range(4)]
        governor.refuse(places.pop(), busy(2))
        for place in places:
            governor.give_back(place)
        governor.give_back(await enter(governor))
        runtime.bus.close()
        told: list[Any] = [event async for event in events]

    kinds = [type(event) for event in told]
    assert kinds == [ProviderPausedEvent, ProviderLimitChangedEvent, ProviderResumedEvent]
    assert {(event.path, event.governor) for event in told} == {("/", "host.example")}
    assert (told[1].was, told[1].limit) == (None, 2)
    assert 2 <= told[0].seconds <= 2.5


@deterministic(seeds=10)
async def test_statistics() -> None:
    """Limit, flight, queue by path, pause and what has been so far."""
    governor = make(cap=2)
    first, second = await enter(governor), await enter(governor)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter, governor, Waiter("/team/a"))
        await quiet()
        now = governor.statistics()
        assert (now.limit, now.in_flight, now.queue, now.pause) == (2, 2, ("/team/a",), 0)
        governor.refuse(first, busy(4))
        now = governor.statistics()
        assert (now.limit, now.in_flight, now.granted, now.refused) == (1, 1, 2, 1)
        assert 4 <= now.pause <= 5
        nursery.cancel_scope.cancel()
    governor.give_back(second)

    assert governor.is_idle is False
    assert "host.example" in repr(governor)


# Which governor.


def endpoint(
    key: str | None, url: str = "https://api.example/v1/chat/completions", name: str = "authorization"
) -> Endpoint:
    """Make an endpoint with a key."""
    headers = (("accept", "text/event-stream"), *(((name, key),) if key else ()))
    return Endpoint(url, headers)


async def test_one_for_each_key_and_host() -> None:
    """Another path of the same host is the same; another key, header of a key, scheme, port or host is not."""
    governors = Governors(Runtime("test"))
    one = governors.governor_of(endpoint("Bearer a"))

    assert governors.governor_of(endpoint("Bearer a", "https://API.example/v2/messages")) is one
    others = [
        governors.governor_of(other)
        for other in (
            endpoint("Bearer b"),
            endpoint("Bearer a", name="x-api-key"),
            endpoint(None),
            endpoint("Bearer a", "http://api.example/v1"),
            endpoint("Bearer a", "https://api.example:8443/v1"),
            endpoint("Bearer a", "https://other.example/v1"),
            endpoint("Bearer a", "https://api.example/v1?key=b"),
        )
    ]
    assert len({id(governor) for governor in (one, *others)}) == 8
    assert [other.name for other in others[:2]] == ["api.example#2", "api.example#3"]


async def test_no_key_is_kept() -> None:
    """Neither the governors nor what they tell of themselves hold a credential."""
    import gc

    secret = "sk-" + "very-secret-0123456789"
    governors = Governors(Runtime("test"))
    governor = governors.governor_of(endpoint(f"Bearer {secret}"))
    seen = [repr(governor), repr(governors), repr(governor.statistics()), repr(list(governors._kept))]

    assert not any(secret in text for text in seen)
    assert not any(isinstance(held, str) and secret in held for held in gc.get_referents(governors, governor))


async def test_a_local_server_without_a_key_is_asked_by_all_at_once() -> None:
    """It has a queue of its own, and no limit by key; once it refuses, the rules are those of everybody."""
    governor = Governors(Runtime("test")).governor_of(endpoint(None, "http://127.0.0.1:11434/v1"))
    places = [governor.try_enter() for _ in range(500)]

    first, *others = [place for place in places if place is not None]
    assert len(others) == 499
    governor.refuse(first, busy(60))
    for place in others[:200]:
        governor.accept(place)
    assert governor.statistics().limit == 100


async def test_the_governors_that_are_kept_have_a_bound() -> None:
    """Idle ones are forgotten; one that is in use stays."""
    governors = Governors(Runtime("test"))
    used = governors.governor_of(endpoint("Bearer used"))
    place = used.try_enter()
    assert place is not None
    for number in range(MAX_KEPT):
        governors.governor_of(endpoint(f"Bearer {number}", f"https://host-{number}.example/v1"))

    assert len(governors.statistics()) < MAX_KEPT
    assert governors.governor_of(endpoint("Bearer used")) is used
    used.give_back(place)


def test_two_runs_have_a_governor_each() -> None:
    """What one `trio.run` has learned dies with it, and its places too."""
    from tinyagent_actors.providers._governors import current_governors

    async def pause() -> int:
        governor = current_governors().governor_of(endpoint("Bearer a"))
        with pytest.raises(ProviderError):
            governor.refuse(await enter(governor), busy(1000))
            await enter(governor, Waiter("/", max_wait=60))
        return id(governor)

    assert [bool(trio.run(pause)) for _ in range(2)] == [True, True]
