"""A pool of workers that pull from one queue. One of them crashes; its work goes back and is done once."""

import trio

from tinyagent_actors import ActorRestartedEvent, ChildSpec, NoMembersError, open_system, pool

TEXTS = ["one", "two words", "now three words", "a bad byte \udc80 here", "five", "and six"]


async def counter(ctx, results):
    """Count the words of a text; what is not valid UTF-8 crashes whoever meets it first."""
    async for text in ctx.messages():
        if ctx.deliveries == 1:
            text.encode()
        else:
            print(f"delivery {ctx.deliveries} of {text!r}")
        results[text] = results.get(text, 0) + len(text.split())
        if len(results) == len(TEXTS):
            ctx.publish("done", "all of it")


async def foreman(ctx, done):
    """Hear when everything is done."""
    ctx.join("done")
    async for _ in ctx.messages():
        done.set()


async def main():
    """Count the words of all texts, each once."""
    results = {}
    async with open_system(name="words") as system:
        worker = ChildSpec("counter", counter, args=(results,), mailbox_capacity=2, redeliver=1)
        team = await system.start_child(pool("counters", worker, size=3))
        done = trio.Event()
        await system.start_child(ChildSpec("foreman", foreman, args=(done,)))
        async with system.subscribe("counters/*") as events:
            for text in TEXTS:
                await team.tell(text)  # waits while two texts lie in the queue
            with trio.fail_after(5):
                await done.wait()
                async for event in events:
                    if isinstance(event, ActorRestartedEvent):
                        print("one worker was started again")
                        break
        for text in TEXTS:
            print(f"{results[text]} words in {text!r}")
        for info in team.which_children():
            await team.terminate_child(info.name)
        try:
            await team.tell("one more")
        except NoMembersError as error:
            print(error)


if __name__ == "__main__":
    trio.run(main)
