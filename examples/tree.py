"""A tree three levels deep that heals: a crash below is mended below, and what cannot be mended there is mended above."""

import trio
import trio.testing

from tinyagent_actors import (
    ActorCrashedEvent,
    ActorRestartedEvent,
    ActorStartedEvent,
    ActorStoppedEvent,
    ChildSpec,
    SupervisorGaveUpEvent,
    SupervisorRef,
    open_system,
    supervisor,
)

KINDS = (ActorStartedEvent, ActorRestartedEvent, ActorStoppedEvent, ActorCrashedEvent, SupervisorGaveUpEvent)


async def worker(ctx):
    """Do what it is told; "crash" is a bug."""
    async for message in ctx.messages():
        if message == "crash":
            raise RuntimeError("a bug")


def shop():
    """The pipeline's two stages depend on each other, so they are restarted together; the store depends on nobody."""
    stages = [ChildSpec("reader", worker), ChildSpec("parser", worker)]
    pipeline = supervisor("pipeline", strategy="one_for_all", children=stages, max_restarts=1, max_seconds=60)
    return supervisor("shop", strategy="one_for_one", children=[ChildSpec("store", worker), pipeline])


async def tell(events):
    """Print what happened since the last look."""
    await trio.testing.wait_all_tasks_blocked()
    while (event := events.next_nowait()) is not None:
        if isinstance(event, KINDS):
            print(f"  {event.path}: {event.type}")


async def main():
    """Start the tree, and have one leaf crash twice."""
    async with open_system() as system, system.subscribe("shop/**") as events:
        print("start")
        top = await system.start_child(shop())
        await tell(events)
        for attempt in ("first", "second"):
            print(f"{attempt} crash of the parser")
            parser = top.child("pipeline", SupervisorRef).child("parser")
            await parser.tell("crash")
            await parser.wait_stopped()
            await tell(events)


trio.run(main)
