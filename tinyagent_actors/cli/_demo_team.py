"""The demo's team: a lead that shares the files out, and readers that survey them.

The lead is a plain actor, the readers are agents, started at run time. A reader's tool really reads the file and tells
the lead what it found; the lead monitors its readers, and when one is down it hands the share over again to
the one that starts in its place.

The faults are the lead's doing, so that they come whatever the model and the number of files: the reader that gets the
first share crashes when it comes to the middle of it; whoever gets the next thing to do is told to ask the librarian too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import attrs
import trio

from tinyagent_actors._errors import ActorStoppedError, TinyAgentError
from tinyagent_actors.actors import ActorContext, ChildSpec, Down, ReplySlot
from tinyagent_actors.agents import AgentRef, AgentSpec, Limits
from tinyagent_actors.cli._demo_policy import SYSTEM_PROMPT, Share
from tinyagent_actors.cli._reading_queue import ReadingQueue
from tinyagent_actors.cli._survey import FileFigures
from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.supervision import SupervisorRef
from tinyagent_actors.tools import Tool, tool

LARGEST_SHARE: Final = 400
ATTEMPTS: Final = 3
"""How often a share is handed over before the survey fails."""
SPARE_TURNS: Final = 10
"""Turns that a run has besides one for each file of a share; a model that makes no end is ended there."""
HANG_TIMEOUT: Final = 1.0
_HANGING: Final = 2
"""Which hand-over meets the tool that hangs; the first one's reader crashes, so there always is a second."""


class SurveyFailedError(TinyAgentError):
    """The survey could not be finished; the text says why."""


