"""How long a run, its turns and its calls may last, and which deadline it was."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.agents._runs import HANG, hang, make, quick, results, told
from tests.agents._scripted import Say, ScriptedCall, agent_spec
from tinyagent_actors import (
    AgentEndEvent,
    AssistantMessage,
    Context,
    DeadlineExceededError,
    Limits,
    Model,
    SpecError,
    ToolExecutionEndEvent,
    ToolTimeoutError,
    UserMessage,
    open_system,
    tool,
)
from tinyagent_actors._errors import BudgetExceededError
from tinyagent_actors.actors import CancelCause, Clock, current_clock
from tinyagent_actors.agents import Run, SummariseOldest
from tinyagent_actors.agents._recovery import Recovery
from tinyagent_actors.tools import ToolContext


@tool
async def hasty() -> None:
    """Have a deadline of its own."""
    with trio.fail_after(1):
        await trio.sleep_forever()


@pytest.mark.parametrize("fires", ["tool", "turn", "run", "tree"])
async def test_each_deadline_fires_alone_and_is_named(fires: str, autojump_clock: trio.testing.MockClock) -> None:
    """T22: tool < turn < run < tree: the result, the event and the error say which; only the tool's lets the run go on."""
    seconds = {name: 2.0 if name == fires else 100.0 for name in ("turn", "run", "tree")}
    slow = tool(timeout=2 if fires == "tool" else 100)(hang.function)
    spent = BudgetExceededError("/team", "seconds")
    run, events = make(
        ScriptedCall([HANG, Say("Then without it.")]),
        slow,
        above=(Clock("tree", seconds["tree"], path="/team", failure=spent),),
        turn_seconds=seconds["turn"],
        run_seconds=seconds["run"],
        soft_landing=None,
    )
    await run.execute(())

    errors = {
        "tool": None,
        "turn": DeadlineExceededError("turn", "/a"),
        "run": DeadlineExceededError("run", "/a"),
        "tree": spent,
    }
    ends = told(events, (ToolExecutionEndEvent, AgentEndEvent))
    whose = " of /team" if fires == "tree" else ""
    assert run.error == errors[fires]
    assert ends[-1].error == errors[fires]
    assert [(end.outcome, end.deadline) for end in ends[:-1]] == [("timed_out", fires)]
    assert ends[0].error == ToolTimeoutError("hang", fires, 2.0)
    assert results(run) == [f"timed out: ended by the {fires} deadline{whose} after 2 s"]
    assert trio.current_time() == 2


@attrs.define
class LateCall(ScriptedCall):
    """A `ModelCall` whose answers are whole only when more time has passed than there was, and no await tells of it."""

    clock: trio.testing.MockClock = attrs.field(kw_only=True)

    @asynccontextmanager
    async def __call__(self, model: Model, context: Context, publish: Callable[..., object]) -> AsyncIterator[Any]:
        async with ScriptedCall.__call__(self, model, context, publish) as stream:
            yield stream
            self.clock.jump(5)


async def test_a_turn_that_ends_as_its_time_is_over_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    """T22: where the deadline of a turn passes in the tick in which the last turn ends, the answer is there and the run is done."""
    run, _ = make(LateCall([Say("All of it.")], clock=autojump_clock), turn_seconds=3)
    await run.execute(())

    assert run.error is None
    assert run.last_message is not None
    assert run.last_message.stop_reason == "stop"


async def test_what_goes_on_after_such_a_turn_is_ended_by_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a run that goes on after a turn whose time was over by its end is ended at its next await, and that turn is named."""
    call = LateCall([Say("All of it."), Say("never")], clock=autojump_clock)
    run, events = make(call, turn_seconds=3, run_seconds=100)
    run.follow_ups.add((UserMessage("More."),))
    await run.execute(())

    assert run.error == told(events, AgentEndEvent)[0].error == DeadlineExceededError("turn", "/a")
    assert [message.text for message in run.transcript] == ["All of it.", "More.", ""]
    assert run.interrupted is None


async def test_what_lies_between_two_turns_is_in_no_turn(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the deadline of a turn that ended in time does not end what the run does before the next one."""

    class Slow(Recovery):
        async def compact(self, run: Run) -> None:
            await trio.sleep(10)

    run, _ = make(ScriptedCall([Say("First."), Say("Second.", seconds=2)]), turn_seconds=3, run_seconds=100)
    run.recovery = Slow(SummariseOldest())
    run.follow_ups.add((UserMessage("More."),))
    await run.execute(())

    assert run.error is None
    assert [message.text for message in run.transcript] == ["First.", "More.", "Second."]
    assert trio.current_time() == 22


async def test_an_interrupt_between_two_turns_is_one(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a compaction that is interrupted cleans up until after the run's deadline; the interrupt is what ended the run."""

    class Tidy(Recovery):
        async def compact(self, run: Run) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(4)

    run, events = make(ScriptedCall([]), run_seconds=4, soft_landing=None)
    run.recovery = Tidy(SummariseOldest())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.execute, ())
        await trio.sleep(2)
        run.interrupt(CancelCause("the user", "Esc was pressed", "interrupt"))

    (end,) = told(events, AgentEndEvent)
    assert (end.error, end.source) == (None, "interrupt")
    assert trio.current_time() == 6


