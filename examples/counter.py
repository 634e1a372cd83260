"""A plain actor that crashes and is started again."""

import trio

from tinyagent_actors import ActorDiedError, ChildSpec, open_system, supervisor


async def counter(ctx, start=0):
    """Add up what it is told; answer an ask with the total."""
    total = start
    async for message in ctx.messages():
        total += message
        ctx.reply(total)


async def main():
    """Count, crash, count again."""
    async with open_system(name="bank") as system:
        spec = ChildSpec("counter", counter, args=(10,), restart="permanent", shutdown=5)
        team = await system.start_child(supervisor("team", children=[spec]))
        ref = team.child("counter")
        await ref.tell(1)
        with trio.fail_after(2):
            print("total:", await ref.ask(5))
        try:
            await ref.ask("five")
        except ActorDiedError as error:
            print("it died:", error.cause)
        print("started again:", await ref.ask(5))


if __name__ == "__main__":
    trio.run(main)
