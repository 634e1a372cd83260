"""What a user's type checker has to accept of typed actors, and what it has to reject. Checked by pyright and mypy, not run.

A line that is to be rejected says so to both: mypy with ``type: ignore`` and pyright with ``pyright: ignore``; each checker is
set to complain of an ignore that it does not need, so that what is accepted by mistake fails the check.
"""

from __future__ import annotations

import attrs

from tinyagent_actors import (
    Actor,
    ActorContext,
    ActorRef,
    AgentRef,
    AgentSpec,
    ChildSpec,
    Model,
    PipedFailure,
    PipedValue,
    SupervisorRef,
    handles,
    open_system,
    supervisor,
)


@attrs.frozen
class Deposit:
    """Put money in."""

    amount: int


@attrs.frozen
class Close:
    """End it."""


class Account(Actor[Deposit | Close, int]):
    """A class actor that says what it takes and answers."""

    def __init__(self, balance: int) -> None:
        """Open it."""
        self.balance = balance

    @handles
    async def deposit(self, message: Deposit) -> int:
        """Add."""
        self.balance += message.amount
        self.ctx.send_after(5, Close())
        return self.balance

    @handles(Close, state="open")
    async def close(self, _message: Close) -> int:
        """End."""
        self.finish()
        return self.balance


async def counter(ctx: ActorContext[int, str], start: int = 0) -> None:
    """Be a function actor that says what it takes and answers."""
    total = start
    async for message in ctx.messages():
        total += message
        ctx.reply(str(total))
        ctx.reply(total)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def anything(ctx: ActorContext) -> None:
    """Be a function actor that does not say."""
    ctx.pipe_to_self(fetch, 3, on_done=shout)
    below = await ctx.start_child(ChildSpec("below", counter))
    below.tell_nowait("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await (await ctx.start_child(supervisor("team"))).delete_child("nobody")
    async for message in ctx.messages():
        ctx.reply(message)


async def fetch(number: int) -> str:
    """Fetch."""
    return str(number)


def shout(result: PipedValue[str] | PipedFailure) -> str:
    """Make a message of a result."""
    return result.value.upper() if isinstance(result, PipedValue) else "failed"


async def main() -> None:
    """Use typed refs, and plain ones."""
    async with open_system() as system:
        account = await system.start_child(ChildSpec("account", Account, args=(10,)))
        typed: ActorRef[Deposit | Close, int] = account
        balance: int = await account.ask(Deposit(5))
        await account.tell(Close())
        await account.tell("close")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        account.tell_nowait(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        word: str = await account.ask(Deposit(5))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

        ref = await system.start_child(ChildSpec("counter", counter, args=(10,)))
        total: str = await ref.ask(1)
        await ref.ask("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        wider: ActorRef[int | str, str] = ref  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        narrower: ActorRef[bool, str] = ref

        plain: ActorRef = ref
        await plain.tell("anything")
        loose = await system.start_child(ChildSpec("loose", anything))
        print(await loose.ask(object()), balance, word, total, wider, narrower, typed)

        team = await system.start_child(supervisor("team", children=[ChildSpec("counter", counter)]))
        child: ActorRef[int, str] = team.child("counter", ActorRef[int, str])
        again: SupervisorRef = team
        agent: AgentRef = await again.start_child(
            AgentSpec("writer", model=Model.parse("openrouter:openai/gpt-5.4-mini"))
        )
        print(child, agent)
