"""Steering and follow-ups of agents as actors: every receipt comes to one outcome."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing

from tinyagent_actors import (
    ActorStoppedError,
    Agent,
    AgentOptions,
    AgentRef,
    AgentSpec,
    Applied,
    Limits,
    MailboxFullError,
    Model,
    Receipt,
    Returned,
    TurnLimitError,
    ValueShapeError,
    open_system,
    tool,
)
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot
from tinyagent_actors.testing import CallSpec, Delivery, Endpoint, Reply, open_endpoint

CALL = Reply(tool_calls=[CallSpec(name="gate", arguments={})])


class Gate:
    """A tool that waits until a test lets it go on."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self.opened = trio.Event()

    def tool(self) -> Any:
        """Give the tool."""

        @tool
        async def gate() -> str:
            """Wait."""
            self.reached.set()
            await self.opened.wait()
            return "through"

        return gate


@asynccontextmanager
async def at_the_gate(
    *replies: Reply, **options: Any
) -> AsyncIterator[tuple[AgentRef, Gate, Endpoint, Callable[[], None]]]:
    """Have an agent that was asked and whose first call waits at the gate; leaving the block waits for the answer."""
    gate = Gate()
    async with open_endpoint([CALL, *replies]) as endpoint, open_system() as system, trio.open_nursery() as nursery:
        model = Model("m", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=model, tools=[gate.tool()], **options))
        asking = trio.CancelScope()

        async def ask() -> None:
            with asking, suppress(ActorStoppedError):
                await agent.ask("go")

        nursery.start_soon(ask)
        with trio.fail_after(30):
            await gate.reached.wait()
            yield agent, gate, endpoint, asking.cancel


def said(endpoint: Endpoint, number: int) -> list[str]:
    messages = endpoint.requests[number].json["messages"]
    return [message["content"] for message in messages if message["role"] == "user"]


