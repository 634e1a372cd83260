"""`pipe_to_self`: results of background tasks as messages; and no task that outlives its actor."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import settle, start
from tinyagent_actors import (
    ActorContext,
    ActorDiedError,
    ActorRef,
    AskCycleError,
    PipedFailure,
    PipedValue,
    open_system,
)
from tinyagent_actors.actors import current_cell
from tinyagent_actors.events import SubscriberFailedEvent


async def later(seconds: float, value: object) -> object:
    """Give the value, or raise it, after a while."""
    await trio.sleep(seconds)
    if isinstance(value, BaseException):
        raise value
    return value


async def pipes(ctx: ActorContext, seen: list[Any]) -> None:
    """Start what it is told; keep what comes of it, and when."""
    began = trio.current_time()
    async for message in ctx.messages():
        match message:
            case (seconds, value):
                ctx.pipe_to_self(later, seconds, value)
            case _:
                seen.append((trio.current_time() - began, message))


async def test_results_come_as_messages(autojump_clock: trio.testing.MockClock) -> None:
    """Values and failures, as they end; the actor reads on meanwhile; a failure touches nobody else."""
    seen: list[Any] = []
    error = ValueError("boom")
    async with open_system() as system:
        ref = await start(system, pipes, seen)
        for work in ((2, "late"), (1, error), (0, "early"), "between"):
            await ref.tell(work)
        await trio.sleep(5)
        assert system.child("actor", ActorRef).incarnation == 1

    found = dict(seen)
    assert seen[-2:] == [(1, PipedFailure(error)), (2, PipedValue("late"))]
    assert [message for time, message in seen if time == 0].count(PipedValue("early")) == 1
    assert len(seen) == 4
    assert found[1].error is error


async def test_on_done_makes_the_message(autojump_clock: trio.testing.MockClock) -> None:
    """It is called in the actor's own task, when the result is read; what it raises, the actor raises."""
    seen: list[Any] = []

    def name(result: PipedValue[Any] | PipedFailure) -> tuple[str, object, object]:
        return ("done", result.value if isinstance(result, PipedValue) else result.error, trio.lowlevel.current_task())

    def fail(_result: object) -> object:
        raise ValueError("a poor mapping")

    async def maps(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            ctx.pipe_to_self(later, 1, "value", on_done=name)
            ctx.pipe_to_self(later, 2, "value", on_done=fail)
        async for message in ctx.messages():
            ctx.reply(None)
            seen.append((*message[:2], message[2] is trio.lowlevel.current_task()))

    async with open_system() as system:
        ref = await start(system, maps)
        ended = await ref.wait_stopped()
        await settle()

    assert seen == [("done", "value", True)]
    assert isinstance(ended.error, ValueError)


@pytest.mark.parametrize("end", ["return", "crash", "kill", "stop"])
async def test_a_task_ends_with_its_incarnation(end: str, autojump_clock: trio.testing.MockClock) -> None:
    """S65, S52: it is cancelled, and the end is told when it is gone, its cleanup included; nothing of it comes to the next."""
    order: list[str] = []

    async def tidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            order.append("task ended")

    async def works(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            ctx.pipe_to_self(tidy)
        async for message in ctx.messages():
            if message == "return":
                return
            if message == "crash":
                raise ValueError("boom")
            order.append(f"next: {message}")

    async with open_system() as system:
        ref = await start(system, works)
        await settle()
        if end == "kill":
            ref.kill()
        elif end == "stop":
            await ref.stop()
        else:
            await ref.tell(end)
        ended = await ref.wait_stopped()
        order.append("end told")
        await trio.sleep(10)

        assert ended.reason == {"return": "normal", "crash": "error", "kill": "killed", "stop": "shutdown"}[end]
        assert system.leftovers().total == 0
    assert order == ["task ended", "end told"]


async def test_whoever_asked_hears_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """S59: of the crash, not when the background tasks of the one that crashed have ended."""

    async def tidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async def works(ctx: ActorContext) -> None:
        ctx.pipe_to_self(tidy)
        async for _ in ctx.messages():
            await trio.sleep(1)
            raise ValueError("boom")

    async with open_system() as system:
        ref = await start(system, works, restart="temporary")
        began = trio.current_time()
        with pytest.raises(ActorDiedError):
            await ref.ask("crash")
        heard = trio.current_time() - began
        await ref.wait_stopped()

        assert (heard, trio.current_time() - began) == (1, 4)


async def test_an_unread_result_is_not_the_next_incarnations(autojump_clock: trio.testing.MockClock) -> None:
    """S65: what had come and was not read goes with the one that asked for it."""
    seen: list[Any] = []

    async def works(ctx: ActorContext) -> None:
        if ctx.ref.incarnation == 1:
            ctx.pipe_to_self(later, 0, "unread")
            ctx.started()
            await trio.sleep(1)
            raise ValueError("boom")
        seen.extend([message async for message in ctx.messages()])

    async with open_system() as system:
        await start(system, works)
        await trio.sleep(5)
        assert system.child("actor", ActorRef).incarnation == 2

    assert seen == []


async def test_a_task_that_does_not_end_holds_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """S32: a killed actor whose task swallows the cancel is given up after its time, and stands among the leftovers."""
    released = trio.Event()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await released.wait()

    async def works(ctx: ActorContext) -> None:
        ctx.pipe_to_self(stubborn)
        async for _ in ctx.messages():
            pass

    async with open_system() as system:
        ref = await start(system, works, restart="temporary")
        await settle()
        ref.kill()
        with trio.fail_after(20):
            ended = await ref.wait_stopped()
        assert (ended.reason, ended.abandoned) == ("killed", True)
        assert system.leftovers().names == ("actor /actor",)
        released.set()
        await settle()

        assert system.leftovers().total == 0


async def test_what_a_task_asks_closes_no_circle() -> None:
    """S60: the actor reads on, so it may be asked back; its handler's own ask still closes one."""
    answers: list[Any] = []

    async def back(ctx: ActorContext, others: dict[str, ActorRef]) -> None:
        async for message in ctx.messages():
            try:
                ctx.reply(await others["front"].ask(message))
            except AskCycleError as error:
                ctx.reply(error.cycle)

    async def front(ctx: ActorContext, others: dict[str, ActorRef]) -> None:
        async for message in ctx.messages():
            match message:
                case "beside":
                    ctx.pipe_to_self(others["back"].ask, "question")
                case "handler":
                    ctx.reply(await others["back"].ask("question"))
                case PipedValue(value):
                    answers.append(value)
                case _:
                    ctx.reply("answer")

    others: dict[str, ActorRef] = {}
    async with open_system() as system:
        others["back"] = await start(system, back, others, name="back")
        others["front"] = await start(system, front, others, name="front")
        await others["front"].tell("beside")
        await settle()

        assert answers == ["answer"]
        assert await others["front"].ask("handler") == ("/back", "/front", "/back")
        assert len(system.runtime.wait_graph) == 0


async def test_a_task_is_at_its_actor() -> None:
    """It finds the actor, its system and the event that led to it; what it tells, the actor tells."""
    found: list[Any] = []

    async def look() -> None:
        found.append(current_cell())

    async def works(ctx: ActorContext) -> None:
        ctx.started()
        event = ctx.cell.publish(SubscriberFailedEvent, subscriber="before", error=None)
        ctx.pipe_to_self(look)
        async for message in ctx.messages():
            ctx.reply(None)
            found.append((message, ctx.cell.event == event))

    async with open_system() as system:
        ref = await start(system, works)
        await settle()

        assert found == [ref._cell, (PipedValue(None), True)]


async def test_none_is_started_at_the_end() -> None:
    """A task that would start another while its actor ends is refused, as is anybody later."""
    refused: list[str] = []
    contexts: list[ActorContext] = []

    async def again(ctx: ActorContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with pytest.raises(RuntimeError, match="starts no background task"):
                ctx.pipe_to_self(later, 0, None)
            refused.append("ending")

    async def works(ctx: ActorContext) -> None:
        contexts.append(ctx)
        ctx.pipe_to_self(again, ctx)
        async for _ in ctx.messages():
            pass

    async with open_system() as system:
        ref = await start(system, works)
        await settle()
        await ref.stop()
        with pytest.raises(RuntimeError, match="has ended"):
            contexts[0].pipe_to_self(later, 0, None)

    assert refused == ["ending"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_is_fatal_in_a_task_stops_the_system(kind: type[BaseException]) -> None:
    """S49: it is nobody's result: ordered stop, then out of `open_system`."""
    seen: list[Any] = []
    with pytest.raises(kind):
        async with open_system() as system:
            ref = await start(system, pipes, seen)
            await ref.tell((0, kind()))
            with trio.fail_after(5):
                await trio.sleep_forever()

    assert seen == []


async def test_stopping_oneself_from_a_task_ends_both() -> None:
    """S39: the task and its actor are cancelled; the call does not return."""
    returned: list[str] = []

    async def suicidal(ctx: ActorContext) -> None:
        await ctx.ref.stop()
        returned.append("returned")

    async def works(ctx: ActorContext) -> None:
        ctx.pipe_to_self(suicidal, ctx)
        async for _ in ctx.messages():
            pass

    async with open_system() as system:
        ref = await start(system, works)
        with trio.fail_after(5):
            ended = await ref.wait_stopped()

    assert (ended.reason, returned) == ("shutdown", [])


async def test_an_ask_that_fails_in_a_task_is_a_failure() -> None:
    """With its own error, whatever it was; the actor that asked lives."""
    seen: list[Any] = []

    async def dies(ctx: ActorContext) -> None:
        async for _ in ctx.messages():
            raise ValueError("boom")

    async def asks(ctx: ActorContext, other: ActorRef) -> None:
        ctx.pipe_to_self(other.ask, "die")
        async for message in ctx.messages():
            ctx.reply(None)
            seen.append(type(message.error))

    async with open_system() as system:
        other = await start(system, dies, name="other", restart="temporary")
        await start(system, asks, other, name="asks")
        await settle()

    assert seen == [ActorDiedError]
