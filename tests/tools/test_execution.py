"""How one call ends: by itself, by a deadline, by a cancel, by its siblings; always with one outcome."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.tools._calls import batch_of, batch_with, unread
from tinyagent_actors import ActorContext, ChildSpec, LoopBlockedEvent, open_system, tool
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ToolExecutionEndEvent, ToolExecutionStartEvent
from tinyagent_actors.messages import AgentToolResult
from tinyagent_actors.tools import AgentTool, CallBatch, Signal


@tool
async def ok() -> str:
    await trio.lowlevel.checkpoint()
    return "ok"


@tool
async def waits() -> None:
    await trio.sleep_forever()


@tool
async def fails() -> None:
    message = "nothing there"
    raise LookupError(message)


async def cancelled_at(batch: CallBatch, seconds: float) -> None:
    """Run a batch, and cancel its run."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.sleep(seconds)
            scope.cancel()


def ends(runtime: Runtime, events: Any) -> list[tuple[str, str]]:
    return [(event.tool_name, event.outcome) for event in unread(events, ToolExecutionEndEvent)]


# A tool that computes, and what is told of it.


async def test_a_tool_that_never_awaits_is_named_and_counted() -> None:
    """T01: it cannot be cancelled; who held the loop is told, and its outcome is what it gave, once, after its deadline."""
    began = 0

    @tool(timeout=0.05)
    async def computes() -> str:
        nonlocal began
        began += 1
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        return "computed"

    @tool(timeout=0.05, locks=("processor",))
    async def computes_alone() -> str:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        await trio.lowlevel.checkpoint()
        return "too late"

    texts: dict[str, list[str]] = {"computes": [], "computes_alone": []}
    blocked: dict[str, str] = {}

    async def agent(ctx: ActorContext) -> None:
        ctx.started()
        for made in (computes, computes_alone):
            while made.name not in blocked:  # the watchdog may have begun to look before that step did
                batch = batch_of(made, runtime=ctx.runtime, path=ctx.path)
                await batch.wait()
                texts[made.name].append(batch.results()[0].text)
                await trio.testing.wait_all_tasks_blocked()

    async with open_system(slow_step=0.05) as system, system.subscribe("**") as events:
        ref = await system.start_child(ChildSpec("agent", agent, restart="temporary"))
        with trio.fail_after(30):
            async for event in events:
                if isinstance(event, LoopBlockedEvent) and "test_execution.py" in event.where:
                    blocked[event.where.rpartition(" in ")[2]] = event.path
                    if len(blocked) == 2:
                        break
            await ref.wait_stopped()
        assert system.leftovers().total == 0

    assert blocked == {"computes": "/agent", "computes_alone": "/agent"}
    assert texts["computes"].count("computed") == began  # on a slow machine its time may be over before it begins
    assert {text.partition(" after")[0] for text in texts["computes_alone"]} == {
        "timed out: ended by the tool deadline"
    }


# A tool that will not end.


async def test_a_tool_has_its_own_time_to_clean_up(autojump_clock: trio.testing.MockClock) -> None:
    """T02: swallowing every cancel it is given up after its own cleanup_grace; no sibling waits for it, nor does the run."""
    is_late = trio.Event()

    @tool(timeout=2, cleanup_grace=1)
    async def deaf() -> None:
        while trio.current_time() < 60:
            try:
                await trio.sleep(1)
            except BaseException:  # noqa: BLE001  # what is tested
                await trio.lowlevel.cancel_shielded_checkpoint()

    @tool(timeout=2, cleanup_grace=10)
    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            await is_late.wait()

    async def call_late() -> None:
        await trio.sleep(10)
        is_late.set()

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(deaf, shielded, ok, runtime=runtime)
    autojump_clock.rate = 20.0  # a loop that never blocks lets no clock jump
    async with trio.open_nursery() as nursery:
        nursery.start_soon(call_late)
        await batch.wait()

    assert "abandoned: the tool was told to end and still ran 1 s later" in batch.results()[0].text
    assert ends(runtime, events) == [("ok", "finished"), ("deaf", "abandoned"), ("shielded", "finished")]
    assert runtime.leftovers.snapshot().names == ("tool deaf of /a",)
    while runtime.leftovers.snapshot().total:  # noqa: ASYNC110  # virtual time
        await trio.sleep(1)
    assert ends(runtime, events) == []  # what it gave after all fills no slot
    assert "abandoned" in batch.results()[0].text


