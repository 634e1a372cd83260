"""Budgets, against a real endpoint; where time matters, with a scripted model under the virtual clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio.testing

from tests._kernel import told
from tests.agents._answers import AnswersCall, agent, calls, says
from tinyagent_actors import (
    ActorStoppedError,
    AgentRef,
    AgentSpec,
    AssistantMessage,
    Budget,
    BudgetExceededError,
    BudgetExceededEvent,
    BudgetSettledEvent,
    BudgetWaitingEvent,
    Context,
    Event,
    MessageUpdateEvent,
    Model,
    SpecError,
    StartFailedError,
    StreamOptions,
    SupervisorRef,
    System,
    ToolResultMessage,
    open_system,
    supervisor,
    tool,
    with_budget,
)
from tinyagent_actors.actors import Subscription
from tinyagent_actors.agents._estimate import estimate_input
from tinyagent_actors.messages import UserMessage
from tinyagent_actors.providers import load_models
from tinyagent_actors.testing import CallSpec, Endpoint, Reply, Stall, open_endpoint

EventT = TypeVar("EventT", bound=Event)


@tool
async def count(text: str) -> int:
    """Count words."""
    return len(text.split())


def estimate(*prompts: str) -> int:
    """Give what a prompt counts that holds these messages."""
    return estimate_input(Context(messages=[UserMessage(text) for text in prompts], tools=[count.definition]))


PROMPT = estimate("go")


def reply(text: str = "ok", *, prompt: int = 1, completion: int = 1) -> Reply:
    return Reply(text=text, usage={"prompt_tokens": prompt, "completion_tokens": completion})


def spec(name: str, endpoint: Endpoint, engine: str = "httpx", **options: Any) -> AgentSpec:
    model = Model("scripted", provider="custom", base_url=endpoint.url)
    options.setdefault("options", StreamOptions(engine=engine))  # type: ignore[arg-type]
    return AgentSpec(name, model=model, tools=[count], **options)


async def start(system: System, endpoint: Endpoint, engine: str = "httpx", **options: Any) -> AgentRef:
    ref: AgentRef = await system.start_child(spec("agent", endpoint, engine, **options))
    return ref


def asked_for(endpoint: Endpoint, place: int = 0) -> int:
    found: int = endpoint.requests[place].json["max_tokens"]
    return found


async def wait_for(events: Subscription, kind: type[EventT]) -> EventT:
    """Read events until one of a kind comes."""
    with trio.fail_after(20):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError("the subscription ended")


# Reserve and settle.


async def test_an_answer_is_clipped_to_what_is_left(engine: str) -> None:
    """G01: the request says as `max_tokens` what the prompt leaves of the budget; what it did not use is there again."""
    async with open_endpoint([reply(prompt=100, completion=200), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, engine, budget=Budget(tokens=1000))
        await agent.ask("go")
        await agent.ask("go")

        assert asked_for(endpoint) == 1000 - PROMPT
        assert asked_for(endpoint, 1) == 1000 - 300 - (300 + 1)


async def test_no_max_tokens_is_sent_where_there_is_room() -> None:
    """G01: where all that is wanted fits, the request is as it would be without a budget."""
    async with open_endpoint([reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, budget=Budget(tokens=1_000_000))
        await agent.ask("go")

        assert "max_tokens" not in endpoint.requests[0].json


async def test_under_256_left_is_a_refusal() -> None:
    """G02: nothing is sent; the error says whose budget, and of what; a run's budget ends the run, and the agent lives."""
    async with open_endpoint([reply(), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint)
        with pytest.raises(BudgetExceededError) as raised:
            await agent.ask("go", budget=Budget(tokens=PROMPT + 255))
        assert (raised.value.path, raised.value.which) == ("/agent", "tokens")
        assert endpoint.statistics().requests == 0

        await agent.ask("go", budget=Budget(tokens=estimate("go", "go") + 256))
        assert asked_for(endpoint) == 256


async def test_who_wants_less_than_256_may_have_less() -> None:
    """G02: an agent whose answers are to be short is refused where there is no room for one."""
    async with open_endpoint([reply()]) as endpoint, open_system() as system:
        options = StreamOptions(engine="httpx", max_tokens=20)
        agent = await start(system, endpoint, options=options)
        await agent.ask("go", budget=Budget(tokens=PROMPT + 20))
        with pytest.raises(BudgetExceededError):
            await agent.ask("go", budget=Budget(tokens=2 + 1 + 19))

        assert asked_for(endpoint) == 20


def priced(folder: Path) -> StreamOptions:
    """Give options with which the price of the model is known: 2 and 10 USD per million."""
    row = '[[models]]\nprovider = "custom"\nid = "scripted"\nprice = { input = 2, output = 10 }\n'
    (folder / "models.toml").write_text(row)
    return StreamOptions(engine="httpx", models=load_models(folder / "models.toml"))


@pytest.mark.parametrize("unit", ["tokens", "cost", "turns", "tool_calls", "seconds"])
async def test_none_is_unlimited_and_zero_refuses(unit: str, tmp_path: Path) -> None:
    """G03: of each unit."""
    wants = Reply(tool_calls=[CallSpec(name="count", arguments={"text": "a"})])
    async with open_endpoint([wants, reply()] * 2) as endpoint, open_system() as system:
        agent = await start(system, endpoint, options=priced(tmp_path))
        await agent.ask("go", budget=Budget(**{unit: None}))
        sent = endpoint.statistics().requests
        with pytest.raises(BudgetExceededError) as raised:
            await agent.ask("go", budget=Budget(**{unit: 0}))

        assert raised.value.which == unit
        assert endpoint.statistics().requests == sent + (unit == "tool_calls")


@pytest.mark.parametrize("field", ["tokens", "turns", "tool_calls", "cost", "seconds"])
@pytest.mark.parametrize("value", [-1, True, "1", float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(field: str, value: object) -> None:
    """The field is named."""
    with pytest.raises(SpecError, match=f"budget.{field}"):
        Budget(**{field: value})


async def test_a_run_that_is_cut_short_counts_by_the_estimate() -> None:
    """G04: nobody told what an interrupted answer took, so what was reserved counts, marked; an answer of 429 took nothing."""
    cut = Reply(text="x" * 100, fault=Stall(after_chunks=3))
    async with open_endpoint([cut, Reply.rate_limited(None)]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, budget=Budget(tokens=100_000), retries=0)
        async with system.subscribe("agent") as events, trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "go")
            await wait_for(events, MessageUpdateEvent)
            await agent.interrupt()
        lease = agent.lease()
        assert lease is not None
        assert (lease.used.estimated, lease.used.tokens) == (1, PROMPT + 4096)

        answer = await agent.ask("go")
        assert answer.error is not None
        after = agent.lease()
        assert after is not None
        assert (after.used.estimated, after.used.tokens, after.used.turns) == (1, PROMPT + 4096, 2)
        assert (after.reserved_tokens, after.reserved_pico) == (0, 0)


async def test_what_a_request_takes_beyond_its_reserve_is_shown() -> None:
    """G05: the overdraft stands in the lease and in the event; the next request is refused."""
    async with open_endpoint([reply(prompt=900, completion=900), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, budget=Budget(tokens=1000))
        async with system.subscribe("agent") as events:
            await agent.ask("go")
            (settled,) = told(events, BudgetSettledEvent)
        assert (settled.tokens, settled.overdraft, settled.estimated) == (1800, 800, False)
        lease = agent.lease()
        assert lease is not None
        assert lease.used.overdraft_tokens == 800

        with pytest.raises(BudgetExceededError):
            await agent.ask("go")


# Running out.


async def test_a_spent_life_budget_ends_the_agent() -> None:
    """G06: its asker gets the error, the agent exits with it, is not restarted, and its sibling goes on."""
    async with open_endpoint([reply(completion=800), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, budget=Budget(tokens=1000))
        sibling: AgentRef = await system.start_child(spec("sibling", endpoint))
        await agent.ask("go")
        with pytest.raises(BudgetExceededError) as raised:
            await agent.ask("go")
        exited = await agent.wait_stopped()
        await agent.wait_gone()

        assert raised.value == exited.error == BudgetExceededError("/agent", "tokens")
        assert exited.reason == "error"
        with pytest.raises(ActorStoppedError):
            await agent.ask("go")
        assert (await sibling.ask("go")).text == "ok"


async def test_a_life_budget_holds_across_restarts() -> None:
    """G07: what the incarnation before has used is used."""
    async with open_endpoint([reply(completion=800), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, budget=Budget(tokens=1000), on_restart="fresh")
        await agent.ask("go")
        agent.kill()
        await agent.wait_stopped()
        with pytest.raises(BudgetExceededError):
            await agent.ask("go")
        await agent.wait_gone()
        lease = agent.lease()

        assert endpoint.statistics().requests == 1
        assert lease is None
        assert system.spending().tokens == 801


async def test_running_out_cancels_exactly_that_subtree() -> None:
    """G08: of two teams one runs out: all of it ends, with the error, and is not restarted; the other team notices nothing."""
    stalled = Reply(text="x" * 100, fault=Stall(after_chunks=3))

    def policy(request: Any) -> Reply:
        return stalled if "stall" in request.user_text else reply(completion=3000)

    async with open_endpoint(policy) as endpoint, open_system() as system:
        children = [spec("a", endpoint), spec("b", endpoint)]
        red: SupervisorRef = await system.start_child(
            with_budget(supervisor("red", children=children), Budget(turns=3, tokens=100_000))
        )
        blue: SupervisorRef = await system.start_child(supervisor("blue", children=children))
        async with trio.open_nursery() as nursery, system.subscribe("**") as events:
            outcomes: list[object] = []
            are_two = trio.Event()

            async def ask(ref: AgentRef, text: str) -> None:
                try:
                    outcomes.append(await ref.ask(text))
                except BudgetExceededError as error:
                    outcomes.append(error)
                if len(outcomes) == 2:
                    are_two.set()

            red_b, blue_b = red.child("b", AgentRef), blue.child("b", AgentRef)
            nursery.start_soon(ask, red_b, "stall")
            nursery.start_soon(ask, blue_b, "stall")
            with trio.fail_after(10):
                await endpoint.wait_for(lambda now: now.open_streams == 2)
            red_a = red.child("a", AgentRef)
            await red_a.ask("go")
            await red_a.ask("go")
            lease = next(lease for lease in system.leases() if lease.path == "/red")
            assert (lease.used.turns, lease.own.turns) == (3, 0)

            nursery.start_soon(ask, red_a, "go")
            assert (await wait_for(events, BudgetWaitingEvent)).under_way == 1
            assert outcomes == []
            await red_b.interrupt()
            exited = await red.wait_stopped()
            await red.wait_gone()
            with trio.fail_after(20):
                await are_two.wait()
            assert [type(outcome) for outcome in outcomes] == [AssistantMessage, BudgetExceededError]

            assert exited.error == BudgetExceededError("/red", "turns")
            assert exited.cause is not None
            assert exited.cause.source == "budget"
            assert [event.path for event in told(events, BudgetExceededEvent)] == ["/red"]
            assert [info.state for info in blue.which_children()] == ["running", "running"]
            assert endpoint.statistics().open_streams == 1
            await blue_b.interrupt()
        assert system.leftovers().total == 0


async def test_who_does_not_fit_waits_for_what_is_under_way() -> None:
    """G09: a reserve is an upper bound: what it gives back may be enough, so nobody is refused because of it."""
    slow = trio.Event()

    async def policy(request: Any) -> Reply:
        if "first" in request.user_text:
            await slow.wait()
        return reply()

    async with open_endpoint(policy) as endpoint, open_system() as system:
        team = with_budget(supervisor("team", children=[spec("a", endpoint), spec("b", endpoint)]), Budget(tokens=5000))
        ref: SupervisorRef = await system.start_child(team)
        done: list[str] = []

        async def ask(name: str, text: str) -> None:
            await ref.child(name, AgentRef).ask(text)
            done.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "a", "first")
            with trio.fail_after(10):
                await endpoint.wait_for(lambda now: now.requests == 1)
            async with system.subscribe("team/b") as events:
                nursery.start_soon(ask, "b", "second")
                await wait_for(events, BudgetWaitingEvent)
            assert (endpoint.statistics().requests, done) == (1, [])
            slow.set()

        assert done == ["a", "b"]
        assert system.spending("team").turns == 2


async def test_the_turns_of_a_budget() -> None:
    """G10: as many model requests, and no further one."""
    wants = Reply(tool_calls=[CallSpec(name="count", arguments={"text": "a"})])
    async with open_endpoint([wants] * 4) as endpoint, open_system() as system:
        agent = await start(system, endpoint)
        with pytest.raises(BudgetExceededError) as raised:
            await agent.ask("go", budget=Budget(turns=2))

        assert raised.value.which == "turns"
        assert endpoint.statistics().requests == 2


async def test_calls_beyond_the_budget_do_not_run() -> None:
    """G11: of one message all run or none; each has its one result, and the next request is valid."""
    wants = Reply(tool_calls=[CallSpec(name="count", arguments={"text": text}) for text in "ab"])
    async with open_endpoint([wants, wants, reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint)
        async with system.subscribe("agent") as events:
            with pytest.raises(BudgetExceededError) as raised:
                await agent.ask("go", budget=Budget(tool_calls=3))
            ran = [event for event in told(events) if event.type == "tool_execution_end"]
        await agent.ask("go on")
        results = [message for message in endpoint.requests[2].json["messages"] if message["role"] == "tool"]

        assert raised.value.which == "tool_calls"
        assert len(ran) == 2
        assert ["not run" in result["content"] for result in results] == [False, False, True, True]


# Costs.


async def test_a_cost_with_an_unknown_price_refuses_at_the_start() -> None:
    """G12: of the agent, of an agent below a team with such a budget, and of a run; nothing is sent."""
    async with open_endpoint([reply()]) as endpoint, open_system() as system:
        with pytest.raises(StartFailedError) as raised:
            await start(system, endpoint, budget=Budget(cost=1.0))
        assert isinstance(raised.value.cause, SpecError)
        assert "custom:scripted" in str(raised.value.cause)
        with pytest.raises(StartFailedError):
            await system.start_child(with_budget(supervisor("team", children=[spec("a", endpoint)]), Budget(cost=1.0)))
        agent = await start(system, endpoint)
        with pytest.raises(SpecError, match=r"budget\.cost"):
            await agent.ask("go", budget=Budget(cost=1.0))

        assert endpoint.statistics().requests == 0


async def test_the_cost_of_a_budget(tmp_path: Path) -> None:
    """G13: an answer is clipped to what the money buys; what was spent is known to the millionth of a millionth."""
    async with open_endpoint([reply(prompt=1000, completion=100), reply()]) as endpoint, open_system() as system:
        agent = await start(system, endpoint, options=priced(tmp_path), budget=Budget(cost=0.01))
        await agent.ask("go")
        used = system.spending("agent")

        assert used.pico == 1000 * 2_000_000 + 100 * 10_000_000
        assert used.cost == 0.003
        assert asked_for(endpoint) == (10_000_000_000 - PROMPT * 2_000_000) // 10_000_000


# Time.


async def test_the_seconds_of_a_run(autojump_clock: trio.testing.MockClock) -> None:
    """G14: the run ends when they are over, and not before; the agent lives."""
    async with open_system() as system:
        ref: AgentRef = await system.start_child(agent("slow", says(seconds=10)))
        began = trio.current_time()
        with pytest.raises(BudgetExceededError) as raised:
            await ref.ask("go", budget=Budget(seconds=4))

        assert (raised.value.which, trio.current_time() - began) == ("seconds", 4)
        assert (await ref.ask("go", budget=Budget(seconds=11))).text == "ok"


async def test_the_seconds_of_a_life_are_those_in_which_a_run_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    """G14: idle time does not count, and two runs at once count once."""
    async with open_system() as system:
        team = supervisor("team", children=[agent("a", says(seconds=10)), agent("b", says(seconds=10))])
        ref: SupervisorRef = await system.start_child(with_budget(team, Budget(seconds=25)))
        for _ in range(2):
            await trio.sleep(100)
            async with trio.open_nursery() as nursery:
                for name in "ab":
                    nursery.start_soon(ref.child(name, AgentRef).ask, "go")
        began = trio.current_time()
        await ref.child("a").tell("go")
        exited = await ref.wait_stopped()

        assert trio.current_time() - began == 5
        assert exited.error == BudgetExceededError("/team", "seconds")


async def test_waiting_for_an_approval_takes_no_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """G18: the seconds of a run, of its agent and of its team stand still while a call is parked, and go on afterwards."""

    @tool(approval="always")
    async def careful() -> str:
        """Do it."""
        await trio.sleep(2)
        return "done"

    async def answer(context: Context) -> AssistantMessage:
        is_done = isinstance(context.messages[-1], ToolResultMessage)
        return await says("finished", seconds=2)(context) if is_done else calls("careful")

    async with open_system() as system, trio.open_nursery() as nursery:
        team = with_budget(supervisor("team", children=[agent("a", answer, tools=(careful,))]), Budget(seconds=9))
        ref: SupervisorRef = await system.start_child(team)
        texts: list[str] = []

        async def ask() -> None:
            texts.append((await ref.child("a", AgentRef).ask("go", budget=Budget(seconds=5))).text)

        async def approve() -> None:
            await trio.sleep(1000)
            system.approve(system.approvals()[0].id)

        for _ in range(2):
            nursery.start_soon(approve)
            await ask()
        assert texts == ["finished"] * 2
        assert [lease.seconds for lease in system.leases() if lease.path == "/team"] == [8]
        nursery.start_soon(approve)
        with pytest.raises(BudgetExceededError, match="/team: the budget of seconds"):
            await ask()


# The tree.


async def test_a_run_pays_for_what_it_asks_others(autojump_clock: trio.testing.MockClock) -> None:
    """G15: the budget of a run bounds the runs that its tools ask for, wherever those agents stand; they survive it."""

    @tool
    async def ask_other() -> str:
        """Ask the other."""
        return (await system.child("other", AgentRef).ask("help")).text

    async def boss(context: Context) -> AssistantMessage:
        is_done = isinstance(context.messages[-1], ToolResultMessage)
        return await says("done")(context) if is_done else calls("ask_other")

    async with open_system() as system:
        other = AnswersCall(says(input=1000))
        await system.start_child(agent("other", other))
        ref: AgentRef = await system.start_child(agent("boss", boss, tools=(ask_other,)))
        await ref.ask("go", budget=Budget(turns=3))
        with pytest.raises(BudgetExceededError) as raised:
            await ref.ask("go", budget=Budget(turns=1))

        assert raised.value.path == "/boss"
        assert len(other.contexts) == 1
        assert (await system.child("other", AgentRef).ask("still there?")).text == "ok"
        assert system.spending("boss").tokens == 3 * 15
        assert system.spending("other").tokens == 2 * 1005
        assert system.spending().tokens == 3 * 15 + 2 * 1005


async def test_the_sum_of_a_subtree_holds_what_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    """G16: at any time, by any actor above; an agent that is gone is forgotten, what it used is not."""
    async with open_system() as system:
        team: SupervisorRef = await system.start_child(supervisor("team"))
        for number in range(3):
            child: AgentRef = await team.start_child(agent(f"a{number}", says(), restart="temporary"))
            await child.ask("go")
            await child.stop()

        assert system.spending("team").turns == system.spending("/").turns == 3
        assert [lease.path for lease in system.leases()] == ["/", "/team"]
