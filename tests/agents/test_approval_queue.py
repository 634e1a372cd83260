"""Whoever's ask lies unread at an agent that waits for an approval. The numbers are those of `tests/tools/test_approval.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.agents._scripted import Say, agent_spec
from tests.tools._parked import DELETE, asked, delete, ran
from tinyagent_actors import ApprovalRequest, System, open_system, tool


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


@pytest.fixture
async def system(autojump_clock: trio.testing.MockClock) -> AsyncIterator[System]:
    async with open_system() as system:
        yield system


async def parked(system: System) -> tuple[ApprovalRequest, ...]:
    """Wait until the call of a `Crowd` is parked."""
    await trio.sleep(2)
    return await asked(system)


class Crowd:
    """An agent `low` whose call is parked after 2 s, and agents that ask it through a tool with 10 s, a turn of 12 s, a run of 15 s."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.answers: dict[str, str] = {}

    async def open(self, *, capacity: int = 64) -> Any:
        parks = Say("", DELETE.calls, seconds=2)
        spec = agent_spec("low", [parks, Say("one"), Say("two"), Say("three")], delete)
        return await self.system.start_child(attrs.evolve(spec, mailbox_capacity=capacity))

    async def ask_low(self) -> None:
        self.answers["first"] = (await self.system.child("low").ask("go")).text

    async def ask_through(self, name: str) -> None:
        @tool(timeout=10)
        async def delegate() -> str:
            """Ask the agent below."""
            return str((await self.system.child("low").ask("and me")).text)

        limits = {"turn_seconds": 12, "run_seconds": 15}
        said = [Say("", (("delegate", {}),)), Say(f"{name} done")]
        ref = await self.system.start_child(agent_spec(name, said, delegate, **limits))
        answer = await ref.ask("go")
        self.answers[name] = answer.text


async def test_an_ask_that_lay_there_before_stands(autojump_clock: trio.testing.MockClock, system: System) -> None:
    """Q04: an ask that lies unread at an agent waits on account of the call that is parked there: the clocks of whoever asked stand with it."""
    crowd = Crowd(system)
    low = await crowd.open()
    async with trio.open_nursery() as nursery:
        await low.tell("wait")
        nursery.start_soon(crowd.ask_through, "mid")
        (request,) = await parked(system)
        await trio.sleep(3000)
        assert crowd.answers == {}
        system.approve(request.id)

    assert crowd.answers == {"mid": "mid done"}


async def test_an_ask_that_comes_while_it_is_parked_stands(
    autojump_clock: trio.testing.MockClock, system: System
) -> None:
    """Q04: an ask that comes while the call is parked stands, too; when the call goes on, what was left of its time runs."""
    crowd = Crowd(system)
    await crowd.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.ask_low)
        (request,) = await parked(system)
        nursery.start_soon(crowd.ask_through, "mid")
        await trio.sleep(3000)
        assert crowd.answers == {}
        system.approve(request.id)

    assert crowd.answers == {"first": "one", "mid": "mid done"}


async def test_an_ask_that_waits_for_room_stands(autojump_clock: trio.testing.MockClock, system: System) -> None:
    """Q04: where the mailbox is full, whoever waits for room in it stands as well."""
    crowd = Crowd(system)
    low = await crowd.open(capacity=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.ask_low)
        (request,) = await parked(system)
        await low.tell("in the queue")
        nursery.start_soon(crowd.ask_through, "mid")
        await trio.sleep(3000)
        assert crowd.answers == {}
        system.approve(request.id)

    assert crowd.answers == {"first": "one", "mid": "mid done"}


async def test_time_runs_again_when_the_call_goes_on(autojump_clock: trio.testing.MockClock, system: System) -> None:
    """Q04: it stands for the time of the wait, no longer: an agent that is slow afterwards is too slow."""
    crowd = Crowd(system)
    said = [DELETE, Say("one", seconds=11), Say("two")]
    await system.start_child(agent_spec("low", said, delete))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.ask_low)
        (request,) = await asked(system)
        nursery.start_soon(crowd.ask_through, "mid")
        await trio.sleep(3000)
        system.approve(request.id)
        await trio.sleep(10.5)
        assert crowd.answers == {"mid": "mid done"}  # its tool has timed out, and its model was told

    assert crowd.answers == {"first": "one", "mid": "mid done"}


async def test_an_ask_that_is_withdrawn_stands_no_longer(
    autojump_clock: trio.testing.MockClock, system: System
) -> None:
    """Q04, Q08: whoever gives up an ask that lies there has its time again: nothing of the pause is left on the clocks of its run."""
    crowd = Crowd(system)
    await crowd.open()

    @tool(timeout=30)
    async def try_it() -> str:
        """Ask the agent below, for two seconds of the user's own."""
        with trio.move_on_after(2):
            return str((await system.child("low").ask("and me")).text)
        await trio.sleep(60)
        return "slept"

    said = [Say("", (("try_it", {}),)), Say("done")]
    mid = await system.start_child(agent_spec("mid", said, try_it, run_seconds=500))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.ask_low)
        (request,) = await parked(system)
        began = trio.current_time()
        answer = await mid.ask("go")
        assert answer.text == "done"
        assert trio.current_time() - began == pytest.approx(32)  # 2 s of the user's own, and 30 s of the tool
        system.approve(request.id)


async def test_an_agent_that_is_killed_while_it_is_parked_frees_those_that_wait(
    autojump_clock: trio.testing.MockClock, system: System
) -> None:
    """Q08: the pause ends with the run: the next incarnation takes up what lay there, on time that runs."""
    crowd = Crowd(system)
    low = await crowd.open()
    async with trio.open_nursery() as nursery:
        await low.tell("wait")
        nursery.start_soon(crowd.ask_through, "mid")
        await parked(system)
        low.kill()

    assert crowd.answers == {"mid": "mid done"}