@attrs.frozen
class Plan:
    """What the lead is asked to do."""

    folder: bytes
    files: Mapping[str, bytes]
    """What is shown of each path, and the path; in order."""
    agents: int
    model: Model
    options: StreamOptions
    faults: bool
    """Whether one reader is made to crash in mid-work, and another has a tool that hangs."""

    @property
    def share_size(self) -> int:
        """How many files a share has; the last may have fewer."""
        return min(LARGEST_SHARE, -(-len(self.files) // self.agents)) or 1

    def shares(self) -> tuple[Share, ...]:
        """Split the files into shares."""
        names, size = tuple(self.files), self.share_size
        pieces = (names[start : start + size] for start in range(0, len(names), size))
        return tuple(Share(number, paths) for number, paths in enumerate(pieces, 1))


@attrs.frozen
class FileSurveyed:
    """A reader's tool to the lead: what it found."""

    reader: str
    name: str
    """What is shown of the path; unlike the path in the figures, no other file has it."""
    figures: FileFigures


@attrs.frozen(eq=False)
class ShareOver:
    """A share's run is over."""

    reader: str
    attempt: int
    answer: AssistantMessage | None
    error: Exception | None


@attrs.define(eq=False)
class _Reader:
    """What the lead knows of a reader."""

    name: str
    share: Share | None = None
    attempt: int = 0
    is_monitored: bool = False
    doomed_at: str | None = None
    """The file at which it crashes."""
    crash: trio.Event = attrs.field(factory=trio.Event)
    """Set to make it crash, once."""


@attrs.define(eq=False)
class Lead:
    """The lead's state."""

    _context: ActorContext
    _team: SupervisorRef
    _plan: Plan
    _nursery: trio.Nursery
    _queue: ReadingQueue
    _readers: dict[str, _Reader] = attrs.field(factory=dict)
    _waiting: deque[Share] = attrs.field(factory=deque)
    _found: dict[str, FileFigures] = attrs.field(factory=dict)
    _tries: dict[int, int] = attrs.field(factory=dict)
    _handed_over: int = 0
    _reply: ReplySlot | None = None

    async def begin(self, reply: ReplySlot) -> None:
        """Start the readers and hand out the first shares."""
        self._reply = reply
        self._waiting.extend(self._plan.shares())
        for number in range(1, self._plan.agents + 1):
            reader = _Reader(f"reader-{number}")
            self._readers[reader.name] = reader
            ref: AgentRef = await self._team.start_child(self._spec(reader))
            ref.monitor()
            reader.is_monitored = True
        for reader in self._readers.values():
            self._hand_over(reader)
        self._finish_if_done()

    def _spec(self, reader: _Reader) -> ChildSpec[object, object, AgentRef]:
        plan = self._plan
        spec = AgentSpec(
            reader.name,
            model=plan.model,
            system_prompt=SYSTEM_PROMPT,
            tools=[self._survey_tool(reader), librarian_tool()],
            options=plan.options,
            limits=Limits(turns=plan.share_size + SPARE_TURNS),
        ).to_child_spec()
        return attrs.evolve(spec, start=fragile(spec, reader.crash)) if plan.faults else spec

    def _survey_tool(self, reader: _Reader) -> Tool:
        plan, lead, queue = self._plan, self._context.ref, self._queue

        @tool(name="survey_file")
        async def survey(path: str) -> dict[str, Any]:
            """Read a file and count its bytes, lines and words.

            Args:
                path: One of the paths of the share.
            """
            if path not in plan.files:
                raise ValueError(f"{path!r} is not in the share")
            figures = await queue.survey(plan.files[path])
            if path == reader.doomed_at:
                reader.doomed_at = None
                reader.crash.set()
                await trio.sleep_forever()
            await lead.tell(FileSurveyed(reader.name, path, figures))
            return attrs.asdict(figures)

        return survey

    def _hand_over(self, reader: _Reader) -> None:
        """Give a reader what it has not surveyed of its share, or the next share; nothing where there is none."""
        if reader.share is None:
            if not self._waiting:
                return
            reader.share = self._waiting.popleft()
        left = tuple(path for path in reader.share.paths if path not in self._found)
        if not left:
            reader.share = None
            self._hand_over(reader)
            return
        tries = self._tries[reader.share.number] = self._tries.get(reader.share.number, 0) + 1
        if tries > ATTEMPTS:
            self._fail(SurveyFailedError(f"share {reader.share.number} was not finished in {ATTEMPTS} attempts"))
            return
        reader.attempt += 1
        self._handed_over += 1
        if self._plan.faults and self._handed_over == 1:
            reader.doomed_at = left[len(left) // 2]
        ask_librarian = self._plan.faults and self._handed_over == _HANGING
        share = attrs.evolve(reader.share, paths=left, ask_librarian=ask_librarian)
        self._nursery.start_soon(self._ask, reader.name, reader.attempt, share)

    async def _ask(self, name: str, attempt: int, share: Share) -> None:
        answer: AssistantMessage | None = None
        error: Exception | None = None
        try:
            answer = await self._team.child(name, AgentRef).ask(share.to_prompt())
        except TinyAgentError as raised:
            error = raised
        await self._context.ref.tell(ShareOver(name, attempt, answer, error))

    def surveyed(self, message: FileSurveyed) -> None:
        """Take a file's figures."""
        reader = self._readers[message.reader]
        self._found[message.name] = message.figures
        if not reader.is_monitored:
            self._team.child(reader.name).monitor()
            reader.is_monitored = True

    def share_over(self, message: ShareOver) -> None:
        """Hand out the next share, or this one again if something is missing."""
        reader = self._readers[message.reader]
        if message.attempt != reader.attempt:
            return
        failed = message.error or (message.answer and message.answer.error)
        if isinstance(failed, Exception) and not isinstance(failed, ActorStoppedError):
            self._fail(failed)
        elif message.error is None or not reader.is_monitored:
            self._hand_over(reader)
            self._finish_if_done()

    def down(self, message: Down) -> None:
        """A reader is down: hand its share over again, to the one that starts in its place."""
        reader = self._readers[message.ref.path.rpartition("/")[2]]
        reader.is_monitored = False
        self._hand_over(reader)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        is_done = len(self._found) == len(self._plan.files)
        if self._reply is not None and is_done and all(reader.share is None for reader in self._readers.values()):
            self._reply.reply(tuple(self._found[name] for name in self._plan.files))
            self._reply = None

    def _fail(self, error: Exception) -> None:
        if self._reply is not None:
            self._reply.fail(error)
            self._reply = None


async def run_lead(ctx: ActorContext, team: SupervisorRef, plan: Plan) -> None:
    """Be the lead: answer the one ask ``"survey"`` with the figures of all files, in order."""
    async with trio.open_nursery() as nursery:
        queue = ReadingQueue(plan.folder)
        nursery.start_soon(queue.serve)
        lead = Lead(ctx, team, plan, nursery, queue)
        async for message in ctx.messages():
            match message:
                case FileSurveyed():
                    lead.surveyed(message)
                case ShareOver():
                    lead.share_over(message)
                case Down():
                    lead.down(message)
                case _:
                    await lead.begin(ctx.defer_reply())
        nursery.cancel_scope.cancel()


def fragile(spec: ChildSpec, crash: trio.Event) -> Any:
    """Give the body of `spec`, which besides raises when `crash` is set for the first time."""
    is_spent = False

    async def body(ctx: ActorContext, *_args: Any) -> None:
        async with trio.open_nursery() as nursery:
            if not is_spent:
                nursery.start_soon(raise_when_set)
            await spec.run(ctx)
            nursery.cancel_scope.cancel()

    async def raise_when_set() -> None:
        nonlocal is_spent
        await crash.wait()
        is_spent = True
        raise RuntimeError("this reader was made to crash in mid-work")

    return body


def librarian_tool() -> Tool:
    """Give a tool that hangs until its timeout ends it."""

    @tool(name="ask_librarian", timeout=HANG_TIMEOUT)
    async def ask_librarian() -> str:
        """Ask the librarian, who is away."""
        await trio.sleep_forever()

    return ask_librarian


def lead_spec(team: SupervisorRef, plan: Plan) -> ChildSpec:
    """Give the spec of the lead of `team`."""
    return ChildSpec("lead", run_lead, args=(team, plan), mailbox_capacity=1024)
