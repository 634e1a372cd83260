"""Crew: the agents that an agent has started itself, in the hands of its model.

The design. What a model spawns are children of its agent, below its path: they end with it, draw on its budget, and are supervised like any
children. Each is given a prompt and works beside its parent's run, in a task that no nursery waits for and that ends with the
child; its answer is kept here until it is asked for. That task stands beside the parent (`Beside`): the parent goes on, so it
waits for nobody. While it does wait (`wait_for_agents`) it has an edge to each of them in the wait-for graph, so a
circle is refused and not waited out.

A slot is taken by a child that works. One that has answered is idle: it can be sent further prompts, and makes room when its slot is
needed for another, the one that has been idle longest first. So slots are free when work is done, whether or not
the model thinks of closing anything, and there are never more than `fan_out` children.

When the run that spawned or sent them is interrupted, cancelled or fails, those that work for it are closed: nothing goes on
for an answer that nobody waits for. A run that ends well leaves them working; the next one finds them.

Refused: spawning without bounds of depth and breadth; children of the supervisor above (they would survive the agent that
wanted them); a slot that is taken until the model closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import ChildLimitError, ChildNotFoundError, DepthLimitError, TinyAgentError
from tinyagent_actors.actors import (
    ActorContext,
    ActorRef,
    Beside,
    CancelCause,
    Clock,
    HasChildSpec,
    as_fact,
    current_clock,
    current_place,
)
from tinyagent_actors.agents._compaction import clip
from tinyagent_actors.agents._prompt import Prompt
from tinyagent_actors.agents._run import Run
from tinyagent_actors.agents._standing import standing_with
from tinyagent_actors.messages import AssistantMessage, UserMessage

MemberState: TypeAlias = Literal["working", "idle", "failed"]
LONGEST_ANSWER = 16_384
"""Bytes of an answer that are kept."""


@attrs.define(eq=False)
class Member:
    """An agent that an agent has started."""

    name: str
    ref: ActorRef = attrs.field(repr=False)
    run: Run | None = attrs.field(default=None, repr=False)
    """The parent's, for which it works."""
    state: MemberState = "working"
    answer: str = ""
    """The latest; or what went wrong."""
    since: float = 0.0
    """When it began to be so."""
    clock: Clock = attrs.field(factory=lambda: Clock("spawned"), repr=False)
    """Never runs out; stands while a call of its work waits to be approved, for whoever waits for it."""

    def report(self) -> dict[str, object]:
        """Give what a model is told of it."""
        told: dict[str, object] = {"name": self.name, "state": self.state}
        if self.state == "working":
            told["seconds"] = round(trio.current_time() - self.since, 1)
        else:
            told["answer" if self.state == "idle" else "error"] = self.answer
        return told


@attrs.define(eq=False)
class Crew:
    """The agents that one incarnation of an agent has started."""

    _context: ActorContext
    members: dict[str, Member] = attrs.field(factory=dict, init=False)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)
    _made: int = attrs.field(default=0, init=False)
    _starting: int = attrs.field(default=0, init=False)

    async def spawn(
        self, make: Callable[[str], HasChildSpec[Any]], kind: str, prompt: str, run: Run, most: int
    ) -> Member:
        """Start an agent and give it a prompt. Cancelling it while the agent starts: it is rolled back.

        Args:
            make: Gives its spec, by its name.
            kind: What it is called, with a number.
            prompt: What it is to do.
            run: The parent's.
            most: How many children there may be.

        Raises:
            ChildLimitError: As many work.
            DepthLimitError: The run is as deep as it may be.
        """
        account = run.account
        depth = run.config.limits.depth
        if account is not None and depth is not None and account.depth >= depth:
            raise DepthLimitError(self._context.path, depth)
        await self._make_room(most)
        self._made += 1
        name = f"{kind}-{self._made}"
        self._starting += 1
        try:
            ref: ActorRef = await self._context.start_child(make(name))
        finally:
            self._starting -= 1
        member = self.members[name] = Member(name, ref)
        self.send(member, prompt, run)
        return member

    async def _make_room(self, most: int) -> None:
        idle = sorted((m for m in self.members.values() if m.state != "working"), key=lambda m: m.since)
        while len(self.members) + self._starting >= most:
            if not idle:
                raise ChildLimitError(self._context.path, most)
            await self.close(idle.pop(0).name, "its slot is needed")

    def named(self, name: str) -> Member:
        """Give a member.

        Raises:
            ChildNotFoundError: There is none of that name.
        """
        member = self.members.get(name)
        if member is None:
            raise ChildNotFoundError(self._context.path, name)
        return member

    def send(self, member: Member, prompt: str, run: Run) -> None:
        """Give an idle member another prompt. Does not wait."""
        member.state, member.answer, member.run, member.since = "working", "", run, trio.current_time()
        asked = Prompt((UserMessage(prompt),), asker=run.account)
        cell = self._context.cell
        self._context.runtime.start_detached(
            self._work, member, asked, Beside(cell, cell.event), name=f"ask {member.ref.path}"
        )

    async def _work(self, member: Member, prompt: Prompt, place: Beside) -> None:
        """Ask a member, to an outcome. Raises nothing: it is a detached task, and ends with the member."""
        current_place.set(place)
        current_clock.set(member.clock)
        state: MemberState = "failed"
        try:
            answer: AssistantMessage = await ActorRef.ask(member.ref, prompt)
            text = answer.text
            if answer.error is not None:
                text = str(answer.error)
            elif answer.stop_reason == "aborted":
                text = f"interrupted; this is as far as it came: {text}"
            else:
                state = "idle"
        except Exception as error:  # noqa: BLE001  # what became of it is told to whoever asks
            text = str(as_fact(error) if not isinstance(error, TinyAgentError) else error)
        member.state, member.answer, member.run, member.since = (
            state,
            clip(text, LONGEST_ANSWER),
            None,
            trio.current_time(),
        )
        if member.ref.address.is_gone:
            self.members.pop(member.name, None)
        self._changed.unpark_all()

    async def wait(self, names: Iterable[str], *, wants_all: bool, seconds: float) -> tuple[Member, ...]:
        """Wait until one of these, or all, do not work any more, or the time is over. Cancelling it leaves nothing behind.

        Raises:
            ChildNotFoundError: There is none of that name.
            AskCycleError: One of them waits for this agent.
        """
        members = tuple(self.named(name) for name in names)
        graph, path = self._context.runtime.wait_graph, self._context.path
        edges: list[int] = []
        try:
            edges += [graph.add(path, member.ref.path) for member in members if member.state == "working"]
            with standing_with([member.clock for member in members], needs_all=wants_all), trio.move_on_after(seconds):
                while (count := sum(member.state == "working" for member in members)) and (
                    wants_all or count == len(members)
                ):
                    await self._changed.park()
        finally:
            for edge in edges:
                graph.remove(path, edge)
        return members

    async def close(self, name: str, why: str) -> None:
        """Stop a member and wait until it is gone; it is no member any more. Cancelling the wait: the stop goes on.

        Raises:
            ChildNotFoundError: There is none of that name.
        """
        member = self.named(name)
        del self.members[name]
        await member.ref.stop(why)

    def end_run(self, run: Run) -> None:
        """Hear that a run has not ended well: those that work for it are stopped. Does not wait."""
        for member in tuple(self.members.values()):
            if member.run is run:
                del self.members[member.name]
                address = member.ref.address
                address.owner.end_child(
                    address, CancelCause(self._context.path, "the run it worked for has ended", "stop")
                )