async def test_an_outer_cancel_at_the_deadline_of_a_turn_passes_on(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a deadline that passes together with a scope of the caller's is told as the run's error; the cancel goes on to its scope."""
    run, events = make(ScriptedCall([Say("Half.", seconds=100)]), turn_seconds=2)
    with trio.move_on_after(2) as outer:
        await run.execute(())

    assert outer.cancelled_caught
    assert run.error == told(events, AgentEndEvent)[0].error == DeadlineExceededError("turn", "/a")


async def test_an_outer_cancel_before_the_deadline_is_one(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the tool cleans up until after all deadlines; what ended the run is the cancel from outside, and no deadline."""

    @tool(cleanup_grace=20)
    async def cleans_up() -> None:
        """Wait, then clean up."""
        try:
            await trio.sleep_forever()
        finally:
            await trio.sleep(10)

    run, events = make(ScriptedCall([Say("", (("cleans_up", {}),))]), cleans_up, turn_seconds=4, run_seconds=5)
    with trio.move_on_after(2) as outer:
        await run.execute(())

    assert outer.cancelled_caught
    assert run.error is None
    assert told(events, AgentEndEvent)[0].source == "outer"
    assert trio.current_time() == 12


async def test_an_interrupt_before_a_run_begins_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    """T16: a run that was interrupted before its first step asks no model for more than a moment, and keeps who did it."""
    call = ScriptedCall([Say("never", seconds=100)])
    run, _ = make(call, run_seconds=10)
    run.interrupt(CancelCause("user", "it is enough", "interrupt"))
    await run.execute(())

    assert run.error is None
    assert run.interrupted == CancelCause("user", "it is enough", "interrupt")
    assert trio.current_time() == 0


async def test_a_tools_own_too_slow_error_is_its_own(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a `fail_after` inside a tool is an error result like any other; no deadline is named, and the run goes on."""
    run, events = make(ScriptedCall([Say("", (("hasty", {}),)), Say("I see.")]), hasty, run_seconds=100)
    await run.execute(())

    (end,) = told(events, ToolExecutionEndEvent)
    assert (end.outcome, end.deadline, end.is_error) == ("finished", None, True)
    assert results(run) == ["TooSlowError"]
    assert run.error is None


async def test_the_partial_answer_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a deadline in the middle of an answer keeps what had come, marked `aborted`, and no further request is made."""
    call = ScriptedCall([Say("Half an answer", seconds=100), Say("never")])
    run, _ = make(call, turn_seconds=3)
    await run.execute(())

    (partial,) = run.transcript
    assert isinstance(partial, AssistantMessage)
    assert (partial.text, partial.stop_reason) == ("Half an answer", "aborted")
    assert run.error == DeadlineExceededError("turn", "/a")
    assert len(call.asked) == 1


async def test_each_turn_has_its_time_anew(autojump_clock: trio.testing.MockClock) -> None:
    """T22: three turns of two seconds each fit under a turn's three."""
    calls = [Say("", (("quick", {}),), seconds=2), Say("", (("quick", {}),), seconds=2), Say("So.", seconds=2)]
    run, _ = make(ScriptedCall(calls), quick, turn_seconds=3)
    await run.execute(())

    assert run.error is None
    assert trio.current_time() == 6


async def test_an_interrupt_before_the_deadline_is_one(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the tool cleans up until after all deadlines; what ended the run is who interrupted it, in result and event."""

    @tool
    async def tidy() -> None:
        """Take long to clean up."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)

    run, events = make(ScriptedCall([Say("", (("tidy", {}),))]), tidy, turn_seconds=3, run_seconds=4, soft_landing=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.execute, ())
        await trio.sleep(2)
        run.interrupt(CancelCause("the user", "Esc was pressed", "interrupt"))

    (end,) = told(events, AgentEndEvent)
    assert (end.error, end.by, end.why, end.source) == (None, "the user", "Esc was pressed", "interrupt")
    assert results(run) == ["cancelled: Esc was pressed"]


async def test_a_cancel_from_outside_is_told_as_one(autojump_clock: trio.testing.MockClock) -> None:
    """T22: a plain scope around the run ends it, and `Cancelled` passes on; the event says that it came from outside."""
    run, events = make(ScriptedCall([HANG]), hang, run_seconds=100)
    with trio.move_on_after(1) as scope:
        await run.execute(())

    (end,) = told(events, AgentEndEvent)
    assert scope.cancelled_caught
    assert (end.source, end.error) == ("outer", None)
    assert results(run) == ["timed out: ended by the caller deadline after 1 s"]


async def test_a_stubborn_tool_is_given_up_though_its_clock_was_paused(autojump_clock: trio.testing.MockClock) -> None:
    """T22: who waits for the batch hears that a deadline has moved, so the grace begins when the moved one has passed."""

    @tool(timeout=2)
    async def stubborn() -> None:
        """Park, then never end."""
        with current_clock.get().paused():
            await trio.sleep(10)
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    run, events = make(ScriptedCall([Say("", (("stubborn", {}),)), Say("So.")]), stubborn)
    await run.execute(())

    (end,) = told(events, ToolExecutionEndEvent)
    assert (end.outcome, end.deadline) == ("abandoned", "tool")
    assert trio.current_time() == 17
    await trio.sleep(200)


async def test_a_pause_below_reaches_every_waiting_ancestor(autojump_clock: trio.testing.MockClock) -> None:
    """T22: an agent asks an agent in a tool; while a call of the lower one is parked, the clocks of both stand, not a sibling's."""
    times: dict[str, float] = {}

    @tool(timeout=50)
    async def parks() -> str:
        """Hold its clocks for a while."""
        with current_clock.get().paused():
            await trio.sleep(1000)
        return "approved"

    @tool(timeout=20)
    async def delegate() -> str:
        """Ask the agent below."""
        answer = await system.child("below").ask("go")
        return str(answer.text)

    @tool(timeout=15)
    async def beside() -> None:
        """Go on beside it."""
        try:
            await trio.sleep_forever()
        finally:
            times["beside"] = trio.current_time()

    async with open_system() as system:
        below = agent_spec("below", [Say("", (("parks", {}),)), Say("Done below.")], parks, run_seconds=10)
        top = [Say("", (("delegate", {}), ("beside", {}))), Say("Done above.")]
        await system.start_child(below)
        ref = await system.start_child(agent_spec("top", top, delegate, beside, run_seconds=30, turn_seconds=25))
        answer = await ref.ask("go")

    assert answer.text == "Done above."
    assert times == {"beside": 15}


async def test_the_deadline_of_whoever_asked_is_named_below(autojump_clock: trio.testing.MockClock) -> None:
    """T21, T22: the tool above runs out of time: the run below ends by the deadline of that tool, named with its agent; both live on."""

    @tool(timeout=5)
    async def delegate() -> str:
        """Ask the agent below."""
        answer = await system.child("below").ask("go")
        return str(answer.text)

    async with open_system() as system:
        await system.start_child(agent_spec("below", [HANG, Say("again")], hang, soft_landing=None))
        ref = await system.start_child(agent_spec("top", [Say("", (("delegate", {}),)), Say("Well.")], delegate))
        async with system.subscribe("below") as events:
            answer = await ref.ask("go")
            ends = told(events, (ToolExecutionEndEvent, AgentEndEvent))
        assert (await system.child("below").ask("go")).text == "again"

    assert answer.text == "Well."
    assert ends[0].result.content[0].text == "timed out: ended by the tool deadline of /top after 5 s"
    assert ends[1].error == DeadlineExceededError("tool", "/top")


async def test_an_agent_below_lands_before_the_call_that_asked_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """T21: the time of a tool that asks an agent is that agent's too: it comes to its last turn in time, and the tool has a result."""

    @tool(timeout=10)
    async def delegate() -> str:
        """Ask the agent below."""
        answer = await system.child("below").ask("go")
        return str(answer.text)

    async with open_system() as system:
        await system.start_child(agent_spec("below", [HANG, Say("Half of it.")], hang))
        ref = await system.start_child(agent_spec("top", [Say("", (("delegate", {}),)), Say("Well.")], delegate))
        async with system.subscribe("top") as events:
            await ref.ask("go")
            (end,) = told(events, ToolExecutionEndEvent)

    assert (end.result.content[0].text, end.outcome, trio.current_time()) == ("Half of it.", "finished", 8)


async def test_a_plain_deadline_of_the_caller_ends_the_run(autojump_clock: trio.testing.MockClock) -> None:
    """T22: it travels with the ask, ends the run when it passes, and is named in what the run leaves behind."""
    async with open_system() as system:
        ref = await system.start_child(agent_spec("a", [HANG], hang))
        async with system.subscribe("a") as events:
            with trio.move_on_after(4):
                await ref.ask("go")
            await trio.testing.wait_all_tasks_blocked()
            ends = told(events, (ToolExecutionEndEvent, AgentEndEvent))

    assert trio.current_time() == 4
    assert ends[0].deadline == "caller"
    assert ends[1].error == DeadlineExceededError("caller")


async def test_inner_code_sees_the_nearest_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """What Trio calls the effective deadline of a tool is the nearest of all clocks above it, and none while one is parked."""
    seen: list[float] = []

    @tool(timeout=50)
    async def look(ctx: ToolContext) -> None:
        """Look."""
        seen.append(trio.current_effective_deadline())
        with current_clock.get().paused():
            seen.append(trio.current_effective_deadline())

    run, _ = make(ScriptedCall([Say("", (("look", {}),)), Say("So.")]), look, turn_seconds=7, run_seconds=20)
    await run.execute(())

    assert seen == [7, math.inf]


@pytest.mark.parametrize(
    ("field", "value"),
    [("turn_seconds", -1), ("run_seconds", math.nan), ("soft_landing", 1), ("soft_landing", 0), ("soft_landing", "x")],
)
def test_limits_are_checked(field: str, value: Any) -> None:
    """What is no time, or no share of one, is refused, with the name of the field."""
    with pytest.raises(SpecError, match=field):
        Limits(**{field: value})
