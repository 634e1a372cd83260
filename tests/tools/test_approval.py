"""Calls that wait for somebody to say yes.

Q01 parked before it runs, then run once; Q02 denied, with a reason; Q03 nobody answers; Q04 siblings and clocks; Q05 which calls need it; Q06 bound
to tool, arguments and path; Q07 answered once; Q08 cancelled while parked; Q09 at any depth; Q10 without a system.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.agents._scripted import Say, ScriptedCall, config_of
from tests.tools._parked import DELETE, delete, make, ran, told, write
from tinyagent_actors import (
    ApprovalAnsweredError,
    ApprovalMismatchError,
    ApprovalNotFoundError,
    ApprovalResolvedEvent,
    DeadlineExceededError,
    SpecError,
    ToolExecutionEndEvent,
    ToolResultMessage,
    tool,
)
from tinyagent_actors.actors import Runtime
from tinyagent_actors.agents import Run
from tinyagent_actors.tools import CallHooks


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


async def test_a_denial_has_a_reason_that_the_model_reads(autojump_clock: trio.testing.MockClock) -> None:
    """Q02, The call does not run; its error result says why, and the run goes on with it."""
    call = ScriptedCall([DELETE, Say("As you wish.")])
    runtime = Runtime("test")
    run = Run(1, runtime, "/a", config_of(call, delete), [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.execute, ())
        await trio.testing.wait_all_tasks_blocked()
        runtime.approvals.deny(runtime.approvals.requests()[0], "not on a Friday", "somebody")

    (result,) = [message for message in run.transcript if isinstance(message, ToolResultMessage)]
    assert (result.text, result.is_error) == ("denied: not on a Friday; the tool did not run", True)
    assert ran == []
    assert call.asked[1].messages[-1] == result
    assert run.last_message.text == "As you wish."


async def test_who_does_not_answer_has_denied(autojump_clock: trio.testing.MockClock) -> None:
    """Q03: After `approval_timeout`, an hour if nothing else is said, the call is denied; however short its own timeout is."""
    batch = make(("delete", {"path": "x"}))
    events = batch.runtime.bus.open_subscription("**")
    await batch.wait()

    assert trio.current_time() == 3600
    assert batch.results()[0].text == "denied: nobody answered within 3600 s; the tool did not run"
    assert [event.decision for event in told(events, ApprovalResolvedEvent)] == ["timed_out"]
    assert ran == []


async def test_siblings_go_on(autojump_clock: trio.testing.MockClock) -> None:
    """Q04: One call is parked, the one beside it finishes meanwhile, on its own time; results stand in call order."""
    batch = make(("delete", {"path": "x"}), ("slow", {}))
    events = batch.runtime.bus.open_subscription("**")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.sleep(50)
        batch.runtime.approvals.approve(batch.runtime.approvals.requests()[0], "me")

    assert [result.text for result in batch.results()] == ["deleted x", "slept"]
    assert [event.monotonic_time for event in told(events, ToolExecutionEndEvent)] == [3, 50]


async def test_two_parked_calls_hold_the_run_until_the_later(autojump_clock: trio.testing.MockClock) -> None:
    """Q04, T22: pauses count: the run's time stands from the first request to the last answer, and is then what was left."""
    call = ScriptedCall(
        [Say("", (("delete", {"path": "x"}), ("delete", {"path": "y"})), seconds=1), Say("", seconds=100)]
    )
    runtime = Runtime("test")
    run = Run(1, runtime, "/a", config_of(call, delete, run_seconds=5, turn_seconds=3, soft_landing=None), [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.execute, ())
        await trio.sleep(10)
        first, second = runtime.approvals.requests()
        runtime.approvals.approve(first, "me")
        await trio.sleep(10)
        runtime.approvals.approve(second, "me")

    assert sorted(ran) == ["x", "y"]
    assert run.error == DeadlineExceededError("turn", "/a")
    assert trio.current_time() == 20 + 3


async def test_the_parked_call_has_its_own_time_afterwards(autojump_clock: trio.testing.MockClock) -> None:
    """T22: the timeout of the tool counts from the yes on, less what it had used before."""

    @tool(approval="always", timeout=10)
    async def hang() -> None:
        """Hang."""
        await trio.sleep_forever()

    batch = make(("hang", {}), tools=(hang,))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.sleep(500)
        batch.runtime.approvals.approve(batch.runtime.approvals.requests()[0], "me")

    assert trio.current_time() == 510
    assert "tool deadline" in batch.results()[0].text


async def test_only_the_arguments_that_need_it(autojump_clock: trio.testing.MockClock) -> None:
    """Q05: A function of the arguments says which calls wait; it may be async."""

    async def outside(arguments: Any) -> bool:
        await trio.sleep(1)
        return bool(arguments["path"] != "here")

    careful = tool(approval=outside, name="careful")(write.function)
    batch = make(
        ("write", {"path": "a"}), ("write", {"path": "/etc/b"}), ("careful", {"path": "c"}), tools=(write, careful)
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.sleep(2)
        waiting = [request.arguments["path"] for request in batch.runtime.approvals.requests()]
        nursery.cancel_scope.cancel()

    assert (ran, sorted(waiting)) == (["a"], ["/etc/b", "c"])


@pytest.mark.parametrize("said", [LookupError("who knows"), "yes", None])
async def test_a_function_that_cannot_say_lets_nothing_run(said: Any, autojump_clock: trio.testing.MockClock) -> None:
    """Q05: One that raises, or says neither yes nor no: an error result, and the tool does not run."""

    def approval(arguments: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    batch = make(("w", {"path": "a"}), tools=(tool(approval=approval, name="w")(write.function),))
    await batch.wait()

    error = "LookupError" if isinstance(said, Exception) else "must say True or False"
    assert error in batch.results()[0].text
    assert ran == []


async def test_an_answer_is_one_for_these_arguments() -> None:
    """Q06, The id holds a hash over tool, arguments and path: the same number with another hash is refused, and so is a request of another hash."""
    one, other = make(("delete", {"path": "x"})), make(("delete", {"path": "y"}))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.wait)
        nursery.start_soon(other.wait)
        await trio.testing.wait_all_tasks_blocked()
        (mine,), (foreign,) = one.runtime.approvals.requests(), other.runtime.approvals.requests()
        assert foreign.id.partition("-")[0] == mine.id.partition("-")[0]
        with pytest.raises(ApprovalMismatchError):
            one.runtime.approvals.approve(foreign.id, "me")
        with pytest.raises(ApprovalMismatchError):
            one.runtime.approvals.deny(foreign, "no", "me")
        with pytest.raises(ApprovalMismatchError):
            one.runtime.approvals.approve(attrs.evolve(mine, digest=mine.digest[:16] + "0" * 48), "me")
        await trio.testing.wait_all_tasks_blocked()
        assert ran == []
        one.runtime.approvals.approve(mine.id, "me")
        other.runtime.approvals.approve(foreign, "me")

    assert sorted(ran) == ["x", "y"]


async def test_the_hash_tells_tool_arguments_and_path() -> None:
    """Q06: Each of the three changes it; the order of the arguments does not."""

    @tool(approval="always")
    async def move(source: str, target: str) -> None:
        """Move."""

    @tool(approval="always")
    async def copy(source: str, target: str) -> None:
        """Copy."""

    batches = [
        make(("move", {"source": "a", "target": "b"}), tools=(move,)),
        make(("move", {"target": "b", "source": "a"}), tools=(move,)),
        make(("move", {"source": "b", "target": "a"}), tools=(move,)),
        make(("copy", {"source": "a", "target": "b"}), tools=(copy,)),
        make(("move", {"source": "a", "target": "b"}), tools=(move,)),
    ]
    batches[-1].path = "/b"
    async with trio.open_nursery() as nursery:
        for batch in batches:
            nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        digests = [batch.runtime.approvals.requests()[0].digest for batch in batches]
        nursery.cancel_scope.cancel()

    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


async def test_arguments_that_change_after_the_yes_are_not_run() -> None:
    """Q06: What runs is what was shown: the hash is taken again before the tool runs."""
    changing: list[list[str]] = []

    @tool(approval="always")
    async def delete_all(paths: Any) -> None:
        """Delete."""
        ran.extend(paths)

    def before(call: Any, one: Any, arguments: Any) -> Any:
        changing.append(arguments["paths"])
        arguments["paths"].append("/b")
        return arguments

    batch = make(("delete_all", {"paths": ["/a"]}), tools=(delete_all,), hooks=CallHooks(before))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        (request,) = batch.runtime.approvals.requests()
        shown = list(request.arguments["paths"])
        request.arguments["paths"].append("/c")  # a copy: it changes nothing
        changing[0].append("/etc")
        batch.runtime.approvals.approve(request, "me")

    assert shown == ["/a", "/b"]
    assert "no longer those that were approved" in batch.results()[0].text
    assert ran == []


async def test_what_is_shown_is_what_the_hook_let_through() -> None:
    """Q06: A request is made after `before_tool_call`, with the arguments as the tool would get them; what that refuses is never asked for."""
    batch = make(("delete", {"path": "x"}), hooks=CallHooks(lambda call, one, arguments: {"path": "y"}))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert batch.runtime.approvals.requests()[0].arguments == {"path": "y"}
        batch.runtime.approvals.approve(batch.runtime.approvals.requests()[0], "me")

    assert ran == ["y"]


async def test_it_is_answered_once(autojump_clock: trio.testing.MockClock) -> None:
    """Q07: A second answer, and one that comes when nobody waits any more, are errors that say how it was settled; nothing runs twice."""
    batch = make(("delete", {"path": "x"}), ("delete", {"path": "y"}), ("delete", {"path": "z"}))
    approvals = batch.runtime.approvals
    with trio.move_on_after(5000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch.wait)
            await trio.testing.wait_all_tasks_blocked()
            first, second, third = sorted(approvals.requests(), key=lambda request: request.tool_call_id)
            approvals.approve(first, "me")
            approvals.deny(second, "no", "me")
            for answer in (lambda: approvals.approve(first, "you"), lambda: approvals.deny(first.id, "no", "you")):
                with pytest.raises(ApprovalAnsweredError, match="approved"):
                    answer()
            with pytest.raises(ApprovalAnsweredError, match="denied"):
                approvals.approve(second.id, "you")
    with pytest.raises(ApprovalAnsweredError, match="timed_out"):
        approvals.approve(third, "me")
    for unknown in ("99-0123456789abcdef", "nonsense", "", f"{first.id}0", "²-1"):
        with pytest.raises(ApprovalNotFoundError):
            approvals.approve(unknown, "me")

    assert ran == ["x"]


@pytest.mark.parametrize("first", ["answer", "either"])
async def test_an_answer_in_the_tick_of_the_timeout(first: str, autojump_clock: trio.testing.MockClock) -> None:
    """Q07: what comes first settles it, and whoever answered is told the truth: taken, and the call runs, or an error, and it does not."""
    batch = make(("delete", {"path": "x"}))
    approvals = batch.runtime.approvals
    outcomes: list[str] = []

    async def answer() -> None:
        request = approvals.requests()[0]
        await trio.sleep_until(3600)
        try:
            approvals.approve(request, "me")
        except ApprovalAnsweredError as error:
            outcomes.append(error.decision)
        else:
            outcomes.append("taken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        if first == "answer":
            request = approvals.requests()[0]
            autojump_clock.jump(3600)  # the deadline has passed, and nobody has looked yet
            approvals.approve(request, "me")
            outcomes.append("taken")
        else:
            nursery.start_soon(answer)

    assert (outcomes, ran) in ((["taken"], ["x"]), (["timed_out"], []))
    assert first == "either" or outcomes == ["taken"]
    assert len(batch.results()) == 1


async def test_an_answer_and_a_cancel_in_one_tick() -> None:
    """Q08: the answer is taken and told as such, but a cancelled call does not run."""
    batch = make(("delete", {"path": "x"}))
    events = batch.runtime.bus.open_subscription("**")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        batch.runtime.approvals.approve(batch.runtime.approvals.requests()[0], "me")
        nursery.cancel_scope.cancel()

    assert [event.decision for event in told(events, ApprovalResolvedEvent)] == ["approved"]
    assert (batch.results()[0].text.partition(":")[0], ran) == ("cancelled", [])


async def test_what_is_remembered_of_the_past_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Q07, The registry knows the latest that were settled, and no more than those."""
    monkeypatch.setattr("tinyagent_actors.actors._approvals._REMEMBERED", 3)
    batch = make(*(("delete", {"path": str(number)}) for number in range(5)))
    approvals = batch.runtime.approvals
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.wait)
        await trio.testing.wait_all_tasks_blocked()
        requests = approvals.requests()
        for request in requests:
            approvals.approve(request, "me")

    assert len(approvals._past) == 3
    with pytest.raises(ApprovalNotFoundError):
        approvals.approve(requests[0], "me")


@pytest.mark.parametrize("options", [{"approval": "sometimes"}, {"approval": True}, {"approval_timeout": -1}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    """What is neither `always` nor a function is refused when the tool is made."""
    with pytest.raises(SpecError, match="approval"):
        tool(**options)
