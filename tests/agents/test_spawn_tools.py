"""Agents that a model starts: bounded in depth and breadth, gone with whoever wanted them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio

from tests._kernel import settle
from tests.agents._answers import AnswersCall, agent, says
from tinyagent_actors import (
    ActorStartedEvent,
    AgentRef,
    AgentSpec,
    AssistantMessage,
    Budget,
    Context,
    Limits,
    Model,
    SpecError,
    System,
    ToolResultMessage,
    agent_tool,
    open_system,
    spawn_tools,
)
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.tools import Tool


@attrs.frozen
class Kind:
    """A kind of agents that answer from a function, where an `AgentSpec` stands else."""

    name: str
    answer: Callable[[Context], Awaitable[AssistantMessage]]
    tools: tuple[Tool, ...] = ()
    system_prompt: str = "scripted"
    restart: str = "permanent"

    def to_child_spec(self) -> Any:
        """Give the spec."""
        return agent(self.name, AnswersCall(self.answer), tools=self.tools, restart=self.restart)


def script(*steps: Any) -> tuple[Any, list[Any]]:
    """Give an answer that makes these calls one after the other, and where the results go.

    A step is a list of calls (name and arguments), or seconds to wait.
    """
    results: list[Any] = []
    made = iter(steps)

    async def answer(context: Context) -> AssistantMessage:
        for message in context.messages[::-1]:
            if not isinstance(message, ToolResultMessage):
                break
            results.append(message.text)
        for step in made:
            if isinstance(step, int | float):
                await trio.sleep(step)
                continue
            calls = tuple(ToolCall(f"c{len(results)}.{n}", name, args) for n, (name, args) in enumerate(step))
            return AssistantMessage(calls, "tool_use")
        return await says("done")(context)

    return answer, results


def spawn(prompt: str = "work", kind: str = "helper") -> tuple[str, dict[str, Any]]:
    return "spawn_agent", {"kind": kind, "prompt": prompt}


def wait(*names: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return "wait_for_agents", {"names": list(names), **arguments}


async def start(system: System, answer: Any, kind: Any, *args: Any, fan_out: int = 32) -> AgentRef:
    ref: AgentRef = await system.start_child(agent("boss", answer, *args, tools=spawn_tools(kind, fan_out=fan_out)))
    return ref


def children(ref: AgentRef) -> list[str]:
    own = ref.address.children
    return [] if own is None else [info.name for info in own.ref.which_children() if info.ref is not None]


async def test_spawn_wait_and_read(autojump_clock: object) -> None:
    """H01: what is spawned works side by side below its parent's path; waiting for all gives their answers."""
    answer, results = script([spawn(), spawn()], [wait("helper-1", "helper-2")])
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", says("found", seconds=10)))
        assert (await ref.ask("go")).text == "done"

        assert trio.current_time() == pytest.approx(10, abs=0.1)
        assert [json.loads(text)["state"] for text in results[:2]] == ["working", "working"]
        reports = json.loads(results[2])
        assert [(r["name"], r["state"], r["answer"]) for r in reports] == [
            ("helper-1", "idle", "found"),
            ("helper-2", "idle", "found"),
        ]
        assert sorted(children(ref)) == ["helper-1", "helper-2"]
        assert system.spending("boss").output == 2 * 5 + 5


async def test_waiting_has_a_deadline(autojump_clock: object) -> None:
    """H02: for any one it ends with the first; when the time is over those that work go on."""

    async def slow_or_quick(context: Context) -> AssistantMessage:
        return await says("found", seconds=100 if "slow" in context.messages[0].text else 5)(context)

    answer, results = script(
        [spawn("slow")],
        [spawn("quick")],
        [wait("helper-1", "helper-2", mode="any")],
        [wait("helper-1", seconds=20)],
        [("list_agents", {})],
    )
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", slow_or_quick))
        await ref.ask("go")
        assert trio.current_time() == pytest.approx(25, abs=0.1)

    assert [r["state"] for r in json.loads(results[2])] == ["working", "idle"]
    assert [r["state"] for r in json.loads(results[3])] == ["working"]
    assert [r["state"] for r in json.loads(results[4])] == ["working", "idle"]


async def test_slots_are_free_when_work_is_done(autojump_clock: object) -> None:
    """H03: more than the fan-out work is refused, and the model reads it; who has answered makes room, the oldest first."""
    answer, results = script(
        [spawn(), spawn()],
        [spawn()],
        [wait("helper-1", "helper-2")],
        [spawn(), spawn()],
        [wait("helper-3", "helper-4")],
    )
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", says("found", seconds=5)), fan_out=2)
        await ref.ask("go")

        assert "2 agents already" in results[2]
        assert sorted(children(ref)) == ["helper-3", "helper-4"]
        assert [r["state"] for r in json.loads(results[-1])] == ["idle", "idle"]


