"""What a user's type checker has to accept: the public face, used as the README does. Checked by pyright and mypy, not run."""

from __future__ import annotations

import attrs
import trio

from tinyagent_actors import (
    ActorContext,
    ActorRef,
    AgentRef,
    AgentSpec,
    Applied,
    AssistantMessage,
    ChildSpec,
    KeySticky,
    Model,
    PoolRef,
    Receipt,
    Returned,
    SupervisorRef,
    Via,
    conflate,
    open_system,
    pool,
    supervisor,
    tool,
)


@attrs.frozen
class Place:
    """What an agent may be asked for."""

    name: str


@tool(timeout=10)
async def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


async def counter(ctx: ActorContext, start: int = 0) -> None:
    """Add up what it is told."""
    total = start
    async for message in ctx.messages():
        total += message
        ctx.reply(total)


async def main() -> None:
    """Use the main names."""
    async with open_system(name="demo") as system:
        spec = AgentSpec("writer", model=Model.parse("openrouter:openai/gpt-5.4-mini"), tools=[word_count])
        team: SupervisorRef = await system.start_child(
            supervisor("team", children=[ChildSpec("counter", counter, args=(10,)), spec])
        )
        writer: AgentRef = team.child("writer", AgentRef)
        with trio.fail_after(2):
            answer: AssistantMessage = await writer.ask("Describe Trio in one line.")
        async with writer.stream("And Erlang?") as events:
            async for event in events:
                print(event.type)
        readers: PoolRef = await system.start_child(pool("readers", ChildSpec("reader", counter, redeliver=1), size=4))
        router = KeySticky(lambda: system.members("readers/*"), key=str)
        named: ActorRef = system.whereis("/readers/reader-1")
        via: Via = system.via("reader")
        system.register("reader", named)
        system.join("readers/all", named)
        sent: int = system.publish("readers/*", 1).sent
        await readers.tell(sent)
        await router.tell(readers.statistics().depth)
        await via.tell(2)
        stopped: bool = await writer.interrupt("user pressed Esc")
        receipt: Receipt = writer.steer("shorter")
        became: Applied | Returned = await receipt.wait()
        place: Place = await writer.ask_typed("Where?", Place)
        print(became, place.name)
        async with system.subscribe("team/**", policy=conflate(256)) as subscription:
            async for seen in subscription:
                print(seen.type, answer.text, stopped)
