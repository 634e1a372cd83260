"""Where the time of an agent run goes: each part done alone, as often as a run does it; the turn is what is left.

All of it is CPU of the whole process with all its threads, milliseconds a run. Parts done alone do not add up to the
last digit, so where the provider is nearly all of it the rest may come out below zero. The events are those of a real run, published
again with nobody listening, as in the benchmark.
"""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from benchmarks._agents import TOOLS, ask_once, one_stream
from benchmarks._child import Measured, print_measured
from tinyagent_actors import (
    ActorContext,
    AssistantMessage,
    ChildSpec,
    Event,
    System,
    ToolCall,
    ToolResultMessage,
    UserMessage,
    open_system,
)
from tinyagent_actors.messages import Message
from tinyagent_actors.tools import CallBatch

CALLS = tuple(ToolCall(f"call_{tool.name}", tool.name, {"text": "to be or not"}) for tool in TOOLS)
QUESTION: tuple[Message, ...] = (UserMessage("Count the words and the letters."),)
ANSWERED: tuple[Message, ...] = (
    *QUESTION,
    AssistantMessage(CALLS),
    *(ToolResultMessage(call.id, call.name, "4") for call in CALLS),
)
"""What the second request of a run holds; the endpoint answers it without calls."""

Part = Callable[[System, str], Awaitable[None]]


async def breakdown(base_url: str, engine: Any, at_once: str, rounds: str) -> None:
    """Measure each part; prints the milliseconds a run of each."""
    async with open_system() as system:
        told = await _events_of_a_run(system, base_url, engine)

        async def agent(system: System, name: str) -> None:
            await ask_once(system, name, base_url, engine)

        async def provider(_system: System, _name: str) -> None:
            for messages in (QUESTION, ANSWERED):
                await one_stream(base_url, engine, messages)

        async def tools(system: System, name: str) -> None:
            known = {tool.name: tool for tool in TOOLS}
            await CallBatch(CALLS, known, runtime=system.runtime, path=name, run=1, turn=1).wait()

        async def events(system: System, name: str) -> None:
            for kind, fields in told:
                system.runtime.bus.publish(kind, name, **fields)

        async def mailbox(system: System, name: str) -> None:
            ref = await system.start_child(ChildSpec(name, _echo, restart="temporary"))
            await ref.ask(name)
            await ref.stop()

        parts: dict[str, Part] = {
            "run": agent, "provider": provider, "tools": tools, "events": events, "mailbox": mailbox,
        }  # fmt: skip
        taken = {name: await _measure(system, part, int(at_once), int(rounds)) for name, part in parts.items()}
    total = taken.pop("run")
    taken["turn"] = total - sum(taken.values())
    print_measured(Measured(cpu=total, wall=0.0, threads=0, peak_mb=0.0, extra=taken))


async def _echo(ctx: ActorContext) -> None:
    async for message in ctx.messages():
        ctx.reply(message)


async def _events_of_a_run(system: System, base_url: str, engine: Any) -> list[tuple[type[Event], dict[str, Any]]]:
    """Give kind and fields of all events of one run but the deltas, which are only made where somebody listens."""
    header = {"seq", "wall_time", "monotonic_time", "path"}
    told = []
    async with system.subscribe("model") as subscription:
        await ask_once(system, "model", base_url, engine)
        async for event in subscription:
            if isinstance(event, Event) and event.type != "message_update":
                fields = {field.name: getattr(event, field.name) for field in attrs.fields(type(event)) if field.init}
                told.append((type(event), {name: fields[name] for name in fields.keys() - header}))
            if event.type == "actor_stopped":
                break
    return told


async def _measure(system: System, part: Part, at_once: int, rounds: int) -> float:
    """Milliseconds of CPU that one of them costs, so many at once; the first round warms up."""
    began = 0.0
    for number in range(rounds + 1):
        if number == 1:
            began = _cpu()
        async with trio.open_nursery() as nursery:
            for place in range(at_once):
                nursery.start_soon(part, system, f"{part.__name__}-{number}-{place}")
    return (_cpu() - began) / at_once / rounds * 1e3


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
