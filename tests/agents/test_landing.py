"""How a run lands softly: the last part of its time is for one last turn."""

from __future__ import annotations

import trio
import trio.testing

from tests.agents._runs import HANG, hang, make, quick, results, told
from tests.agents._scripted import Say, ScriptedCall, config_of
from tinyagent_actors import (
    DeadlineExceededError,
    ToolExecutionEndEvent,
    tool,
)
from tinyagent_actors.actors import Runtime, current_clock
from tinyagent_actors.agents import Run
from tinyagent_actors.agents._output import Output


async def test_a_soft_landing(autojump_clock: trio.testing.MockClock) -> None:
    """At its share of the time tools are ended, a notice enters, and one last turn without tools says what there is."""
    call = ScriptedCall([HANG, Say("This is what I have.", seconds=1), Say("never")])
    run, events = make(call, hang, run_seconds=10)
    await run.execute(())

    assert results(run) == ["timed out: ended by the landing deadline after 8 s"]
    assert [end.deadline for end in told(events, ToolExecutionEndEvent)] == ["landing"]
    assert [len(context.tools) for context in call.asked] == [1, 0]
    assert "2 s are left" in call.asked[1].messages[-1].text
    assert (run.error, run.last_message.text) == (None, "This is what I have.")
    assert trio.current_time() == 9


async def test_the_last_turn_is_cut_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """The hard stop after the notice: the error names the run's deadline, and the partial answer is kept."""
    run, _ = make(ScriptedCall([HANG, Say("In short", seconds=100)]), hang, run_seconds=10)
    await run.execute(())

    assert run.error == DeadlineExceededError("run", "/a")
    assert run.last_message.text == "In short"
    assert trio.current_time() == 10


async def test_calls_of_the_last_turn_do_not_run(autojump_clock: trio.testing.MockClock) -> None:
    """A model that calls tools all the same gets results that say so, each call one, and the run is over."""
    call = ScriptedCall([HANG, Say("", (("quick", {}), ("quick", {}))), Say("never")])
    run, _ = make(call, hang, quick, run_seconds=10)
    await run.execute(())

    assert ["did not run" in text for text in results(run)[1:]] == [True, True]
    assert len(call.asked) == 2


async def test_a_typed_answer_can_still_be_given(autojump_clock: trio.testing.MockClock) -> None:
    """The last turn of a run that is to come to a value has the one tool that takes it; the others do not run."""
    call = ScriptedCall([HANG, Say("", (("final_answer", {"value": 7}), ("quick", {}))), Say("never")])
    output = Output(int)
    config = output.apply_to(config_of(call, hang, quick, run_seconds=10))
    run = Run(1, Runtime("test"), "/a", config, [])
    await run.execute(())

    assert (run.error, output.value) == (None, 7)
    assert [tool.name for tool in call.asked[1].tools] == ["final_answer"]
    assert "Only final_answer can still be called" in call.asked[1].messages[-1].text
    assert results(run)[1] == "noted"
    assert "no tool 'quick'" in results(run)[2]


async def test_a_run_in_time_lands_as_ever(autojump_clock: trio.testing.MockClock) -> None:
    """An answer that is on its way at the share is let finish; no notice enters."""
    run, _ = make(ScriptedCall([Say("All of it.", seconds=9)]), run_seconds=10)
    await run.execute(())

    assert [message.role for message in run.transcript] == ["assistant"]
    assert run.error is None


async def test_a_pause_moves_the_landing(autojump_clock: trio.testing.MockClock) -> None:
    """T22: what a pause takes is not the run's; a tool that runs through it is ended that much later."""

    @tool
    async def parks() -> None:
        """Hold its clocks for a while."""
        with current_clock.get().paused():
            await trio.sleep(1000)
        await trio.sleep_forever()

    run, _ = make(ScriptedCall([Say("", (("parks", {}), ("hang", {}))), Say("So.")]), parks, hang, run_seconds=10)
    await run.execute(())

    assert results(run) == [
        "timed out: ended by the landing deadline after 1.01e+03 s",
        "timed out: ended by the tool deadline after 30 s",
    ]
    assert trio.current_time() == 1008