def test_a_process_ends_though_a_tool_does_not(tmp_path: Path) -> None:
    """T04, T02: a tool that shields itself for ever: stop and system end, the last event is written, the process ends with 70."""
    log = tmp_path / "run.jsonl"
    program = textwrap.dedent(
        f"""
        import trio
        from tinyagent_actors import ChildSpec, open_system, run, tool
        from tinyagent_actors.messages import ToolCall
        from tinyagent_actors.tools import AgentTool, CallBatch, Signal

        @tool(cleanup_grace=0.1)
        async def shielded() -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

        @tool(cleanup_grace=0.1)
        async def swallows() -> None:
            while True:
                try:
                    await trio.sleep_forever()
                except BaseException:
                    pass

        async def agent(ctx):
            ctx.started()
            tools = {{"shielded": shielded, "swallows": swallows}}
            calls = (ToolCall("a", "shielded"), ToolCall("b", "swallows"))
            await CallBatch(calls, tools, runtime=ctx.runtime, path=ctx.path, run=1, turn=1).wait()

        async def main():
            async with open_system(log={str(log)!r}, shutdown=1) as system:
                ref = await system.start_child(ChildSpec("agent", agent, shutdown=0.1))
                await trio.sleep(0.1)
                await ref.stop()
                print("stopped", flush=True)
            print("left", flush=True)

        run(main)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = {line["tool_name"]: line["outcome"] for line in lines if line["event"] == "tool_execution_end"}

    assert (done.returncode, done.stdout) == (70, "stopped\nleft\n")
    assert "tool shielded of /agent" in done.stderr
    assert "tool swallows of /agent" in done.stderr
    assert told == {"shielded": "abandoned", "swallows": "abandoned"}
    assert lines[-1]["event"] == "system_stopped"


# What a tool raises.


async def test_what_a_tool_raises_in_its_cleanup_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """T13: the outcome stays `cancelled`, the error is told with it, and no `Cancelled` is shown as its cause."""

    @tool
    async def breaks() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                message = "while cleaning up"
                raise RuntimeError(message)

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(breaks, ok, runtime=runtime)
    await cancelled_at(batch, 1)
    told = {event.tool_name: event for event in unread(events, ToolExecutionEndEvent)}

    assert batch.results()[0].text == (
        "cancelled: the run was cancelled; as it ended, it raised RuntimeError: while cleaning up"
    )
    assert told["breaks"].outcome == "cancelled"
    assert "Cancelled" not in str(told["breaks"].error)
    assert batch.results()[1].text == "ok"


async def test_groups_are_unwrapped_for_the_model_and_kept_for_logs() -> None:
    """T14: a group of one, however deep, is told as that one, a wider one as each of its parts; the event has the group."""

    @tool
    async def deep() -> None:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [LookupError("the one")])])

    @tool
    async def wide() -> None:
        raise ExceptionGroup("outer", [LookupError("one"), ExceptionGroup("inner", [ValueError("two")])])

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(deep, wide, runtime=runtime)
    await batch.wait()
    errors = {event.tool_name: event.error for event in unread(events, ToolExecutionEndEvent)}

    assert [result.text for result in batch.results()] == ["LookupError: the one", "LookupError: one; ValueError: two"]
    cause = errors["deep"].__cause__
    assert isinstance(cause, ExceptionGroup)
    assert cause.message == "outer"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_a_ctrl_c_in_a_group_is_no_error_of_the_tool(
    kind: type[BaseException], autojump_clock: trio.testing.MockClock
) -> None:
    """T14, T30: it ends the program: the siblings are cancelled, each call has its result, and it comes out of the run."""

    @tool
    async def struck() -> None:
        await trio.sleep(1)
        raise BaseExceptionGroup("", [LookupError("beside"), kind()])

    batch = batch_of(struck, waits)
    with pytest.raises(kind):
        await batch.wait()

    assert [result.text for result in batch.results()] == ["cancelled: the program was told to end"] * 2


async def test_a_ctrl_c_in_a_tool_stops_its_system() -> None:
    """T30: the ordered stop begins, and the exception comes out of `open_system`."""

    @tool
    async def struck() -> None:
        raise KeyboardInterrupt

    async def agent(ctx: ActorContext) -> None:
        ctx.started()
        await batch_of(struck, runtime=ctx.runtime, path=ctx.path).wait()
        await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        async with open_system() as system:
            await system.start_child(ChildSpec("agent", agent, shutdown="kill"))
            await trio.sleep_forever()


# Siblings.


async def test_fail_fast_cancels_the_siblings(autojump_clock: trio.testing.MockClock) -> None:
    """T15: only where it is asked for; each call still has exactly one result, in order."""

    @tool(fail_fast=True)
    async def breaks() -> None:
        await trio.sleep(1)
        message = "broken"
        raise LookupError(message)

    batch = batch_of(waits, breaks, ok, waits)
    await batch.wait()

    assert [result.text for result in batch.results()] == [
        "cancelled: a call of breaks failed",
        "LookupError: broken",
        "ok",
        "cancelled: a call of breaks failed",
    ]
    assert trio.current_time() == 1


async def test_fail_fast_counts_what_could_not_run(autojump_clock: trio.testing.MockClock) -> None:
    """T15, T24: arguments that do not fit are a failure: the siblings do not begin."""
    began: list[str] = []

    @tool(fail_fast=True)
    async def strict(number: int) -> int:
        return number

    @tool
    async def begins() -> None:
        began.append("begins")

    batch = batch_with([(begins, {}), (strict, {"number": "x"}), (begins, {})])
    await batch.wait()

    assert [result.text.partition(":")[0] for result in batch.results()] == [
        "cancelled",
        "invalid arguments for strict",
        "cancelled",
    ]
    assert began == []


async def test_a_tool_that_fails_fast_and_succeeds_cancels_nobody() -> None:
    """T15: nor does one that is cancelled itself."""
    batch = batch_of(attrs.evolve(ok, options=attrs.evolve(ok.options, fail_fast=True)), fails, ok)
    await batch.wait()

    assert [result.text for result in batch.results()] == ["ok", "LookupError: nothing there", "ok"]


async def test_one_id_for_two_calls_gives_two_results() -> None:
    """Duplicate ids from a model: each call runs, and each has a result of its own, in order."""
    calls = tuple(attrs.evolve(call, id="same") for call in batch_of(ok, fails, ok).calls)
    batch = CallBatch(calls, {"ok": ok, "fails": fails}, runtime=Runtime("test"), path="/", run=1, turn=1)
    await batch.wait()

    assert [(result.tool_call_id, result.text) for result in batch.results()] == [
        ("same", "ok"),
        ("same", "LookupError: nothing there"),
        ("same", "ok"),
    ]


# Deadlines and cancels that come at the wrong moment.


@pytest.mark.parametrize("first", ["tool", "deadline"])
async def test_a_deadline_in_the_tick_of_the_end(first: str, autojump_clock: trio.testing.MockClock) -> None:
    """T23: exactly one outcome, and it is told once, whichever of the two is first in that tick."""
    release = trio.Event()

    @tool(timeout=2)
    async def races() -> str:
        with trio.CancelScope(shield=first == "tool"):
            await release.wait()
        return "in time"

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(races, runtime=runtime)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.sleep(2)
        release.set()

    (told,) = ends(runtime, events)
    assert told[1] in ("finished", "timed_out")
    assert batch.results()[0].is_error == (told[1] == "timed_out")
    assert runtime.leftovers.snapshot().total == 0


async def test_a_cancel_before_the_start_runs_nothing() -> None:
    """T24: no handler runs, not even to its first await; one result for each call, each told once; nothing leaks."""
    began: list[str] = []

    @tool
    async def begins() -> None:
        began.append("async")

    @tool
    def begins_in_thread() -> None:
        began.append("thread")

    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = batch_of(begins, begins_in_thread, runtime=runtime)
    with trio.CancelScope() as scope:
        scope.cancel()
        await batch.wait()

    assert scope.cancelled_caught
    assert began == []
    assert [result.text for result in batch.results()] == ["cancelled: the run was cancelled"] * 2
    assert sorted(ends(runtime, events)) == [("begins", "cancelled"), ("begins_in_thread", "cancelled")]
    assert runtime.leftovers.snapshot().total == 0


async def test_a_second_cancel_during_the_cleanup_changes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """T30: the wait for the cleanup is bounded, and whoever cancels again waits no longer than that, and no shorter."""

    @tool(cleanup_grace=3)
    async def careful() -> None:
        try:
            await trio.sleep_forever()
        finally:
            await trio.sleep(2)

    batch = batch_of(careful)
    with trio.CancelScope() as outer, trio.CancelScope() as inner:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.sleep(1)
            inner.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            outer.cancel()

    assert trio.current_time() == 3
    assert batch.results()[0].text == "cancelled: the run was cancelled"


async def test_the_signal_is_set_by_a_cancel_and_by_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """A tool that shields itself, or computes, sees it; a tool of the seed's shape gets it as an argument."""
    seen: list[tuple[float, bool]] = []

    async def watches(_id: str, _args: dict[str, Any], signal: Signal, _on_update: Any) -> AgentToolResult:
        with trio.CancelScope(shield=True):
            for _ in range(4):
                await trio.sleep(1)
                seen.append((trio.current_time(), signal.is_set()))
        return AgentToolResult()

    await batch_of(AgentTool("watches", execute=watches, timeout=2.5).to_tool()).wait()
    assert seen == [(1, False), (2, False), (3, True), (4, True)]

    seen.clear()
    await cancelled_at(batch_of(AgentTool("watches", execute=watches).to_tool()), 1.5)
    assert [is_set for _, is_set in seen] == [False, True, True, True]


async def test_a_result_may_say_that_it_is_an_error() -> None:
    """A tool that does not like to raise; its siblings are told, and fail_fast counts it."""

    @tool(fail_fast=True)
    async def says() -> AgentToolResult:
        return AgentToolResult([{"type": "text", "text": "no such file"}], is_error=True)

    batch = batch_of(says, waits)
    with trio.fail_after(30):
        await batch.wait()

    assert [(result.text, result.is_error) for result in batch.results()] == [
        ("no such file", True),
        ("cancelled: a call of says failed", True),
    ]


async def test_a_call_is_told_from_its_start_to_its_end() -> None:
    """Each call has one start and one end, also those that cannot run."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    batch = CallBatch(
        batch_of(ok, fails, waits).calls, {"ok": ok, "fails": fails}, runtime=runtime, path="/", run=1, turn=1
    )
    await batch.wait()
    told = list(iter(events.next_nowait, None))

    for kind in (ToolExecutionStartEvent, ToolExecutionEndEvent):
        assert sorted(event.tool_name for event in told if isinstance(event, kind)) == ["fails", "ok", "waits"]
