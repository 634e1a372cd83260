"""The hooks of class actors: when they run, and what their failures change."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests._kernel import crash, settle, start, states, told
from tinyagent_actors import (
    Actor,
    ActorCrashedEvent,
    ActorRef,
    Ignore,
    StartFailedError,
    handles,
    open_system,
)
from tinyagent_actors.events import SubscriberFailedEvent


class Hooked(Actor[Any, Any]):
    """Note when which hook runs; fail where it is told."""

    def __init__(self, log: list[str], failing: dict[str, BaseException]) -> None:
        """Be made."""
        self.log = log
        self.failing = failing

    def _note(self, hook: str) -> None:
        self.log.append(f"{hook} {self.ctx.ref.incarnation}")
        key = f"{hook} {self.ctx.ref.incarnation}"
        if key in self.failing:
            raise self.failing[key]

    async def on_start(self) -> None:
        """Note."""
        await trio.lowlevel.checkpoint()
        self._note("start")

    async def on_restart(self) -> None:
        """Note."""
        self._note("restart")

    async def on_stop(self) -> None:
        """Note, both before and after a wait."""
        self._note("stop")
        await trio.lowlevel.checkpoint()
        self.log.append("stopped")

    @handles
    async def crash(self, error: BaseException) -> None:
        """Crash."""
        raise error

    @handles
    async def word(self, word: str) -> object:
        """Finish, hang or echo."""
        if word == "finish":
            self.finish()
        if word == "hang":
            await trio.sleep_forever()
        return word


async def test_when_the_hooks_run() -> None:
    """S31: `on_restart` in every incarnation but the first, before `on_start`; `on_stop` last, after a crash and at a stop."""
    log: list[str] = []
    async with open_system() as system:
        ref = await start(system, Hooked, log, {})
        assert log == ["start 1"]
        await crash(ref)
        await ref.ask("there again")
        await ref.stop()

    assert log == ["start 1", "stop 1", "stopped", "restart 2", "start 2", "stop 2", "stopped"]


async def test_it_has_started_when_on_start_returns(autojump_clock: trio.testing.MockClock) -> None:
    """`start_child` waits for it; a failure is a failed start, and `Ignore` is none; `on_stop` is not for these."""
    log: list[str] = []

    class Slow(Hooked):
        async def on_start(self) -> None:
            await trio.sleep(5)
            await super().on_start()

    async with open_system() as system:
        began = trio.current_time()
        await start(system, Slow, log, {})
        assert trio.current_time() - began == 5
        with pytest.raises(StartFailedError):
            await start(system, Slow, log, {"start 1": ValueError("boom")}, name="fails")
        assert await start(system, Slow, log, {"start 1": Ignore()}, name="ignores") is None
        assert log == ["start 1"] * 3


async def test_a_crash_in_on_stop_masks_nothing() -> None:
    """S31: the exit keeps the cause of the handler; the hook's failure is told once, and the actor is restarted."""
    log: list[str] = []
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, Hooked, log, {"stop 1": KeyError("from the hook")})
        await crash(ref, ValueError("the cause"))
        ended = await ref.wait_stopped()
        assert await ref.ask("there again") == "there again"
        failures = [(event.subscriber, event.error.error_type) for event in told(events, SubscriberFailedEvent)]

        assert isinstance(ended.error, ValueError)
        assert failures == [("on_stop of /actor", "KeyError")]
        assert system.child("actor", ActorRef).incarnation == 2


async def test_a_crash_in_on_stop_of_one_that_ends_in_order_is_its_crash() -> None:
    """S31: there is no other cause; reported once, as the exit; a stop stays meant and does not hang."""
    log: list[str] = []
    failing: dict[str, BaseException] = {"stop 1": KeyError("from the hook")}
    async with open_system() as system, system.subscribe("*") as events:
        finished = await start(system, Hooked, log, failing, name="finished", restart="transient")
        stopped = await start(system, Hooked, log, failing, name="stopped", restart="transient")
        await finished.tell("finish")
        await settle()
        with trio.fail_after(5):
            await stopped.stop()
        crashes = [(event.path, event.error.error_type) for event in told(events, ActorCrashedEvent)]

        assert crashes == [("/finished", "KeyError"), ("/stopped", "KeyError")]
        assert told(events, SubscriberFailedEvent) == []
        assert await states(system) == {"finished": "running", "stopped": "stopped"}


async def test_a_crash_in_on_restart_does_not_wedge_the_restart() -> None:
    """S31, S22: it is a failed start, told once beside the crash that led to it; the next attempt is a new incarnation."""
    log: list[str] = []
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, Hooked, log, {"restart 2": KeyError("from the hook")})
        await crash(ref, ValueError("the cause"))
        with trio.fail_after(5):
            assert await ref.ask("there again") == "there again"
        crashes = [(event.reason, event.error.error_type) for event in told(events, ActorCrashedEvent)]

        assert crashes == [("error", "ValueError"), ("start_failed", "KeyError")]
        assert log == ["start 1", "stop 1", "stopped", "restart 2", "restart 3", "start 3"]


async def test_on_stop_of_one_that_is_killed_runs_cancelled() -> None:
    """S31, S40: it runs, its first wait raises; the exit is `killed`, and nothing is told of the hook."""
    log: list[str] = []
    async with open_system() as system, system.subscribe("actor") as events:
        ref = await start(system, Hooked, log, {}, restart="temporary")
        await ref.tell("hang")
        await settle()
        ref.kill()
        ended = await ref.wait_stopped()

        assert log == ["start 1", "stop 1"]
        assert (ended.reason, ended.error) == ("killed", None)
        assert told(events, SubscriberFailedEvent) == []


async def test_a_kill_in_on_stop_after_a_crash_keeps_the_cause() -> None:
    """S31: who cleans up after a crash and is cancelled over it has crashed all the same."""

    class Slow(Hooked):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    async with open_system() as system:
        ref = await start(system, Slow, [], {}, restart="temporary")
        await ref.tell(ValueError("the cause"))
        await settle()
        ref.kill()
        ended = await ref.wait_stopped()

        assert isinstance(ended.error, ValueError)
        assert ended.reason == "error"


@pytest.mark.parametrize("is_crashed", [False, True])
async def test_what_is_fatal_in_on_stop_stops_the_system(is_crashed: bool) -> None:  # noqa: FBT001  # the case
    """S49, S31: a `SystemExit` from the hook is not the hook's failure, whatever the actor ended with."""
    with pytest.raises(SystemExit):
        async with open_system() as system:
            ref = await start(system, Hooked, [], {"stop 1": SystemExit(3)})
            await ref.tell(ValueError("boom") if is_crashed else "finish")
            with trio.fail_after(5):
                await trio.sleep_forever()


async def test_finishing_is_a_normal_end() -> None:
    """S05: after the message in hand, which is answered; also from `on_start`; a transient actor stays ended."""

    class Brief(Hooked):
        async def on_start(self) -> None:
            self.finish()

    async with open_system() as system:
        ref = await start(system, Hooked, [], {}, restart="transient")
        assert await ref.ask("finish") == "finish"
        assert (await ref.wait_stopped()).reason == "normal"
        brief = await start(system, Brief, [], {}, name="brief", restart="transient")
        with trio.fail_after(5):
            assert (await brief.wait_stopped()).reason == "normal"

        assert await states(system) == {"actor": "stopped", "brief": "stopped"}
