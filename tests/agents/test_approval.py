"""Calls of agents that wait to be approved: in a system, at any depth, and without one. The numbers are those of `tests/tools/test_approval.py`."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.agents._scripted import MODEL, Say, ScriptedCall, agent_spec
from tests.agents.test_spawn_tools import Kind, script, spawn, wait
from tests.tools._parked import DELETE, asked, delete, ran, told
from tinyagent_actors import (
    Agent,
    AgentOptions,
    AgentSpec,
    AgentTool,
    AgentToolResult,
    ApprovalAnsweredError,
    ApprovalNotFoundError,
    ApprovalRequestedEvent,
    ApprovalResolvedEvent,
    Budget,
    Model,
    StreamOptions,
    ToolExecutionEndEvent,
    open_system,
    spawn_tools,
    tool,
)
from tinyagent_actors.testing import CallSpec, Reply, open_endpoint


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


async def test_a_call_is_parked_until_it_is_approved(autojump_clock: trio.testing.MockClock) -> None:
    """Q01: It does not run before the yes; then it runs once. A pair of events tells of it, with who answered and how long it took."""
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.start_child(agent_spec("a", [DELETE, Say("Gone.")], delete))
        async with system.subscribe("a") as events:
            answers: list[str] = []

            async def ask() -> None:
                answers.append((await ref.ask("go")).text)

            nursery.start_soon(ask)
            (request,) = await asked(system)
            assert ran == []
            await trio.sleep(7)
            system.approve(request.id)
            await trio.testing.wait_all_tasks_blocked()
            first, second = told(events, ApprovalRequestedEvent, ApprovalResolvedEvent)

        assert system.approvals() == ()
    assert (ran, answers) == (["a.txt"], ["Gone."])
    assert (request.path, request.tool_name, request.arguments) == ("/a", "delete", {"path": "a.txt"})
    assert request.waiting == ("/a",)
    assert (first.approval, first.arguments, first.waiting) == (request.id, {"path": "a.txt"}, ("/a",))
    assert (second.approval, second.decision, second.by, second.seconds) == (request.id, "approved", "outside", 7)
    assert (first.path, first.run, first.turn) == ("/a", 1, 1)


async def test_a_cancel_while_parked_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Q08, T24: an interrupt takes the request back: none waits, the clocks run, the call has its one result, and a late yes is an error."""
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.start_child(agent_spec("a", [DELETE, Say("Next.")], delete))
        async with system.subscribe("a") as events:
            nursery.start_soon(ref.ask, "go")
            (request,) = await asked(system)
            await ref.interrupt("never mind")
            assert system.approvals() == ()
            with pytest.raises(ApprovalAnsweredError, match="cancelled"):
                system.approve(request)
            resolved, ended = told(events, ApprovalResolvedEvent, ToolExecutionEndEvent)
        assert (await ref.ask("next")).text == "Next."

    assert (resolved.decision, ended.outcome, ran) == ("cancelled", "cancelled", [])
    assert ended.result.content[0].text == "cancelled: never mind"
    assert system.leftovers().total == 0
    assert trio.current_time() == 0


async def test_a_stop_while_parked_holds_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """Q08: Leaving the system ends a parked call at once; no time passes."""
    async with trio.open_nursery() as nursery:
        async with open_system() as system:
            ref = await system.start_child(agent_spec("a", [DELETE], delete))
            nursery.start_soon(ref.tell, "go")
            await asked(system)

    assert (system.approvals(), system.leftovers().total, ran, trio.current_time()) == ((), 0, [], 0)


async def test_it_works_at_any_depth(autojump_clock: trio.testing.MockClock) -> None:
    """Q09: An agent asks an agent that asks one: the request shows who waits, the clocks of all stand, and the answer comes from the top."""

    def delegate_to(name: str) -> Any:
        @tool(timeout=20)
        async def delegate() -> str:
            """Ask the agent below."""
            return str((await system.child(name).ask("go")).text)

        return delegate

    limits = {"turn_seconds": 12, "run_seconds": 15}
    call = Say("", (("delegate", {}),))
    async with open_system() as system, trio.open_nursery() as nursery:
        await system.start_child(agent_spec("low", [DELETE, Say("low")], delete, **limits))
        await system.start_child(agent_spec("mid", [call, Say("mid")], delegate_to("low"), **limits))
        top = await system.start_child(agent_spec("top", [call, Say("top")], delegate_to("mid"), **limits))
        answers: list[str] = []

        async def ask() -> None:
            answers.append((await top.ask("go")).text)

        nursery.start_soon(ask)
        (request,) = await asked(system)
        await trio.sleep(3000)
        system.approve(request.id)

    assert request.waiting == ("/low", "/mid", "/top")
    assert (ran, answers) == (["a.txt"], ["top"])