async def test_steering_enters_at_the_next_request() -> None:
    """After the results of the calls, before the request; the receipt names the turn and the run."""
    async with at_the_gate(Reply(text="ok")) as (agent, gate, endpoint, _):
        receipt = agent.steer("in German")
        assert receipt.outcome is None
        gate.opened.set()

        assert await receipt.wait() == Applied(2, 1)
    roles = [message["role"] for message in endpoint.requests[1].json["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]


async def test_steering_does_not_wait_behind_work() -> None:
    """Prompts that are queued before it do not keep it: it enters the present run."""
    async with at_the_gate(Reply(text="ok"), Reply(text="queued")) as (agent, gate, endpoint, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "queued")
            await trio.testing.wait_all_tasks_blocked()
            receipt = agent.steer("first")
            gate.opened.set()

        assert receipt.outcome == Applied(2, 1)
        assert said(endpoint, 1) == ["go", "first"]


async def test_steering_while_the_model_says_its_last_word_is_not_lost() -> None:
    """The run goes on for another turn in the place of stopping; a follow-up comes after that."""
    receipts: list[Receipt] = []
    slow = Reply(text="x" * 100, delivery=Delivery(delay_between=0.02))
    async with open_endpoint([slow, Reply(text="two"), Reply(text="three")]) as endpoint:
        async with open_system() as system:
            agent: AgentRef = await system.start_child(
                AgentSpec("agent", model=Model("m", provider="custom", base_url=endpoint.url))
            )
            async with agent.stream("go") as events:
                async for event in events:
                    if event.type == "message_update" and not receipts:
                        receipts += [agent.follow_up("and then?"), agent.steer("shorter")]
                answer = await events.result()

    assert answer.text == "three"
    assert [receipt.outcome for receipt in receipts] == [Applied(3, 1), Applied(2, 1)]


@pytest.mark.parametrize(
    ("mode", "turns", "second"), [("one-at-a-time", [2, 3], ["go", "a", "b"]), ("all", [2, 2], ["go", "a", "b", "c"])]
)
async def test_modes(mode: str, turns: list[int], second: list[str]) -> None:
    """U01: one entry at a request, or all that are pending; an entry of several messages stays together."""
    async with at_the_gate(Reply(text="ok"), Reply(text="ok"), steering_mode=mode) as (agent, gate, endpoint, _):
        receipts = [agent.steer(["a", "b"]), agent.steer("c")]
        gate.opened.set()
        outcomes = [await receipt.wait() for receipt in receipts]

    assert [getattr(outcome, "turn", None) for outcome in outcomes] == turns
    assert said(endpoint, 1) == second


async def test_no_more_than_64_are_pending() -> None:
    """The 65th comes back at once; the others enter."""
    async with at_the_gate(Reply(text="ok"), steering_mode="all") as (agent, gate, endpoint, _):
        receipts = [agent.steer(str(number)) for number in range(65)]
        assert receipts[64].outcome == Returned("full")
        assert receipts[63].outcome is None
        gate.opened.set()
        await receipts[0].wait()

    assert len(said(endpoint, 1)) == 65


@pytest.mark.parametrize("ending", ["interrupt", "stop", "kill", "asker"])
async def test_what_is_pending_is_given_back_when_the_run_is_cut(ending: str) -> None:
    """By an interrupt, the agent's stop or end, or an asker that goes away: with the reason, never lost."""
    async with at_the_gate() as (agent, _, endpoint, cancel):
        receipts = [agent.steer("shorter"), agent.follow_up("and then?")]
        if ending == "kill":
            agent.kill()
        elif ending == "asker":
            cancel()
        else:
            await getattr(agent, ending)()
        outcomes = [await receipt.wait() for receipt in receipts]
        cancel()

    assert outcomes == [Returned("interrupted"), Returned("interrupted")]
    assert endpoint.statistics().requests == 1


async def test_a_limit_takes_nothing_out_of_the_queues() -> None:
    """What the run never came to is given back."""
    receipts: list[Receipt] = []
    gate = Gate()
    gate.opened.set()
    async with open_endpoint([CALL]) as endpoint, open_system() as system:
        model = Model("m", provider="custom", base_url=endpoint.url)
        agent: AgentRef = await system.start_child(
            AgentSpec("agent", model=model, tools=[gate.tool()], limits=Limits(turns=1))
        )
        async with agent.stream("go") as events:
            async for event in events:
                if event.type == "tool_execution_start":
                    receipts += [agent.steer("shorter"), agent.follow_up("more")]
            with pytest.raises(TurnLimitError):
                await events.result()

        assert [receipt.outcome for receipt in receipts] == [Returned("ended"), Returned("ended")]


async def test_without_a_run() -> None:
    """An idle agent gives it back, so does one that is gone; if a prompt lies unread, it waits for that run."""
    async with open_endpoint([Reply(text="ok")]) as endpoint, open_system() as system:
        agent: AgentRef = await system.start_child(
            AgentSpec("agent", model=Model("m", provider="custom", base_url=endpoint.url))
        )
        assert agent.steer("shorter").outcome == Returned("idle")
        await agent.tell("go")
        receipt = agent.steer("in German")
        with trio.fail_after(5):
            assert await receipt.wait() == Applied(1, 1)
            await endpoint.wait_for(lambda now: now.requests == 1)
        await agent.stop()
        assert agent.follow_up("later").outcome == Returned("gone")
        with pytest.raises(ValueShapeError):
            agent.steer(7)

    assert said(endpoint, 0) == ["go", "in German"]


async def test_what_waited_for_a_run_to_come_is_given_back_by_an_interrupt() -> None:
    """Its prompt was withdrawn before it was read."""
    async with open_system() as system:
        agent: AgentRef = await system.start_child(AgentSpec("agent", model=Model("m", provider="custom")))
        await trio.testing.wait_all_tasks_blocked()
        mailbox = agent.address.mailbox
        unread = Envelope("go", None, ReplySlot(agent.path, math.inf, agent.address.runtime.dead_letters))
        mailbox.offer(unread)
        held = agent.steer("held")
        assert mailbox.withdraw(unread)
        assert held.outcome is None
        assert await agent.interrupt() is False

        assert held.outcome == Returned("interrupted")


async def test_a_cancelled_wait_for_a_receipt_changes_nothing() -> None:
    """The message stays pending, and others may wait as well."""
    async with at_the_gate(Reply(text="ok")) as (agent, gate, _, _cancel):
        receipt = agent.steer("shorter")
        with trio.move_on_after(0) as scope:
            await receipt.wait()
        assert scope.cancelled_caught
        gate.opened.set()

        assert isinstance(await receipt.wait(), Applied)


async def test_the_agent_of_a_script_keeps_what_is_pending_for_its_next_run() -> None:
    """Its queues are its own: they are cleared by name, and a full one is an error."""
    async with open_endpoint([Reply(text="a"), Reply(text="b"), Reply(text="c")]) as endpoint:
        agent = Agent(AgentOptions(steering_mode="all"))
        agent.set_model(Model("m", provider="custom", base_url=endpoint.url))
        cleared = agent.follow_up("never")
        agent.clear_all_queues()
        first, second = agent.steer("one"), agent.follow_up("two")
        await agent.prompt("go")

        assert cleared.outcome == Returned("cleared")
        assert (first.outcome, second.outcome) == (Applied(1, 1), Applied(2, 1))
        for number in range(64):
            agent.steer(str(number))
        with pytest.raises(MailboxFullError):
            agent.steer("one too many")