async def test_sending_interrupting_and_closing(autojump_clock: object) -> None:
    """H04: one that is idle works again, and remembers; one that works is interrupted, and stays; one that is closed is gone."""

    async def counts(context: Context) -> AssistantMessage:
        users = sum(message.role == "user" for message in context.messages)
        return await says(f"{users} prompts", seconds=10)(context)

    answer, results = script(
        [spawn()],
        [wait("helper-1")],
        [("send_to_agent", {"name": "helper-1", "prompt": "more"})],
        [wait("helper-1")],
        [("send_to_agent", {"name": "helper-1", "prompt": "more"})],
        [("interrupt_agent", {"name": "helper-1"})],
        [("close_agent", {"name": "helper-1"})],
        [wait("helper-1")],
    )
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", counts))
        await ref.ask("go")

        assert json.loads(results[3])[0]["answer"] == "2 prompts"
        assert json.loads(results[5])["state"] == "failed"
        assert "interrupted" in json.loads(results[5])["error"]
        assert results[6] == "helper-1 is gone"
        assert "helper-1" in results[7]
        assert "not a child" in results[7]
        assert children(ref) == []
        assert trio.current_time() == pytest.approx(20, abs=0.1)


async def test_an_interrupt_ends_those_who_work_for_the_run(autojump_clock: object) -> None:
    """H05: nothing goes on for an answer that nobody waits for; those who have answered stay."""
    answer, _ = script([spawn("quick")], [spawn("slow")], 30)

    async def slow_or_quick(context: Context) -> AssistantMessage:
        return await says("found", seconds=100 if "slow" in context.messages[0].text else 5)(context)

    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", slow_or_quick))
        with trio.move_on_after(20):
            await ref.ask("go")
        await trio.sleep(1)

        assert children(ref) == ["helper-1"]
        assert system.leftovers().total == 0


async def test_a_run_that_ends_well_leaves_them_working(autojump_clock: object) -> None:
    """H05: the next run finds them; they end with their parent."""
    answer, results = script([spawn()])
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", says("found", seconds=100)))
        await ref.ask("go")
        await trio.sleep(1)
        assert children(ref) == ["helper-1"]
        await ref.stop()
        await settle()

        assert trio.current_time() < 100
        assert system.leftovers().total == 0
    assert len(results) == 1


async def test_what_is_spawned_draws_on_the_budget(autojump_clock: object) -> None:
    """H06: of its parent's life, and of the run that spawned it: running out ends that run with all it has started."""
    answer, results = script([spawn(), spawn(), spawn()], [wait("helper-1", "helper-2", "helper-3")])
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", says("found", seconds=5)))
        with pytest.raises(Exception, match="budget of turns is spent"):
            await ref.ask("go", budget=Budget(turns=3))
        await trio.sleep(10)

        assert system.spending("boss").turns == 3
        assert len(results) <= 3
        assert (await ref.ask("again")).text == "done"


async def test_spawning_has_a_depth(autojump_clock: object) -> None:
    """H07: an agent five deep may start none, and none is started; its model reads why."""
    refused: list[str] = []

    def level(depth: int) -> Kind:
        async def answer(context: Context) -> AssistantMessage:
            last = context.messages[-1]
            if isinstance(last, ToolResultMessage):
                if "deep already" in last.text:
                    refused.append(f"level {depth}")
                elif "working" in last.text:
                    return AssistantMessage((ToolCall("w", *wait("helper-1", seconds=600)),), "tool_use")
                return await says("done")(context)
            return AssistantMessage((ToolCall("s", *spawn()),), "tool_use")

        tools = spawn_tools(level(depth + 1)) if depth < 7 else ()  # type: ignore[arg-type]
        return Kind("helper", answer, tools)

    deepest = 0
    async with open_system() as system, system.subscribe("**") as events:
        top = attrs.evolve(level(1), name="boss")
        ref: AgentRef = await system.start_child(top)
        await ref.ask("go")
        while (event := events.next_nowait()) is not None:
            if isinstance(event, ActorStartedEvent):
                deepest = max(deepest, event.path.count("/helper-"))

    assert refused == ["level 5"]
    assert deepest == 4


async def test_waiting_in_a_circle_is_refused(autojump_clock: object) -> None:
    """H08: a child that asks its parent waits for the parent's run; the parent that would wait for that child is told so."""

    async def asks_back(context: Context) -> AssistantMessage:
        if isinstance(context.messages[-1], ToolResultMessage):
            return await says("found")(context)
        return AssistantMessage((ToolCall("b", "ask_boss", {"prompt": "what?"}),), "tool_use")

    answer, results = script([spawn()], 1, [wait("helper-1", seconds=50)])
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", asks_back, (agent_tool("/boss"),)))
        with trio.fail_after(5):
            assert (await ref.ask("go")).text == "done"

        assert "/boss" in results[1]
        assert "helper-1" in results[1]


async def test_what_a_model_says_wrongly_is_told_to_it(autojump_clock: object) -> None:
    """An unknown kind or name, a mode that is none: error results."""
    answer, results = script(
        [spawn(kind="nobody")], [wait("helper-9")], [wait("helper-9", mode="some")], [("close_agent", {"name": "x"})]
    )
    async with open_system() as system:
        ref = await start(system, answer, Kind("helper", says()))
        await ref.ask("go")

    assert "helper" in results[0]
    assert "not a child" in results[1]
    assert "mode" in results[2]
    assert "not a child" in results[3]


def test_kinds_that_are_none_are_refused() -> None:
    """At least one, each of its own name; the fan-out is a number of at least 1."""
    spec = AgentSpec("a", model=Model("m"), limits=Limits(depth=2))
    for arguments in ((), (spec, spec)):
        with pytest.raises(SpecError, match="agents"):
            spawn_tools(*arguments)
    with pytest.raises(SpecError, match="fan_out"):
        spawn_tools(spec, fan_out=0)