async def test_whoever_waits_for_an_agent_that_it_started_stands_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Q09: the wait for a spawned agent is an edge like an ask: while a call of that one is parked, the run that waits has its time left."""
    answer, _ = script([("delete", {"path": "a.txt"})])
    helper: Any = Kind("helper", answer, (delete,))
    said = [Say("", (spawn(),)), Say("", (wait("helper-1", seconds=500),)), Say("done")]
    async with open_system() as system, trio.open_nursery() as nursery:
        spec = agent_spec("top", said, *spawn_tools(helper), run_seconds=20, turn_seconds=10)
        ref = await system.start_child(spec)
        answers: list[str] = []

        async def ask() -> None:
            answers.append((await ref.ask("go")).text)

        nursery.start_soon(ask)
        (request,) = await asked(system)
        await trio.sleep(60)
        assert answers == []
        system.approve(request)
        await trio.sleep(5)
        assert answers == ["done"]


async def test_the_seconds_of_a_budget_do_not_pass(autojump_clock: trio.testing.MockClock) -> None:
    """Q04: time in which a call is parked is none in which the run goes on: a budget of five seconds outlives an hour of waiting."""
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.start_child(
            agent_spec("a", [Say("", DELETE.calls, seconds=2), Say("Gone.", seconds=2)], delete)
        )
        answers: list[str] = []

        async def ask() -> None:
            answers.append((await ref.ask("go", budget=Budget(seconds=5))).text)

        nursery.start_soon(ask)
        await trio.sleep(3000)
        system.approve(system.approvals()[0])
        await trio.sleep(3)
        assert answers == ["Gone."]


async def test_a_parked_call_holds_no_place_at_its_provider(engine: str) -> None:
    """Q01: with one call at a time to a provider, another agent is answered while the first one's tool call is parked."""
    parks = Reply(tool_calls=[CallSpec(name="delete", arguments={"path": "x"})])
    async with open_endpoint([parks, Reply(text="I am not held up."), Reply(text="Gone.")]) as endpoint:
        async with open_system() as system, trio.open_nursery() as nursery:
            model = Model("scripted", provider="custom", base_url=endpoint.url)
            options = StreamOptions(engine=engine, max_in_flight=1)
            first = await system.start_child(AgentSpec("first", model=model, tools=[delete], options=options))
            second = await system.start_child(AgentSpec("second", model=model, options=options))
            async with system.subscribe("first") as events:
                nursery.start_soon(first.ask, "go")
                async for event in events:
                    if isinstance(event, ApprovalRequestedEvent):
                        break
            with trio.fail_after(30):
                answer = await second.ask("and you?")
            system.approve(event.approval)

    assert answer.text == "I am not held up."
    assert ran == ["x"]


async def test_a_users_own_deadline_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    """Q08: A plain scope of whoever asked is not paused: it withdraws the ask, and with it the request."""
    async with open_system() as system:
        ref = await system.start_child(agent_spec("a", [DELETE], delete))
        with trio.move_on_after(60) as scope:
            await ref.ask("go")
        await trio.testing.wait_all_tasks_blocked()

        assert (scope.cancelled_caught, system.approvals(), ran) == (True, (), [])


def an_agent(script: list[Say], *tools: Any) -> Agent:
    call = ScriptedCall(script)

    async def stream_fn(model: Any, context: Any, options: Any) -> Any:
        return _Response(call, model, context)

    agent = Agent(AgentOptions(stream_fn=stream_fn))
    agent.set_model(MODEL)
    agent.set_tools(tools)
    return agent


@attrs.define(eq=False)
class _Response:
    call: ScriptedCall
    model: Any
    context: Any

    async def __aiter__(self) -> Any:
        return
        yield

    async def result(self) -> Any:
        async with self.call(self.model, self.context, lambda *_: None) as stream:
            return await stream.result()


async def test_without_a_system_the_agent_is_asked(autojump_clock: trio.testing.MockClock) -> None:
    """Q10: `Agent.approvals`, `approve` and `deny`: the same, for a script; a tool of the seed's shape can want it, too."""

    async def execute(tool_call_id: str, args: Any, signal: Any, on_update: Any) -> AgentToolResult:
        ran.append(args)
        return AgentToolResult("done")

    seed = AgentTool("seed", execute=execute, approval="always")
    agent = an_agent([Say("", (("delete", {"path": "x"}), ("seed", {}))), Say("So be it.")], delete, seed)
    async with trio.open_nursery() as nursery:
        answers: list[str] = []

        async def prompt() -> None:
            answers.append(await agent.prompt_text("go"))

        nursery.start_soon(prompt)
        first, second = sorted(await asked(agent, 2), key=lambda request: request.tool_name)
        assert (first.path, second.tool_name) == ("/", "seed")
        agent.deny(first, "no")
        agent.approve(second.id)

    assert (answers, ran, agent.approvals()) == (["So be it."], [{}], ())
    assert "denied: no" in agent.state.messages[2].text


async def test_an_agent_in_a_tool_is_seen_at_the_top(autojump_clock: trio.testing.MockClock) -> None:
    """Q09: An `Agent` that a tool runs parks its call in the system's registry, too; the system's subscribers hear of it under the agent that waits."""
    inner = an_agent([DELETE, Say("inner")], delete)

    @tool(timeout=5)
    async def delegate() -> str:
        """Run an agent."""
        return await inner.prompt_text("go")

    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.start_child(agent_spec("top", [Say("", (("delegate", {}),)), Say("top")], delegate))
        async with system.subscribe("top") as events:
            nursery.start_soon(ref.ask, "go")
            (request,) = await asked(system)
            await trio.sleep(1000)
            assert inner.approvals() == (request,)
            system.approve(request)
            await trio.testing.wait_all_tasks_blocked()
            pair = told(events, ApprovalRequestedEvent, ApprovalResolvedEvent)

    assert request.waiting == ("/", "/top")
    assert [(event.type, event.path) for event in pair] == [
        ("approval_requested", "/top"),
        ("approval_resolved", "/top"),
    ]
    assert ran == ["a.txt"]


async def test_another_agents_request_is_not_found_here(autojump_clock: trio.testing.MockClock) -> None:
    """Q10, Two agents of one script: each answers its own, by numbers that are never the same."""
    one, two = an_agent([DELETE, Say("one")], delete), an_agent([DELETE, Say("two")], delete)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prompt, "go")
        nursery.start_soon(two.prompt, "go")
        (mine,), (yours,) = await asked(one), await asked(two)
        with pytest.raises(ApprovalNotFoundError):
            one.approve(yours.id)
        one.approve(mine)
        two.approve(yours)

    assert len(ran) == 2
