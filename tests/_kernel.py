"""What the tests of actors, supervisors and systems share: small actors, and ways to look."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import attrs
import trio
import trio.testing

from tinyagent_actors import ActorContext, ActorRef, ChildSpec, Event, SupervisorRef, System, supervisor
from tinyagent_actors.actors import Subscription


class HostileError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    __hash__ = None  # type: ignore[assignment]  # the most hostile of all


async def obedient(ctx: ActorContext) -> None:
    """End as it is told: raise what it is sent, return, stay silent, or echo."""
    async for message in ctx.messages():
        if isinstance(message, BaseException):
            raise message
        if message == "return":
            return
        if message != "silent":
            ctx.reply(message)


async def deaf(ctx: ActorContext) -> None:
    """Never look at the mailbox; end when cancelled."""
    ctx.started()
    await trio.sleep_forever()


async def hangs(_ctx: ActorContext) -> None:
    """Never start."""
    await trio.sleep_forever()


async def ignores(ctx: ActorContext) -> None:
    """Have nothing to do."""
    from tinyagent_actors import Ignore

    raise Ignore


@attrs.define(eq=False)
class Stuck:
    """An actor that does not end when cancelled, until it is released."""

    released: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self, ctx: ActorContext) -> None:
        """Start, and hold on."""
        ctx.started()
        with trio.CancelScope(shield=True):
            await self.released.wait()


def child(name: str, function: Callable[..., Any] = obedient, *args: Any, **options: Any) -> ChildSpec:
    """Give a spec."""
    return ChildSpec(name, function, args=args, **options)


async def start(
    system: System, function: Callable[..., Any] = obedient, *args: Any, name: str = "actor", **options: Any
) -> ActorRef:
    """Start a child of the root."""
    ref: ActorRef = await system.start_child(child(name, function, *args, **options))
    return ref


async def crash(ref: ActorRef, error: BaseException | None = None) -> None:
    """Make an obedient actor raise, and wait until it has ended."""
    await ref.tell(error or ValueError("boom"))
    await ref.wait_stopped()


async def settle() -> None:
    """Let everything happen that can happen now."""
    await trio.testing.wait_all_tasks_blocked()


async def states(team: SupervisorRef | System) -> dict[str, str]:
    """Give the state of each child, once all is quiet."""
    await settle()
    return {info.name: info.state for info in team.which_children()}


def told(subscription: Subscription, *kinds: type[Event]) -> list[Any]:
    """Take the events that lie in a subscription; of these kinds, if any are named."""
    events: list[Any] = []
    while (event := subscription.next_nowait()) is not None:
        if not kinds or isinstance(event, kinds):
            events.append(event)
    return events


def run_with_ctrl_c(main: Callable[[], Any]) -> None:
    """Run under Trio with Python's own handler of SIGINT, whoever has put his own in its place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        trio.run(main)
    finally:
        signal.signal(signal.SIGINT, before)


class Notes(list[str]):
    """What actors note of their starts (+) and ends (-)."""

    def take(self) -> str:
        """Give what was noted so far, once."""
        taken = " ".join(self)
        self.clear()
        return taken


async def noted(ctx: ActorContext, notes: Notes, stop_seconds: float = 0, failing: tuple[int, ...] = ()) -> None:
    """Note start and end; fail to start in some incarnations; take time to stop."""
    if ctx.ref.incarnation in failing:
        notes.append(f"!{ctx.name}")
        raise LookupError(ctx.name)
    notes.append(f"+{ctx.name}")
    try:
        await obedient(ctx)
        if ctx.stopping is not None:
            await trio.sleep(stop_seconds)
    finally:
        notes.append(f"-{ctx.name}")


async def start_team(system: System, strategy: Any, *children: ChildSpec, **options: Any) -> SupervisorRef:
    """Start a supervisor with children."""
    team: SupervisorRef = await system.start_child(supervisor("team", strategy=strategy, children=children, **options))
    return team


def incarnations(team: SupervisorRef) -> str:
    """Give name and incarnation of each child."""
    return " ".join(f"{info.name}{team.child(info.name).incarnation}" for info in team.which_children())
