"""open_system: whatever ends it, the same ordered stop; nothing left, or named."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import trio
import trio.testing

from tinyagent_actors import ActorContext, ChildSpec, SpecError, SystemStoppedEvent, open_system, supervisor


async def noted(ctx: ActorContext, order: list[str]) -> None:
    async for _ in ctx.messages():
        pass
    order.append(ctx.name)


async def test_an_outer_cancel_stops_in_order() -> None:
    """Under a cancelled outer scope children still stop one by one, in reverse order."""
    order: list[str] = []
    children = [ChildSpec(name, noted, args=(order,)) for name in "abc"]
    with trio.CancelScope() as scope:
        async with open_system() as system:
            await system.start_child(supervisor("team", children=children))
            scope.cancel()
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert order == ["c", "b", "a"]


async def test_an_exception_of_the_body_passes_through_as_it_is() -> None:
    """It is not wrapped, and comes after the ordered stop."""
    order: list[str] = []
    with pytest.raises(ValueError, match="mine"):
        async with open_system() as system:
            await system.start_child(ChildSpec("a", noted, args=(order,)))
            raise ValueError("mine")

    assert order == ["a"]


async def test_fatal_exceptions_stop_the_system_and_come_out() -> None:
    """S49: KeyboardInterrupt in a child is no restart: the whole system stops in order, then it is raised."""

    async def interrupted(ctx: ActorContext) -> None:
        ctx.started()
        raise KeyboardInterrupt

    order: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        async with open_system() as system:
            await system.start_child(ChildSpec("a", noted, args=(order,)))
            await system.start_child(ChildSpec("b", interrupted))
            await trio.sleep_forever()

    assert order == ["a"]


async def test_the_shutdown_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """After `shutdown` seconds what is left is cancelled, however long its own shutdown time is."""

    async def deaf(ctx: ActorContext) -> None:
        ctx.started()
        await trio.sleep_forever()

    began = trio.current_time()
    async with open_system(shutdown=3) as system:
        await system.start_child(ChildSpec("deaf", deaf, shutdown=1000))

    assert trio.current_time() - began == 3


async def test_the_last_event_counts_what_is_left() -> None:
    """The end of a system is an event, with zeros where nothing is left; subscriptions end after it."""
    async with open_system() as system:
        subscription = system.runtime.bus.open_subscription("**")
    told = [event async for event in subscription]

    last = told[-1]
    assert isinstance(last, SystemStoppedEvent)
    assert (last.tasks, last.threads, last.streams, last.processes) == (0, 0, 0, 0)


async def test_the_log_holds_every_event_to_the_last(tmp_path: Path) -> None:
    """A JSON line for each event, in order, without secrets."""

    async def leaky(ctx: ActorContext) -> None:
        ctx.started()
        raise ValueError("the key is sk-ant-0123456789abcdef")

    log = tmp_path / "run.jsonl"
    async with open_system(log=log) as system:
        await system.start_child(ChildSpec("a", leaky, restart="temporary"))
        await trio.testing.wait_all_tasks_blocked()
    records = [orjson.loads(line) for line in log.read_bytes().splitlines()]

    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["event"] == "system_stopped"
    assert b"0123456789abcdef" not in log.read_bytes()
    assert any(record["event"] == "actor_crashed" for record in records)


async def test_a_log_that_cannot_be_opened_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A typed error that names the field."""
    with pytest.raises(SpecError) as caught:
        async with open_system(log=tmp_path / "no" / "such.jsonl"):
            raise AssertionError("must not start")

    assert caught.value.field == "log"
